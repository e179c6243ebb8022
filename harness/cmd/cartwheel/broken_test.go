package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A node that panics or waits for a mutex for ever takes its worker process with it. The
// search must name the seed, show where, and count it as a failure.
func TestANodeThatPanicsOrHangsIsReportedWithItsSeed(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a binary")
	}
	root, err := moduleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const where = "\nfunc (h *Handoff) round(ctx context.Context, l *line) {\n"
	source := filepath.Join(root, "store", "hint", "handoff.go")
	whole, err := os.ReadFile(source)
	if err != nil || strings.Count(string(whole), where) != 1 {
		t.Fatalf("%s has changed, or cannot be read: %v", source, err)
	}
	const plant = `	switch os.Getenv("PLANTED") {
	case "panic":
		panic("planted: " + string(l.target))
	case "hang":
		var never sync.Mutex
		never.Lock()
		never.Lock()
	}
`
	broken := strings.Replace(string(whole), where, where+plant, 1)
	broken = strings.Replace(broken, "import (\n", "import (\n\t\"os\"\n", 1)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "handoff.go"), broken)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: filepath.Join(dir, "handoff.go")}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "overlay.json"), string(overlay))
	bin := filepath.Join(dir, "cartwheel")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, "./harness/cmd/cartwheel")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, c := range []struct{ name, says, shows string }{
		{"panic", "CRASHED:", "panic: planted: n"},
		{"hang", "HUNG:", "hint.(*Handoff).round"},
	} {
		t.Run(c.name, func(t *testing.T) {
			search := exec.CommandContext(t.Context(), bin, "sim", "--seeds", "2", "--first", "41", "--workers", "1", "--time", "5s", "--limit", "3s", "--keep-going")
			search.Env = append(os.Environ(), "PLANTED="+c.name)
			out, err := search.Output()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitInvalid {
				t.Errorf("got %v, want exit code %d", err, exitInvalid)
			}
			for _, want := range []string{"seed 41 " + c.says, "seed 42 " + c.says, c.shows, "repeat with: bin/cartwheel test ", "2 failures"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("want %q in:\n%s", want, out)
				}
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
