package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestAKnownAnomalyIsRepeated(t *testing.T) {
	var out, said bytes.Buffer
	code := run(t.Context(), []string{"anomaly", "KA-05", "--runs", "1", "--time", "20s", "--results", t.TempDir()},
		func(string) (string, bool) { return "", false }, &out, &said)
	if code != exitValid {
		t.Fatalf("exit code %d, want %d\n%s%s", code, exitValid, out.String(), said.String())
	}
	for _, want := range []string{"2000 survivors, 0 lost", "loss", "0.0 %", "as published"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestAnomaliesAreChosenByID(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"KA-99"}, "KA-05"},
		{[]string{"--runs", "0"}, "must be positive"},
		{[]string{"--time", "-1s"}, "must be positive"},
	} {
		var out, said bytes.Buffer
		code := run(t.Context(), append([]string{"anomaly", "--results", t.TempDir()}, c.args...),
			func(string) (string, bool) { return "", false }, &out, &said)
		if code != exitUsage || !strings.Contains(said.String(), c.want) {
			t.Errorf("%q: exit code %d, want %d and %q\n%s", c.args, code, exitUsage, c.want, said.String())
		}
	}
}
