package trial

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
	"cartwheel/harness/cluster/sim"
	"cartwheel/harness/runner"
	"cartwheel/harness/shrink"
	"cartwheel/harness/target/cartwheel"
	"cartwheel/nemesis"
	"cartwheel/workloads/cart"
	"cartwheel/workloads/register"
)

// weak is a register judged by a promise that one replica for a read and one for a write
// cannot keep.
func weak() harness.Workload {
	r, w := harness.ReadOptions{R: 1, Repair: "none"}, harness.WriteOptions{W: 1}
	return harness.Workload{
		Name: "weak", Read: r, Write: w, Generator: register.Generator, Replay: register.Replay,
		Invoke: func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
			return harness.Perform(ctx, c, op, r, w)
		},
		Checkers: []harness.Checker{checker.Sanity(), checker.Zones()},
	}
}

func partition() harness.Nemesis { return new(nemesis.Partition) }

func record(t *testing.T, w harness.Workload, seed uint64) *sim.Recording {
	t.Helper()
	fresh := func() (*sim.Cluster, error) {
		return sim.NewStore(sim.Options{Seed: seed}, cartwheel.Configure(w.Store))
	}
	rec, err := sim.Play(t.Context(), fresh, runner.Options{
		Seed: seed, Workload: w, Nemesis: partition(), Target: cartwheel.Seeded(sim.Names(seed)).On(w.Store), Time: 8 * time.Second, Rate: 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestACaseOfARecordedRunIsTheSameRun(t *testing.T) {
	r := weak()
	c := harness.Workload{Name: "cart", Generator: cart.Generator, Replay: cart.Replay, Invoke: r.Invoke, Checkers: r.Checkers}
	d := cart.Deleted() // after the load, it waits for nodes to look for tombstones
	d.Checkers = r.Checkers
	for _, w := range []harness.Workload{r, c, d} {
		rec := record(t, w, 3)
		c, err := From(rec.Plan, rec.History)
		if err != nil {
			t.Fatal(err)
		}
		trial, err := New(Options{Workload: w, Nemesis: partition, Checker: "zones"})
		if err != nil {
			t.Fatal(err)
		}
		again, err := trial.play(t.Context(), c, trial.options(c, w))
		if err != nil {
			t.Fatal(err)
		}
		for i := range min(len(rec.History), len(again.History)) {
			if a, b := text(rec.History[i]), text(again.History[i]); a != b {
				t.Fatalf("%s: line %d was\n%s\nand became\n%s", w.Name, i, a, b)
			}
		}
		if len(rec.History) != len(again.History) || len(rec.History) < 200 {
			t.Errorf("%s: %d lines became %d", w.Name, len(rec.History), len(again.History))
		}
	}
}

// staleRead is a trial of a run that shows one.
func staleRead(t *testing.T, change func(*Options)) (*Trial, shrink.Case) {
	t.Helper()
	w := weak()
	rec := record(t, w, 3)
	c, err := From(rec.Plan, rec.History)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Workload: w, Nemesis: partition, Checker: "zones", Kind: checker.NotLinearizable}
	change(&o)
	trial, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return trial, c
}

func TestAStaleReadIsShrunkToAHandfulOfSteps(t *testing.T) {
	trial, c := staleRead(t, func(*Options) {})
	out, err := shrink.Shrink(t.Context(), c, shrink.Options{Judge: trial.Judge})
	got := out.Case.Size()
	if err != nil || !out.Minimal || got.Steps > 8 || got.Threads > 2 || got.Keys != 1 || got.Faults > 1 || got.Time > 10*time.Second {
		t.Fatalf("got %s after %d tries, %v: %+v", got, out.Tries, err, out)
	}
	root := t.TempDir()
	res, err := trial.Record(t.Context(), out.Case, root, nil, func(dir string) string { return "play " + dir })
	if err != nil || res.Verdict != harness.Invalid || !Shows(res, "zones", checker.NotLinearizable) {
		t.Fatalf("recorded: %s, %v: %v", res.Verdict, err, res.Reasons)
	}
	if len(res.Findings) != 2 || res.Plan.Repeat != "play "+res.Dir || len(res.Plan.Schedule) != got.Faults || res.Plan.Concurrency != got.Threads {
		t.Errorf("recorded: %d findings, plan %+v", len(res.Findings), res.Plan)
	}
	stored, ok, err := Load(res.Dir)
	if err != nil || !ok {
		t.Fatalf("the recorded folder has a case: %t, %v", ok, err)
	}
	if shown, err := trial.Judge(t.Context(), stored); err != nil || !shown {
		t.Errorf("the stored case shows it: %t, %v", shown, err)
	}
	if _, ok, err := Load(root); ok || err != nil {
		t.Errorf("a folder without a case has one: %t, %v", ok, err)
	}
}

func TestARunThatTakesTooLongShowsNothing(t *testing.T) {
	trial, c := staleRead(t, func(o *Options) { o.Limit = time.Nanosecond })
	if shown, err := trial.Judge(t.Context(), c); shown || err != nil || trial.Last() == nil {
		t.Errorf("got %t, %v, last %v", shown, err, trial.Last())
	}
}

func TestAnInterruptedTrialSaysSo(t *testing.T) {
	trial, c := staleRead(t, func(*Options) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if shown, err := trial.Judge(ctx, c); shown || !errors.Is(err, context.Canceled) {
		t.Errorf("got %t, %v", shown, err)
	}
}

func TestAHangIsToldAndLeftBehind(t *testing.T) {
	release, ended := make(chan struct{}), make(chan struct{})
	trial, c := staleRead(t, func(o *Options) {
		o.Limit, o.HangWait = time.Millisecond, time.Millisecond
		perform := o.Workload.Invoke
		first := true
		o.Workload.Invoke = func(ctx context.Context, cl harness.Client, op harness.Op) harness.Op {
			if first { // the bubble cannot see this channel, so its time stands still
				first = false
				<-release
				defer close(ended)
			}
			return perform(ctx, cl, op)
		}
	})
	if shown, err := trial.Judge(t.Context(), c); shown || !errors.Is(err, ErrHang) {
		t.Errorf("got %t, %v", shown, err)
	}
	close(release)
	<-ended
}

func TestATrialNeedsAReplayAndItsChecker(t *testing.T) {
	w := weak()
	if _, err := New(Options{Workload: w, Checker: "convergence"}); err == nil {
		t.Error("a checker that the workload lacks was accepted")
	}
	w.Replay = nil
	if _, err := New(Options{Workload: w, Checker: "zones"}); err == nil {
		t.Error("a workload that cannot replay was accepted")
	}
}

func TestACaseIsMadeOfWhatAPlanAndAHistorySay(t *testing.T) {
	p := harness.Plan{Nodes: []harness.NodeID{"n1", "n2"}, Concurrency: 3}
	h := []harness.Op{
		{Process: 2, Kind: harness.Invoke, F: harness.Put, Key: "k", Node: "n2"}, // not where the rule has it
		{Process: harness.NemesisProcess, Kind: harness.Invoke, F: "partition"},
		{Process: 2, Kind: harness.Info, F: harness.Put, Key: "k", Node: "n2"},
		{Process: 5, Kind: harness.Invoke, F: harness.Put, Key: "k", Node: "n2", Time: 7},
	}
	c, err := From(p, h)
	if err != nil || len(c.Steps) != 2 || !slices.Equal(c.Threads, []harness.NodeID{"n1", "n2", "n2"}) {
		t.Fatalf("got %+v, %v", c, err)
	}
	if s := c.Steps[1]; s.Thread != 2 || s.At != 7 || s.Put != 2 {
		t.Errorf("got %+v", s)
	}
	if _, err := From(harness.Plan{}, h); err == nil {
		t.Error("a plan that says nothing was accepted")
	}
	h[3].Node = "n1"
	if _, err := From(p, h); err == nil {
		t.Error("a thread with two nodes was accepted")
	}
}

func text(op harness.Op) string {
	b, err := json.Marshal(op)
	if err != nil {
		panic(err)
	}
	return string(b)
}
