package session

import (
	"context"
	"slices"

	"cartwheel/harness"
	"cartwheel/harness/checker"
)

// Workload returns the session workload: reads carry what their session has seen.
func Workload() harness.Workload {
	w := single()
	w.Name = "session"
	w.Doc = "R = W = 1 without repair, reads with a floor: a session reads what it has written and read, or fails"
	w.Generator, w.Replay = Generator, Replay
	w.Events = []harness.Event{waited()}
	return w
}

// Weak returns the same without floors: it must be found to break the sessions' guarantees.
func Weak() harness.Workload {
	w := single()
	w.Name = "session-weak"
	w.Doc = "the sessions without a floor: must be found to read less than they have seen"
	w.Generator, w.Replay = weakGenerator, weakReplay
	return w
}

// Mended returns a workload of another question: strict quorums on a store whose nodes keep
// no hints and compare nothing, so that reads alone bring replicas up to date (section 5 of
// the Dynamo paper). Every key is read after the last heal, and must then be equal everywhere.
func Mended() harness.Workload {
	w := workload(checker.Claims{Mode: checker.Strict}, harness.ReadOptions{R: 2, Strict: true}, harness.WriteOptions{W: 2, Strict: true})
	w.Name = "mended"
	w.Doc = "strict quorums without hints and anti-entropy: reads alone make replicas equal"
	w.Store = harness.StoreOptions{NoAntiEntropy: true, HintBytes: 1}
	w.Generator, w.Replay = sweepingGenerator, weakReplay
	w.Events = []harness.Event{behind()}
	return w
}

// single asks single replicas, and claims what sessions see to.
func single() harness.Workload {
	return workload(checker.Claims{Mode: checker.Sloppy, Sessions: true}, harness.ReadOptions{R: 1, Repair: "none"}, harness.WriteOptions{W: 1})
}

// workload is what all have in common.
func workload(claims checker.Claims, read harness.ReadOptions, write harness.WriteOptions) harness.Workload {
	return harness.Workload{
		Read: read, Write: write,
		Invoke: func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
			return harness.Perform(ctx, c, op, read, write)
		},
		Checkers: checker.Together(checker.Under(claims,
			checker.Sessions(), checker.Sanity(), checker.LostWrites(), checker.Convergence(), checker.Audits(),
			checker.Recency(), checker.Availability(),
		)...),
	}
}

// behind is a read that met a replica which had missed a write: there was something to repair.
func behind() harness.Event {
	return harness.Event{
		Name: "a read met a replica that was behind",
		Count: func(h []harness.Op) int {
			n := 0
			for _, op := range h {
				if op.F == harness.Get && op.Kind == harness.OK && op.Meta != nil && slices.ContainsFunc(op.Meta.Replies, func(r harness.Reply) bool {
					return r.State == "stale" || r.State == "notfound" && len(op.Siblings) > 0
				}) {
					n++
				}
			}
			return n
		},
		Needs: checker.KeepsApart,
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
