package counter

import (
	"context"

	"cartwheel/harness"
	"cartwheel/harness/checker"
)

// Workload returns the counter workload: sloppy quorums with R = W = 2, so that counting
// goes on on both sides of a partition, and every promise that survives that.
func Workload() harness.Workload {
	read, write := harness.ReadOptions{R: 2}, harness.WriteOptions{W: 2}
	return harness.Workload{
		Name:      "counter",
		Doc:       "counters kept on siblings by read, merge and write; an acknowledged increment is counted in the end",
		Read:      read,
		Write:     write,
		Generator: Generator,
		Replay:    Replay,
		Invoke: func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
			return harness.Perform(ctx, c, op, read, write)
		},
		Checkers: checker.Together(checker.Under(checker.Claims{Mode: checker.Sloppy},
			checker.Counter(), checker.LostWrites(), checker.Convergence(), checker.Copies(), checker.Sanity(),
			checker.Recency(), checker.Sessions(), checker.Causal(), checker.MVR(),
			checker.Siblings(), checker.Availability(),
		)...),
		Events: []harness.Event{checker.Hinted(), checker.SiblingsMerged(), checker.CutOff()},
	}
}

// LastWriteWins returns the counter on keys of which the store keeps the last write only:
// increments are lost when two clients meet, and must be found to be.
func LastWriteWins() harness.Workload {
	w := Workload()
	w.Name, w.Doc = "counter-lww", "the counter where the last write wins: must be found to lose acknowledged increments"
	w.Generator = inBucket("lww/")
	w.Events = []harness.Event{checker.Hinted()}
	return w
}
