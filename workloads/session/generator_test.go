package session

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/generator/gentest"
	"cartwheel/harness/history"
)

// completed completes operations with a token of their own, and now and then without an answer.
func completed(op harness.Op, r *rand.Rand) (harness.Op, time.Duration) {
	op.Kind, op.Token = harness.OK, fmt.Append(nil, op.Index)
	switch n := r.IntN(50); {
	case n == 0 && op.IsWrite():
		op.Kind, op.Token = harness.Info, nil
	case n < 3:
		op.Kind, op.Token = harness.Fail, nil
	}
	return op, time.Duration(1 + r.Int64N(int64(20*time.Millisecond)))
}

func simulate(t *testing.T, g harness.Generator) []harness.Op {
	t.Helper()
	h, err := gentest.Simulate(g, gentest.Options{Seed: 1, Threads: 5, OpsMax: 4000, Execute: completed})
	if err != nil {
		t.Fatal(err)
	}
	if err := history.Validate(h); err != nil {
		t.Fatal(err)
	}
	return h
}

// Every operation of a session carries the token of its last answer of the key; without
// floors, only its puts do.
func TestOperationsCarryWhatTheirSessionHasSeen(t *testing.T) {
	setup := harness.Setup{Concurrency: 5, Seed: 1}
	steps := harness.StepsOf(simulate(t, Generator(setup)), 5)
	for _, c := range []struct {
		name   string
		g      harness.Generator
		floors bool
	}{
		{"new", Generator(setup), true},
		{"new, weak", weakGenerator(setup), false},
		{"replayed", Replay(setup, steps), true},
		{"replayed, weak", weakReplay(setup, steps), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			last, values := map[place]string{}, map[string]bool{}
			gets, puts, carried := 0, 0, 0
			for _, op := range simulate(t, c.g) {
				at := place{op.Process, op.Key}
				switch {
				case op.Kind == harness.OK:
					last[at] = string(op.Token)
				case op.Kind != harness.Invoke:
				case op.F == harness.Get && !c.floors:
					gets++
					if len(op.Context) > 0 {
						t.Fatalf("op %d: a read without a floor carries %q", op.Index, op.Context)
					}
				default:
					if op.F == harness.Put {
						puts++
						if values[op.Value] {
							t.Fatalf("op %d: value %s was put before", op.Index, op.Value)
						}
						values[op.Value] = true
					} else {
						gets++
					}
					if string(op.Context) != last[at] {
						t.Fatalf("op %d of process %d on %s carries %q, want %q", op.Index, op.Process, op.Key, op.Context, last[at])
					}
					if len(op.Context) > 0 {
						carried++
					}
				}
			}
			if puts < 100 || gets < 2*puts*2/3 || carried < 100 {
				t.Errorf("%d puts, %d gets, %d with a context: too few to mean anything", puts, gets, carried)
			}
		})
	}
}

// Shortly before the end nothing is written any more, and every key is read until it was, so
// that whatever a read does not repair stays broken.
func TestTheSweepReadsEveryKeyOnceItIsOver(t *testing.T) {
	const span = 20 * time.Second
	setup := harness.Setup{Concurrency: 5, Seed: 1, Time: span}
	h, err := gentest.Simulate(sweepingGenerator(setup), gentest.Options{Seed: 1, Threads: 5, Time: span, Execute: completed})
	if err != nil {
		t.Fatal(err)
	}
	used, read, failed := map[string]bool{}, map[string]bool{}, 0
	for _, op := range h {
		switch {
		case op.Kind == harness.Invoke && op.Time < span-sweepTime:
			used[op.Key] = true
		case op.Kind == harness.Invoke && op.F != harness.Get:
			t.Fatalf("op %d: %s in the sweep", op.Index, op.F)
		case op.F == harness.Get && op.Kind == harness.OK && op.Time >= span-sweepTime:
			read[op.Key] = true
		case op.F == harness.Get && op.Kind == harness.Fail && op.Time >= span-sweepTime:
			failed++
		}
	}
	for key := range used {
		if !read[key] {
			t.Errorf("%s was not read in the sweep", key)
		}
	}
	if len(used) < 5 || failed == 0 {
		t.Errorf("%d keys, %d reads of the sweep failed: too few to mean anything", len(used), failed)
	}
}
