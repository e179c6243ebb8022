package gentest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
)

// Siblings is a store of siblings without replicas: a token names the writes that it
// covers. With faults one operation in ten gets no answer, and half of such writes
// take no effect. Operations take up to 20 ms. Each call makes a store of its own.
func Siblings(faults bool) Executor {
	store := make(map[string][]harness.Sibling)
	return func(op harness.Op, r *rand.Rand) (harness.Op, time.Duration) {
		took := time.Duration(1 + r.Int64N(int64(20*time.Millisecond)))
		op.Kind = harness.OK
		lost := faults && r.IntN(10) == 0
		if op.IsWrite() && !(lost && r.IntN(2) == 0) {
			kept := slices.DeleteFunc(slices.Clone(store[op.Key]), func(b harness.Sibling) bool {
				return strings.Contains(string(op.Context), "["+b.Write+"]")
			})
			store[op.Key] = append(kept, harness.Sibling{Value: op.Value, Write: fmt.Sprint(op.Index), Tombstone: op.F == harness.Delete})
		}
		if lost {
			op.Error = "lost"
			if op.Kind = harness.Info; op.F == harness.Get {
				op.Kind = harness.Fail
			}
			return op, took
		}
		op.Siblings = slices.Clone(store[op.Key])
		for _, b := range op.Siblings {
			op.Token = fmt.Appendf(op.Token, "[%s]", b.Write)
		}
		return op, took
	}
}
