package register

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cartwheel/harness"
)

var replays = []struct {
	name   string
	make   func(harness.Setup) harness.Generator
	replay func(harness.Setup, []harness.Step) harness.Generator
}{
	{"strong", Generator, Replay},
	{"weak", weakGenerator, weakReplay},
}

func replayed(t *testing.T, replay func(harness.Setup, []harness.Step) harness.Generator, steps []harness.Step) []harness.Op {
	t.Helper()
	return simulate(t, func(s harness.Setup) harness.Generator { s.Time = time.Hour; return replay(s, steps) }, 10)
}

// Nothing taken away, nothing changes: contexts and values come out again as they were.
func TestReplayingAllStepsIsTheSameRun(t *testing.T) {
	for _, c := range replays {
		t.Run(c.name, func(t *testing.T) {
			want := simulate(t, c.make, 10)
			got := replayed(t, c.replay, harness.StepsOf(want, 10))
			if len(got) != len(want) {
				t.Fatalf("%d lines became %d", len(want), len(got))
			}
			for i := range want {
				if fmt.Sprint(want[i]) != fmt.Sprint(got[i]) {
					t.Fatalf("line %d was %+v and became %+v", i, want[i], got[i])
				}
			}
		})
	}
}

// Whatever is taken away: no put after one of unknown outcome, and each put continues
// its thread's last successful operation on the key, or its last put.
func TestAnyPartOfTheStepsMakesSense(t *testing.T) {
	for _, c := range replays {
		t.Run(c.name, func(t *testing.T) {
			all := harness.StepsOf(simulate(t, c.make, 10), 10)
			r := rand.New(rand.NewPCG(1, 0))
			steps := slices.DeleteFunc(slices.Clone(all), func(harness.Step) bool { return r.IntN(3) == 0 })
			tokens, left := map[place]string{}, map[string]bool{}
			puts := 0
			for _, op := range replayed(t, c.replay, steps) {
				at := place{op.Process % 10, op.Key}
				switch {
				case op.Kind == harness.Invoke && op.IsWrite():
					if puts++; left[op.Key] || string(op.Context) != tokens[at] {
						t.Fatalf("op %d puts to %s with context %q, want %q; left: %t", op.Index, op.Key, op.Context, tokens[at], left[op.Key])
					}
				case op.Kind == harness.Info && op.IsWrite():
					left[op.Key] = true
				case op.Kind == harness.OK && (op.IsWrite() || c.name == "strong"):
					tokens[at] = string(op.Token)
				}
			}
			if puts < 100 || len(left) == 0 {
				t.Errorf("%d puts, %d keys left; want more", puts, len(left))
			}
		})
	}
}
