package suite

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim"
	"cartwheel/harness/shrink"
	"cartwheel/harness/shrink/trial"
	"cartwheel/harness/trace"
)

// stale is the folder of a run that was not linearizable.
func stale(t *testing.T, world string) string {
	t.Helper()
	res, err := Run(t.Context(), Knobs{
		Workload: "register-weak", Cluster: world, Seed: 2, Time: 6 * time.Second, Rate: 12, Nodes: 3, Concurrency: 4, Results: t.TempDir(),
	}, Hooks{})
	if err != nil || res.Verdict != harness.Invalid {
		t.Fatalf("got %s, %v: %v", res.Verdict, err, res.Reasons)
	}
	return res.Dir
}

// rewrite changes the plan that is stored in a folder.
func rewrite(t *testing.T, dir string, change func(*harness.Plan)) {
	t.Helper()
	file := filepath.Join(dir, "verdict.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var res harness.Result
	if err := json.Unmarshal(data, &res); err != nil {
		t.Fatal(err)
	}
	change(&res.Plan)
	if data, err = json.Marshal(res); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// handful shrinks a run until it is small enough to be read, and interrupts the search then.
func handful(t *testing.T, world string) (Shrunk, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	return Shrink(ctx, Shrinking{
		Path: stale(t, world), Budget: time.Hour, Results: t.TempDir(), Flags: "--mutant M0",
		Progress: func(p shrink.Progress) {
			if p.Size.Keys == 1 && p.Size.Threads <= 2 && p.Size.Faults <= 1 && p.Size.Steps <= 4 {
				cancel()
			}
		},
	})
}

func TestAStoredRunIsShrunkAndPlayedAgain(t *testing.T) {
	for _, world := range []string{sim.World, sim.WorldGRPC} {
		t.Run(world, func(t *testing.T) { shrunkAndPlayedAgain(t, world) })
	}
}

func shrunkAndPlayedAgain(t *testing.T, world string) {
	got, err := handful(t, world)
	if err != nil {
		t.Fatal(err)
	}
	size := got.Outcome.Case.Size()
	if got.Kind != "not-linearizable" || got.Result.Verdict != harness.Invalid || size.Steps > 4 || size.Threads > 2 || got.From.Steps < 50 || got.Outcome.Minimal {
		t.Fatalf("got %s %s: from %s to %s", got.Checker, got.Kind, got.From, size)
	}
	if p := got.Result.Plan; p.World != world || p.Suite != "register-weak-shrunk" || p.Repeat != "bin/cartwheel shrink --budget 0s --mutant M0 "+quoted(got.Result.Dir) {
		t.Errorf("world %q, suite %q, repeat %q", p.World, p.Suite, p.Repeat)
	}
	for _, file := range []string{"history.jsonl", "verdict.json", "index.html", trace.File, trial.File} {
		if _, err := os.Stat(filepath.Join(got.Result.Dir, file)); err != nil {
			t.Error(err)
		}
	}
	again, err := Shrink(t.Context(), Shrinking{Path: got.Result.Dir, Results: t.TempDir()})
	if err != nil || again.Outcome.Case.Size() != size || again.Outcome.Tries != 1 || again.Result.Plan.Suite != "register-weak-shrunk" {
		t.Fatalf("again: %v, %+v", err, again.Outcome)
	}
	first, err1 := os.ReadFile(filepath.Join(got.Result.Dir, "history.jsonl"))
	second, err2 := os.ReadFile(filepath.Join(again.Result.Dir, "history.jsonl"))
	if err := errors.Join(err1, err2); err != nil || string(first) != string(second) {
		t.Errorf("the shrunk run is not the same when it is played again: %v", err)
	}
}

// What another world has shown is looked for with some seeds, and missed with an honest word.
func TestARunOfAnotherWorldIsLookedForInTheSimulation(t *testing.T) {
	small, err := handful(t, sim.World)
	if err != nil {
		t.Fatal(err)
	}
	dir := small.Result.Dir
	rewrite(t, dir, func(p *harness.Plan) { p.World = "docker" })
	var notes []string
	got, err := Shrink(t.Context(), Shrinking{Path: dir, Results: t.TempDir(), Note: func(s string) { notes = append(notes, s) }})
	if err != nil || got.Result.Plan.World != "sim" {
		t.Fatalf("got %v, %+v", err, got.Result.Plan)
	}
	if text := strings.Join(notes, "\n"); !strings.Contains(text, "docker world") || !strings.Contains(text, "shows it with seed") {
		t.Errorf("said %q", text)
	}
	rewrite(t, dir, func(p *harness.Plan) { // a store that keeps the promise
		p.Read, p.Write = harness.ReadOptions{R: 2, Strict: true, Repair: "blocking"}, harness.WriteOptions{W: 2, Strict: true}
	})
	_, err = Shrink(t.Context(), Shrinking{Path: dir, Results: t.TempDir()})
	if !errors.Is(err, shrink.ErrNotShown) || !strings.Contains(err.Error(), "docker world") || !strings.Contains(err.Error(), "20 seeds") {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeShrunkIsToldApart(t *testing.T) {
	valid, err := Run(t.Context(), Knobs{Workload: "cart", Nemesis: "none", Cluster: "sim", Time: 2 * time.Second, Rate: 5, Results: t.TempDir()}, Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		s    Shrinking
		want string
	}{
		{name: "no anomaly", s: Shrinking{Path: valid.Dir}, want: "no anomaly to keep"},
		{name: "another anomaly", s: Shrinking{Path: stale(t, sim.World), Anomaly: "lost-write"}, want: "only not-linearizable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Shrink(t.Context(), c.s); !errors.Is(err, ErrKnobs) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
