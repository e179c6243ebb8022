package shrink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cartwheel/harness"
)

// aCase draws a case of some size.
func aCase(t *rapid.T) Case {
	c := Case{Seed: 1, Time: time.Minute, Nodes: names(rapid.IntRange(3, 6).Draw(t, "nodes"))}
	for i := range rapid.IntRange(1, 8).Draw(t, "threads") {
		c.Threads = append(c.Threads, c.Nodes[i%len(c.Nodes)])
	}
	at := time.Duration(0)
	for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
		at += time.Duration(rapid.IntRange(1, 999_999_999).Draw(t, "gap"))
		thread := rapid.IntRange(0, len(c.Threads)-1).Draw(t, "thread")
		c.Steps = append(c.Steps, harness.Step{
			At: at, Thread: thread, Node: c.Threads[thread], F: harness.Put, Put: i + 1,
			Key: fmt.Sprintf("k%d", rapid.IntRange(1, 6).Draw(t, "key")),
		})
	}
	c.Time = max(c.Time, at)
	for i := range rapid.IntRange(0, 6).Draw(t, "faults") {
		start := time.Duration(rapid.Int64Range(0, int64(c.Time)-2).Draw(t, "start"))
		f := harness.Fault{ID: fmt.Sprintf("f%d", i+1), Kind: "pause", Start: start, Stop: min(c.Time, start+3*time.Second), Nodes: c.Nodes[:2]}
		if i%2 == 0 {
			f.Kind, f.Links = "partition", []harness.Link{{From: c.Nodes[0], To: c.Nodes[1]}, {From: c.Nodes[1], To: c.Nodes[2]}}
		}
		c.Schedule = append(c.Schedule, f)
	}
	return c
}

func names(n int) []harness.NodeID {
	var out []harness.NodeID
	for i := range n {
		out = append(out, harness.NodeID(fmt.Sprintf("n%d", i+1)))
	}
	return out
}

// has reports whether a case has all of some puts and faults.
func has(c Case, puts []int, faults []string) bool {
	for _, p := range puts {
		if !slices.ContainsFunc(c.Steps, func(s harness.Step) bool { return s.Put == p }) {
			return false
		}
	}
	for _, id := range faults {
		if !slices.ContainsFunc(c.Schedule, func(f harness.Fault) bool { return f.ID == id }) {
			return false
		}
	}
	return true
}

// needs draws what an anomaly needs, from what the case has.
func needs(t *rapid.T, c Case) (puts []int, faults []string) {
	for range rapid.IntRange(0, 4).Draw(t, "needs") {
		puts = append(puts, rapid.IntRange(1, len(c.Steps)).Draw(t, "put"))
	}
	if len(c.Schedule) > 0 && rapid.Bool().Draw(t, "needs a fault") {
		faults = append(faults, rapid.SampledFrom(c.Schedule).Draw(t, "fault").ID)
	}
	slices.Sort(puts)
	return slices.Compact(puts), faults
}

// An anomaly that needs certain steps and faults is left with those and nothing else.
func TestWhatIsNotNeededGoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := aCase(t)
		before := c.id()
		puts, faults := needs(t, c)
		out, err := Shrink(t.Context(), c, Options{Judge: func(_ context.Context, c Case) (bool, error) {
			if err := c.Validate(); err != nil {
				t.Fatalf("a candidate that cannot be played: %v", err)
			}
			return has(c, puts, faults), nil
		}})
		if err != nil || !out.Minimal {
			t.Fatalf("got %+v, %v", out, err)
		}
		if c.id() != before {
			t.Error("the case given was changed")
		}
		got := out.Case.Size()
		if len(out.Case.Steps) != len(puts) || !has(out.Case, puts, faults) || got.Threads != 1 || got.Nodes != 3 || got.Faults != len(faults) {
			t.Errorf("needed puts %v and faults %v, got %+v", puts, faults, out.Case)
		}
		m := out.Case.moments()
		for i := 1; i < len(m); i++ {
			if gap := m[i] - m[i-1]; gap > gapMin {
				t.Errorf("a gap of %v stayed: %v", gap, m)
			}
		}
		for _, f := range out.Case.Schedule {
			if f.Stop <= f.Start || f.Stop > out.Case.Time || len(f.Links) == 0 && len(f.Nodes) != 1 {
				t.Errorf("fault %+v in a load of %v", f, out.Case.Time)
			}
		}
	})
}

