package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cartwheel/harness"
)

func TestARunIsRepeatedAndItsRateTold(t *testing.T) {
	results := t.TempDir()
	code, out, stderr := cartwheel(nil, "test", "--count", "2", "--cluster", "sim-ties", "--workload", "register-weak",
		"--nemesis", "partition", "--time", "12s", "--seed", "1", "--results", results)
	if code != exitInvalid {
		t.Fatalf("got exit code %d:\n%s\n%s", code, out, stderr)
	}
	for _, want := range []string{"run 2 of 2", "INVALID: 2 of 2 runs: 0 valid, 0 unknown, 2 invalid", "between 34.2 % and 100.0 %", "figure repro_rate 1.0000 1"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	code, out, stderr = cartwheel(nil, "coverage", results)
	if code != exitValid || !strings.Contains(out, "partition") || !strings.Contains(out, "register-weak  sim-ties") {
		t.Errorf("got exit code %d:\n%s\n%s", code, out, stderr)
	}
	for _, name := range []string{"coverage.txt", "coverage.json"} {
		if _, err := os.Stat(filepath.Join(results, name)); err != nil {
			t.Errorf("coverage was not kept: %v", err)
		}
	}
}

func TestRunsOfWhichNothingIsKnownDoNotCount(t *testing.T) {
	var b strings.Builder
	a := &app{out: &b}
	r := repetition{of: 4}
	for _, v := range []harness.Verdict{harness.Valid, harness.Unknown, harness.Invalid, harness.Valid} {
		r.add(v, nil)
	}
	a.verdict = harness.Worst(r.verdicts...)
	r.tell(a)
	if want := "figure repro_rate 0.3333 1"; !strings.Contains(b.String(), want) || !strings.Contains(b.String(), "1 unknown") {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
