package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// One planted bug goes all the way: built in, run, found, and the control left alone.
func TestAPlantedBugIsFoundInTheSimulation(t *testing.T) {
	var out, said bytes.Buffer
	results := t.TempDir()
	code := run(t.Context(), []string{"mutants", "--budget", "2x10s", "--results", results, "M14"},
		func(string) (string, bool) { return "", false }, &out, &said)
	if code != exitValid {
		t.Fatalf("exit code %d, want %d\n%s%s", code, exitValid, out.String(), said.String())
	}
	for _, want := range []string{"M14     yes     1 ", "\nfigure mutants_killed_ratio 1 1\nfigure control_false_alarms 0 1\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, want := range []string{"matrix.json", "M14-cart-partition-1/*-*/verdict.json"} {
		if found, err := filepath.Glob(filepath.Join(results, "*-mutants", want)); err != nil || len(found) != 1 {
			t.Errorf("%d of %s, want one (%v)", len(found), want, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(results, "*-mutants", "control-*")); len(left) > 0 {
		t.Errorf("the results of a valid run were left: %v", left)
	}
}

func TestMutantsAreChosenByID(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{name: "unknown", args: []string{"M14", "M999"}, want: `no mutant "M999"`},
		{name: "left out", args: []string{"M45"}, want: "is left out: "},
		{name: "budget", args: []string{"--budget", "10"}, want: "10x60s"},
		{name: "resume", args: []string{"--resume", "nowhere"}, want: "nowhere"},
		{name: "containers published", args: []string{"M14", "--cluster", "docker", "--document", "x"}, want: "in simulation"},
		{name: "cluster", args: []string{"--cluster", "cloud"}, want: "cloud"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, said bytes.Buffer
			code := run(t.Context(), append([]string{"mutants", "--results", t.TempDir()}, c.args...),
				func(string) (string, bool) { return "", false }, &out, &said)
			if code != exitUsage || !strings.Contains(said.String(), c.want) {
				t.Errorf("exit code %d, want %d and %q\n%s", code, exitUsage, c.want, said.String())
			}
		})
	}
}

func TestTheOnlyVerdictOfAFolderIsRead(t *testing.T) {
	dir := t.TempDir()
	put := func(run, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, run), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, run, "verdict.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := verdictIn(dir); err == nil {
		t.Error("no run, but a verdict")
	}
	put("stamp-cart-1", `{"verdict":"invalid"}`)
	if res, err := verdictIn(dir); err != nil || res.Verdict != "invalid" || res.Dir != filepath.Join(dir, "stamp-cart-1") {
		t.Errorf("got %+v, %v", res, err)
	}
	put("stamp-cart-2", `{"verdict":"valid"}`)
	if _, err := verdictIn(dir); err == nil {
		t.Error("two runs, but one verdict")
	}
}
