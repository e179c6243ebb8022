package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// staleRun is the folder of a small run that was not linearizable.
func staleRun(t *testing.T) string {
	t.Helper()
	results := t.TempDir()
	code, out, stderr := cartwheel(nil, "test", "--cluster", "sim", "--workload", "register-weak", "--nodes", "3",
		"--concurrency", "4", "--rate", "12", "--time", "6s", "--seed", "2", "--results", results)
	if code != exitInvalid {
		t.Fatalf("got exit code %d:\n%s\n%s", code, out, stderr)
	}
	return filepath.Join(results, "latest")
}

func TestShrinkWritesASmallerRunThatShowsTheSame(t *testing.T) {
	results := t.TempDir()
	code, out, stderr := cartwheel(nil, "shrink", "--results", results, staleRun(t))
	if code != exitValid {
		t.Fatalf("got exit code %d:\n%s\n%s", code, out, stderr)
	}
	for _, want := range []string{"not-linearizable", "to:     2 operations by 2 clients on 1 key, 1 fault, 3 nodes", "no part can be taken away", "repeat: bin/cartwheel shrink --budget 0s "} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in:\n%s", want, out)
		}
	}
	if !strings.Contains(stderr, "operations by 4 clients") {
		t.Errorf("no progress was shown:\n%s", stderr)
	}
	latest := filepath.Join(results, "latest")
	if code, out, _ := cartwheel(nil, "check", latest); code != exitInvalid {
		t.Errorf("the shrunk run is judged with exit code %d:\n%s", code, out)
	}
	code, out, stderr = cartwheel(nil, "shrink", "--budget", "0s", "--results", results, latest)
	if code != exitValid || !strings.Contains(out, "played again as it is") {
		t.Errorf("played again: exit code %d:\n%s\n%s", code, out, stderr)
	}
}

func TestShrinkSaysWhenTheSimulationDoesNotShowIt(t *testing.T) {
	dir := staleRun(t)
	verdict := filepath.Join(dir, "verdict.json")
	data, err := os.ReadFile(verdict)
	if err != nil {
		t.Fatal(err)
	}
	// The history stays, but played again every replica is asked.
	data = []byte(strings.NewReplacer(`"r": 1`, `"r": 3`, `"w": 1`, `"w": 3`).Replace(string(data)))
	if err := os.WriteFile(verdict, data, 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := cartwheel(nil, "shrink", "--results", t.TempDir(), dir)
	if code != exitUnknown || !strings.HasPrefix(out, "NOT SHOWN") {
		t.Errorf("got exit code %d, want %d:\n%s\n%s", code, exitUnknown, out, stderr)
	}
}

func TestShrinkTellsWrongUsage(t *testing.T) {
	valid := t.TempDir()
	if code, out, _ := cartwheel(nil, "test", "--cluster", "sim", "--nemesis", "none", "--time", "2s", "--rate", "5", "--seed", "1", "--results", valid); code == exitFailed {
		t.Fatal(out)
	}
	valid = filepath.Join(valid, "latest")
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"no folder", nil, "shrink takes FOLDER"},
		{"not there", []string{filepath.Join(valid, "none")}, "no such file"},
		{"nothing to shrink", []string{valid}, "no anomaly to keep"},
		{"no such mutant", []string{"--mutant", "M0", valid}, `there is no mutant "M0": docs/DETECTION.md lists them`},
		{"no such overlay", []string{"--overlay", filepath.Join(valid, "none"), valid}, "no such file"},
		{"two bugs", []string{"--mutant", "M14", "--overlay", "o.json", valid}, "which bug"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, stderr := cartwheel(nil, append([]string{"shrink", "--results", t.TempDir()}, c.args...)...)
			if code != exitUsage || !strings.Contains(out+stderr, c.says) {
				t.Errorf("got exit code %d, want %d and %q:\n%s\n%s", code, exitUsage, c.says, out, stderr)
			}
		})
	}
}

// The command that is built with a bug does the work, and its exit code is passed on. The
// environment that asked for the bug must not make it build itself again.
func TestABugIsPlantedByBuildingTheCommandAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a binary")
	}
	t.Setenv("CARTWHEEL_MUTANT", "M14")
	lookup := map[string]string{"CARTWHEEL_MUTANT": "M14"}
	dir := staleRun(t)
	code, out, stderr := cartwheel(lookup, "shrink", "--budget", "0s", "--results", t.TempDir(), dir)
	if strings.Count(stderr, "building this command with --mutant M14") != 1 {
		t.Errorf("want one build:\n%s", stderr)
	}
	if code != exitValid || !strings.Contains(out, "shrink --budget 0s --mutant M14 ") {
		t.Errorf("got exit code %d:\n%s\n%s", code, out, stderr)
	}
}
