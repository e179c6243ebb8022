package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run from the command line to the verdict, and the same history judged again. The
// cluster is simulated, so a seed is the same run on every machine.
func TestRunAndCheckAgree(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"valid", []string{"--workload", "cart", "--nemesis", "partition", "--time", "12s", "--seed", "7"}, exitValid, "VALID: "},
		{"invalid", []string{"--workload", "register-weak", "--nemesis", "partition", "--time", "20s", "--seed", "7"}, exitInvalid, "not-linearizable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			results := t.TempDir()
			code, out, stderr := cartwheel(nil, append([]string{"test", "--cluster", "sim", "--results", results}, c.args...)...)
			if code != c.code || !strings.Contains(out, c.says) {
				t.Fatalf("got exit code %d, want %d and %q; output:\n%s\n%s", code, c.code, c.says, out, stderr)
			}
			if !strings.HasPrefix(out, "SEED 7\n") {
				t.Errorf("the seed does not come first:\n%s", out)
			}
			latest := filepath.Join(results, "latest")
			page, err := os.Stat(filepath.Join(latest, "index.html"))
			if err != nil || !strings.Contains(out, page.Name()) {
				t.Errorf("got no page that is told of: %v", err)
			}
			again, retold, _ := cartwheel(nil, "check", latest)
			if again != code {
				t.Errorf("got exit code %d from check, want %d as before", again, code)
			}
			if got, want := verdictLine(retold), verdictLine(out); got == "" || got != want {
				t.Errorf("got %q from check, want %q as before", got, want)
			}
		})
	}
}

func TestInterruptedRunIsUnknownAndToldAll(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, stderr bytes.Buffer
	none := func(string) (string, bool) { return "", false }
	results := t.TempDir()
	code := run(ctx, []string{"test", "--cluster", "sim", "--time", "1m", "--seed", "3", "--results", results}, none, &out, &stderr)
	if code != exitUnknown || !strings.Contains(out.String(), "UNKNOWN: ") || !strings.Contains(out.String(), "interrupted") {
		t.Errorf("got exit code %d, want %d and why; output:\n%s\n%s", code, exitUnknown, &out, &stderr)
	}
	for _, name := range []string{"index.html", "history.jsonl", "verdict.json"} {
		if _, err := os.Stat(filepath.Join(results, "latest", name)); err != nil {
			t.Errorf("what is known was not written: %v", err)
		}
	}
}

// verdictLine finds the line that begins with a verdict and a colon.
func verdictLine(out string) string {
	for line := range strings.Lines(out) {
		if word, _, ok := strings.Cut(line, ": "); ok && (word == "VALID" || word == "INVALID" || word == "UNKNOWN") {
			return line
		}
	}
	return ""
}

func TestCheckWritesAPageOnlyWhenAsked(t *testing.T) {
	results := t.TempDir()
	if code, out, stderr := cartwheel(nil, "test", "--cluster", "sim", "--nemesis", "none", "--time", "3s", "--seed", "1", "--results", results); code > exitUnknown {
		t.Fatalf("got exit code %d:\n%s\n%s", code, out, stderr)
	}
	page := filepath.Join(results, "latest", "index.html")
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want bool
	}{{[]string{"check", filepath.Dir(page)}, false}, {[]string{"check", "--report", filepath.Dir(page), filepath.Dir(page)}, true}} {
		cartwheel(nil, c.args...)
		if _, err := os.Stat(page); (err == nil) != c.want {
			t.Errorf("%v: got page %v, want %v", c.args, err == nil, c.want)
		}
	}
}
