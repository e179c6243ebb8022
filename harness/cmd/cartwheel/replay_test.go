package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rewrite changes a file of a run's folder.
func rewrite(t *testing.T, dir, name, from, to string) {
	t.Helper()
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s has no %q", name, from)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), from, to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAStoredRunIsPlayedAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, dir string)
		args   []string
		code   int
		says   string
	}{
		{name: "as it is", code: exitInvalid, says: "EQUAL: "},
		{
			name:   "its schedule was spoilt",
			change: func(t *testing.T, dir string) { rewrite(t, dir, "schedule.json", `"start": `, `"stuart": `) },
			code:   exitUsage, says: "schedule.json",
		},
		{
			name: "its faults were taken out",
			change: func(t *testing.T, dir string) {
				if err := os.WriteFile(filepath.Join(dir, "schedule.json"), []byte("[]\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			},
			code: exitUnknown, says: "not compared: its schedule was edited",
		},
		{
			name:   "another history",
			change: func(t *testing.T, dir string) { rewrite(t, dir, "history.jsonl", `"kind":"ok"`, `"kind":"fail"`) },
			code:   exitFailed, says: "DIFFERENT at line ",
		},
		{
			name:   "of real machines",
			change: func(t *testing.T, dir string) { rewrite(t, dir, "verdict.json", `"world": "sim"`, `"world": "docker"`) },
			args:   []string{"--cluster", "sim"},
			code:   exitInvalid, says: "stored: INVALID, seed 2, in the docker world",
		},
		{
			name: "cut short",
			change: func(t *testing.T, dir string) {
				path := filepath.Join(dir, "history.jsonl")
				data, err := os.ReadFile(path)
				if err == nil {
					err = os.WriteFile(path, data[:strings.LastIndex(strings.TrimSpace(string(data)), "\n")+1], 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			},
			code: exitInvalid, says: "not compared: the stored run was cut short",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := staleRun(t)
			if c.change != nil {
				c.change(t, dir)
			}
			code, out, stderr := cartwheel(nil, append([]string{"replay", "--results", t.TempDir(), dir}, c.args...)...)
			if code != c.code || !strings.Contains(out+stderr, c.says) {
				t.Errorf("got exit code %d, want %d and %q:\n%s\n%s", code, c.code, c.says, out, stderr)
			}
		})
	}
}

func TestAShrunkRunIsPlayedAgain(t *testing.T) {
	results := t.TempDir()
	if code, out, stderr := cartwheel(nil, "shrink", "--budget", "0s", "--results", results, staleRun(t)); code != exitValid {
		t.Fatalf("got exit code %d:\n%s\n%s", code, out, stderr)
	}
	latest := filepath.Join(results, "latest")
	if code, out, stderr := cartwheel(nil, "replay", "--results", results, latest); code != exitInvalid || !strings.Contains(out, "EQUAL: ") {
		t.Errorf("got exit code %d:\n%s\n%s", code, out, stderr)
	}
	if code, out, _ := cartwheel(nil, "replay", "--cluster", "docker", latest); code != exitUsage {
		t.Errorf("in Docker: got exit code %d:\n%s", code, out)
	}
}

// All knobs must come back from what is stored.
func TestKnobsAreStoredWithTheRun(t *testing.T) {
	results := t.TempDir()
	code, out, stderr := cartwheel(nil, "test", "--cluster", "sim", "--workload", "register", "--nemesis", "pause,partition", "--nodes", "4",
		"--concurrency", "6", "--rate", "9.5", "--time", "7s", "--r", "3", "--w", "1", "--quorum", "sloppy", "--repair", "none", "--seed", "11", "--results", results)
	if code > exitUnknown {
		t.Fatalf("got exit code %d:\n%s\n%s", code, out, stderr)
	}
	again, out, stderr := cartwheel(nil, "replay", "--results", t.TempDir(), filepath.Join(results, "latest"))
	if again != code || !strings.Contains(out, "EQUAL: ") {
		t.Errorf("got exit code %d, want %d:\n%s\n%s", again, code, out, stderr)
	}
}

func TestASeedIsPlayedTwice(t *testing.T) {
	code, out, stderr := cartwheel(nil, "replay", "3", "--time", "5s", "--nemesis", "partition", "--results", t.TempDir())
	if code > exitUnknown || !strings.Contains(out, "EQUAL: two plays") {
		t.Errorf("got exit code %d:\n%s\n%s", code, out, stderr)
	}
}

func TestReplayTellsWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"no-such-folder"},
		{t.TempDir()},
		{"3", "--cluster", "docker"},
		{"3", "--workload", "nonsense"},
		{t.TempDir(), "--nodes", "4"},
		{"3", "--mutant", "M0"},
	} {
		if code, out, stderr := cartwheel(nil, append([]string{"replay", "--results", t.TempDir()}, args...)...); code != exitUsage {
			t.Errorf("%v: got exit code %d:\n%s\n%s", args, code, out, stderr)
		}
	}
}
