package cart

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/generator/gentest"
	"cartwheel/harness/history"
)

// Nothing taken away, nothing changes: contexts and values come out again as they were.
func TestReplayingAllStepsIsTheSameRun(t *testing.T) {
	for seed := range uint64(5) {
		want := simulate(t, seed, true)
		steps := harness.StepsOf(want, 10)
		got := replay(t, steps, seed)
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d lines became %d", seed, len(want), len(got))
		}
		for i := range want {
			if fmt.Sprint(want[i]) != fmt.Sprint(got[i]) {
				t.Fatalf("seed %d: line %d was %+v and became %+v", seed, i, want[i], got[i])
			}
		}
	}
}

func replay(t *testing.T, steps []harness.Step, seed uint64) []harness.Op {
	t.Helper()
	g := Replay(harness.Setup{Concurrency: 10, Time: time.Hour}, steps)
	h, err := gentest.Simulate(g, gentest.Options{Seed: seed, Threads: 10, OpsMax: 2000, Execute: gentest.Siblings(true)})
	if err != nil {
		t.Fatal(err)
	}
	if err := history.Validate(h); err != nil {
		t.Fatal(err)
	}
	return h
}

// Whatever is taken away, what is left is a run that shoppers could have made: a put's
// context is a token that its thread was given for this cart and has not used, its items
// are what came with it, and nobody removes what he does not see.
func TestAnyPartOfTheStepsMakesSense(t *testing.T) {
	all := harness.StepsOf(simulate(t, 1, true), 10)
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 0))
		steps := slices.DeleteFunc(slices.Clone(all), func(harness.Step) bool { return r.IntN(3) == 0 })
		last := map[looks]harness.Op{}
		blind, values := 0, map[string]bool{}
		h := replay(t, steps, seed)
		for _, op := range h {
			at := looks{op.Process % 10, op.Key}
			switch {
			case op.Kind != harness.Invoke:
				delete(last, at)
				if op.F == harness.Get && op.Kind == harness.OK {
					last[at] = op
				}
			case op.F == harness.Put:
				items := Merge(last[at].Siblings)
				if op.Action == "add" {
					items = append(items, op.Element)
				} else if i := slices.Index(items, op.Element); i >= 0 {
					items = slices.Delete(items, i, i+1)
				} else {
					t.Fatalf("op %d removes %s, which is not there", op.Index, op.Element)
				}
				v := decode(t, op.Value)
				if values[v.ID] {
					t.Fatalf("op %d writes %s again", op.Index, v.ID)
				}
				values[v.ID] = true
				if want := (Value{ID: v.ID, Items: items}).Encode(); op.Value != want || string(op.Context) != string(last[at].Token) {
					t.Fatalf("op %d writes %s with context %q, want %s with %q", op.Index, op.Value, op.Context, want, last[at].Token)
				}
				if len(op.Context) == 0 {
					blind++
				}
			}
		}
		if len(values) < 300 || blind < len(values)/20 {
			t.Errorf("seed %d: %d puts, %d of them blind; want many and some", seed, len(values), blind)
		}
	}
}
