package cart

import (
	"slices"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/generator/gentest"
)

// Carts that were checked out are left alone: for some of them longer than a collection takes, until somebody looks again.
func TestCartsRestAfterACheckOut(t *testing.T) {
	h, err := gentest.Simulate(Deleted().Generator(harness.Setup{Seed: 1}), gentest.Options{Seed: 1, Threads: 10, OpsMax: 4000, Execute: gentest.Siblings(true)})
	if err != nil {
		t.Fatal(err)
	}
	last, deletes, rests, again := map[string]time.Duration{}, map[string]int{}, 0, 0
	for _, op := range h {
		if op.Kind != harness.Invoke {
			continue
		}
		if op.F == harness.Get && deletes[op.Key] > 0 && op.Time-last[op.Key] > 5*time.Second {
			rests++
		}
		if op.F == harness.Put && deletes[op.Key] > 0 {
			again++
		}
		if op.F == harness.Delete {
			deletes[op.Key]++
		}
		last[op.Key] = op.Time
	}
	if len(deletes) < 20 || rests < 5 || again < 20 || !slices.ContainsFunc(h, func(op harness.Op) bool { return op.F == harness.Delete && op.Action == "check out" }) {
		t.Errorf("%d carts were deleted, %d rested and were looked at again, %d writes followed a delete", len(deletes), rests, again)
	}
}
