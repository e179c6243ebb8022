package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFigureOfThePaperIsRepeated(t *testing.T) {
	var out, said bytes.Buffer
	dir := t.TempDir()
	code := run(t.Context(), []string{"paper", "strategies", "--runs", "1", "--results", dir}, func(string) (string, bool) { return "", false }, &out, &said)
	if code != exitValid {
		t.Fatalf("exit code %d, want %d\n%s%s", code, exitValid, out.String(), said.String())
	}
	for _, want := range []string{"published: strategy 3 is best", "owner sets (package ring)", "figure strategy_3_2048 0.9", "chart: " + dir} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	charts, err := filepath.Glob(filepath.Join(dir, "*-paper", "strategies.svg"))
	if err != nil || len(charts) != 1 {
		t.Fatalf("charts %v, %v", charts, err)
	}
	if text, err := os.ReadFile(charts[0]); err != nil || !strings.Contains(string(text), "<svg") {
		t.Errorf("the chart holds no drawing: %v", err)
	}
}

func TestFiguresAreChosenByName(t *testing.T) {
	for _, args := range [][]string{{"figure9"}, {"clocks", "--runs", "-1"}} {
		var out, said bytes.Buffer
		code := run(t.Context(), append([]string{"paper", "--results", t.TempDir()}, args...), func(string) (string, bool) { return "", false }, &out, &said)
		if code != exitUsage {
			t.Errorf("%q: exit code %d, want %d\n%s", args, code, exitUsage, said.String())
		}
	}
}
