package session

import (
	"context"
	"slices"

	"cartwheel/harness"
	"cartwheel/harness/checker"
)

// Workload returns the session workload: reads carry what their session has seen.
func Workload() harness.Workload {
	w := workload()
	w.Name = "session"
	w.Doc = "R = W = 1 without repair, reads with a floor: a session reads what it has written and read, or fails"
	w.Generator, w.Replay = Generator, Replay
	w.Events = []harness.Event{waited()}
	return w
}

// Weak returns the same without floors: it must be found to break the sessions' guarantees.
func Weak() harness.Workload {
	w := workload()
	w.Name = "session-weak"
	w.Doc = "the sessions without a floor: must be found to read less than they have seen"
	w.Generator, w.Replay = weakGenerator, weakReplay
	return w
}

// workload is what both have in common.
func workload() harness.Workload {
	read, write := harness.ReadOptions{R: 1, Repair: "none"}, harness.WriteOptions{W: 1}
	return harness.Workload{
		Read: read, Write: write,
		Invoke: func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
			return harness.Perform(ctx, c, op, read, write)
		},
		Checkers: checker.Together(checker.Under(checker.Claims{Mode: checker.Sloppy, Sessions: true},
			checker.Sessions(), checker.Sanity(), checker.LostWrites(), checker.Convergence(),
			checker.Recency(), checker.Availability(),
		)...),
	}
}

// waited is a read whose first replica showed less than its session had seen, so that it
// went on with R = 1 answered: without any, floors were never needed.
func waited() harness.Event {
	return harness.Event{
		Name: "a session's read went on for what its session had seen",
		Count: func(h []harness.Op) int {
			n := 0
			for _, op := range h {
				if op.F == harness.Get && op.Kind == harness.OK && op.Meta != nil && len(op.Context) > 0 && answers(op.Meta) > 1 {
					n++
				}
			}
			return n
		},
		// A node that is frozen for a while need not fall behind anyone who is asked.
		Needs: func(p harness.Plan) bool {
			return slices.ContainsFunc(p.Schedule, func(f harness.Fault) bool { return f.Kind == "partition" })
		},
	}
}

// answers is how many replicas had answered when a read was.
func answers(m *harness.Meta) (n int) {
	for _, r := range m.Replies {
		if r.State == "ok" || r.State == "stale" || r.State == "notfound" {
			n++
		}
	}
	return n
}
