package session

import (
	"context"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
)

// Workload returns the session workload: reads carry what their session has seen.
func Workload() harness.Workload {
	w := single()
	w.Name = "session"
	w.Doc = "R = W = 1 without repair, reads with a floor: a session reads what it has written and read, or fails"
	w.Generator, w.Replay = Generator, Replay
	w.Events = []harness.Event{waited(), checker.CutOff()}
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

// Mixed returns the sessions of clients that mix up keys: some puts carry the context of another key. Such
// a context says nothing of this key, and the store has to refuse it.
func Mixed() harness.Workload {
	w := Workload()
	w.Name = "session-mixed"
	w.Doc = "sessions that now and then put to one key with the context of another: refused, and nothing is superseded by it"
	w.Generator = mixedGenerator
	w.Checkers = append(w.Checkers, checker.Contexts())
	w.Events = append(w.Events, mixedUp())
	return w
}

// Repeated returns strict quorums and clients that make a put again while its outcome is unknown, as
// applications do. Whichever nodes made it, readers are to see one put.
func Repeated() harness.Workload {
	w := workload(checker.Claims{Mode: checker.Strict, Repeats: true}, harness.ReadOptions{R: 2, Strict: true}, harness.WriteOptions{W: 2, Strict: true, Attempts: 4})
	w.Name = "session-repeated"
	w.Doc = "puts that are made again while their outcome is unknown: readers see each once"
	w.Generator, w.Replay = weakGenerator, weakReplay
	w.Events = []harness.Event{repeated()}
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

// mixedUp is a put with the context of another key.
func mixedUp() harness.Event {
	return harness.Event{
		Name: "a put had the context of another key",
		Count: func(h []harness.Op) int {
			issued, n := map[string]string{}, 0
			for _, op := range h {
				if op.Kind == harness.OK && len(op.Token) > 0 {
					issued[string(op.Token)] = op.Key
				}
				if of := issued[string(op.Context)]; op.F == harness.Put && op.Kind == harness.Invoke && of != "" && of != op.Key {
					n++
				}
			}
			return n
		},
	}
}

// repeated is a put that was acknowledged at the second attempt or later.
func repeated() harness.Event {
	return harness.Event{
		Name: "a put was made again and acknowledged",
		Count: func(h []harness.Op) int {
			n := 0
			for _, op := range h {
				if op.F == harness.Put && op.Kind == harness.OK && op.Meta != nil && op.Meta.Attempts > 1 {
					n++
				}
			}
			return n
		},
		Needs: func(p harness.Plan) bool { return checker.KeepsApart(p) && p.Time >= 30*time.Second }, // in less it may not come to it
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
			return slices.ContainsFunc(p.Schedule, checker.Parts)
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