// Whatever the judge is like, the outcome shows the anomaly and no single part can go.
func TestTheOutcomeShowsItAndIsMinimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := aCase(t)
		salt := rapid.IntRange(1, 1000).Draw(t, "salt")
		fickle := func(_ context.Context, c Case) (bool, error) { // not monotone at all
			sum := salt
			for _, s := range c.Steps {
				sum = sum*31 + s.Put
			}
			return sum%3 != 0 || len(c.Steps) > 50, nil
		}
		first, err := Shrink(t.Context(), c, Options{Judge: fickle})
		if errors.Is(err, ErrNotShown) {
			return
		}
		if err != nil || !first.Minimal {
			t.Fatalf("got %+v, %v", first, err)
		}
		if shows, _ := fickle(t.Context(), first.Case); !shows {
			t.Error("the outcome does not show it")
		}
		for _, d := range dimensions {
			for i := range d.units(first.Case) {
				smaller := d.drop(first.Case, i, i+1)
				shows, _ := fickle(t.Context(), smaller)
				if shows && len(smaller.Threads) > 0 && smaller.id() != first.Case.id() {
					t.Errorf("one of the %s can still go: %+v", d.name, smaller)
				}
			}
		}
		again, err := Shrink(t.Context(), c, Options{Judge: fickle})
		if err != nil || again.Case.id() != first.Case.id() || again.Tries != first.Tries {
			t.Errorf("another search gave another outcome: %+v and %+v", first, again)
		}
	})
}

func TestNoCaseIsJudgedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := aCase(t)
		puts, faults := needs(t, c)
		seen := make(map[string]bool)
		out, err := Shrink(t.Context(), c, Options{Judge: func(_ context.Context, c Case) (bool, error) {
			if seen[c.id()] {
				t.Errorf("judged twice: %+v", c)
			}
			seen[c.id()] = true
			return has(c, puts, faults), nil
		}})
		if err != nil || out.Tries != len(seen) {
			t.Errorf("%d tries of %d cases, %v", out.Tries, len(seen), err)
		}
	})
}

// sixty is a case of sixty steps by six clients.
func sixty() Case {
	c := Case{Nodes: names(5), Time: time.Minute}
	for i := range 6 {
		c.Threads = append(c.Threads, c.Nodes[i%5])
	}
	for i := range 60 {
		c.Steps = append(c.Steps, harness.Step{At: time.Duration(i) * time.Second, Thread: i % 6, Node: c.Threads[i%6], F: harness.Put, Key: "k", Put: i + 1})
	}
	return c
}

func TestTheSearchEndsWithItsBudget(t *testing.T) {
	for _, c := range []struct {
		name   string
		tries  int // after which the budget is used up
		byCtx  bool
		judged int
	}{
		{name: "tries", tries: 7, judged: 7},
		{name: "context", tries: 7, byCtx: true, judged: 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			judged := 0
			o := Options{Judge: func(_ context.Context, c2 Case) (bool, error) {
				if judged++; c.byCtx && judged == c.tries {
					cancel()
				}
				return has(c2, []int{10, 50}, nil), nil
			}}
			if !c.byCtx {
				o.TriesMax = c.tries
			}
			out, err := Shrink(ctx, sixty(), o)
			if err != nil || out.Minimal || judged != c.judged || !has(out.Case, []int{10, 50}, nil) || len(out.Case.Steps) == 60 {
				t.Errorf("got %+v after %d judgements, %v", out, judged, err)
			}
		})
	}
}

func TestAJudgeThatIsInterruptedSaysNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	judged := 0
	out, err := Shrink(ctx, sixty(), Options{Judge: func(ctx context.Context, _ Case) (bool, error) {
		if judged++; judged == 3 {
			cancel()
			return true, ctx.Err()
		}
		return judged == 1, nil
	}})
	if err != nil || out.Tries != 2 || len(out.Case.Steps) != 60 {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestAJudgeThatCannotTellEndsTheSearch(t *testing.T) {
	broken := errors.New("broken")
	judged := 0
	out, err := Shrink(t.Context(), sixty(), Options{Judge: func(context.Context, Case) (bool, error) {
		if judged++; judged == 4 {
			return false, broken
		}
		return judged < 3, nil
	}})
	if !errors.Is(err, broken) || judged != 4 || out.Minimal || len(out.Case.Steps) == 60 {
		t.Errorf("got %+v after %d judgements, %v", out, judged, err)
	}
}

func TestACaseThatDoesNotShowItIsToldApart(t *testing.T) {
	_, err := Shrink(t.Context(), sixty(), Options{Judge: func(context.Context, Case) (bool, error) { return false, nil }})
	if !errors.Is(err, ErrNotShown) {
		t.Errorf("got %v", err)
	}
	c := sixty()
	c.Steps[3].Thread = 9
	judge := func(context.Context, Case) (bool, error) { return true, nil }
	if _, err := Shrink(t.Context(), c, Options{Judge: judge}); err == nil || errors.Is(err, ErrNotShown) {
		t.Errorf("a step of nobody: got %v", err)
	}
}

// Two clients who meet on one key stay two when the anomaly is about that.
func TestClientsThatAreNeededStay(t *testing.T) {
	out, err := Shrink(t.Context(), sixty(), Options{Judge: func(_ context.Context, c Case) (bool, error) {
		asked := make(map[int]bool)
		for _, s := range c.Steps {
			asked[s.Thread] = true
		}
		return len(asked) >= 2 && len(c.Nodes) >= 4, nil
	}})
	if got := out.Case.Size(); err != nil || got.Threads != 2 || got.Steps != 2 || got.Nodes != 4 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestFaultsFollowTheNodesThatAreLeft(t *testing.T) {
	c := Case{
		Nodes: names(4), Threads: []harness.NodeID{"n1", "n2", "n4"}, Time: time.Second,
		Steps: []harness.Step{{Thread: 1, Node: "n2", Key: "k"}, {Thread: 2, Node: "n4", Key: "k"}},
		Schedule: []harness.Fault{
			{ID: "f1", Links: []harness.Link{{From: "n1", To: "n3"}, {From: "n2", To: "n4"}}, Nodes: []harness.NodeID{"n1", "n2"}},
			{ID: "f2", Nodes: []harness.NodeID{"n2"}},
			{ID: "f3", Links: []harness.Link{{From: "n2", To: "n3"}}, Nodes: []harness.NodeID{"n3"}},
		},
	}
	want := func(turn int, threads, step, links string) {
		t.Helper()
		got := c.withoutNode(1, turn)
		if err := got.Validate(); err != nil {
			t.Error(err)
		}
		if fmt.Sprint(got.Nodes) != "[n1 n2 n3]" || fmt.Sprint(got.Threads) != threads || string(got.Steps[0].Node) != step {
			t.Errorf("turn %d: %+v", turn, got)
		}
		if len(got.Schedule) != 1 || fmt.Sprint(got.Schedule[0].Links, got.Schedule[0].Nodes) != links {
			t.Errorf("turn %d: faults %+v, want only the first with %s", turn, got.Schedule, links)
		}
	}
	want(0, "[n1 n2 n3]", "n2", "[{n1 n2}] [n1]")
	want(1, "[n2 n3 n1]", "n3", "[{n2 n3}] [n2]")
}
