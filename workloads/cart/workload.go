package cart

import (
	"cmp"
	"context"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
)

// Workload returns the cart workload: sloppy quorums with R = W = 2, so that a cart can
// be filled on both sides of a partition, and every promise that survives that.
func Workload() harness.Workload {
	read, write := harness.ReadOptions{R: 2}, harness.WriteOptions{W: 2}
	return harness.Workload{
		Name:      "cart",
		Doc:       "carts filled by read, merge and write; an acknowledged add is never lost",
		Read:      read,
		Write:     write,
		Generator: Generator,
		Replay:    Replay,
		Invoke: func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
			return harness.Perform(ctx, c, op, read, write)
		},
		Checkers: checkers(checker.Claims{Mode: checker.Sloppy}),
		Events:   events(),
	}
}

// checkers are all that have something to say about carts.
func checkers(c checker.Claims) []harness.Checker {
	return checker.Together(checker.Under(c,
		checker.LostWrites(), checker.Elements(), checker.Convergence(), checker.Copies(), checker.Audits(), checker.Sanity(),
		checker.Recency(), checker.Sessions(), checker.Causal(), checker.MVR(),
		checker.Siblings(), checker.Availability(),
	)...)
}

// LastWriteWins returns the cart on keys of which the store keeps the last write only: an
// acknowledged add is lost whenever two shoppers meet, and must be found to be.
func LastWriteWins() harness.Workload {
	w := Workload()
	w.Name, w.Doc = "cart-lww", "the cart where the last write wins: must be found to lose acknowledged adds"
	w.Generator = inBucket("lww/")
	w.Events = []harness.Event{checker.Hinted()}
	return w
}

// LastWriteHeld returns the same, held to what such a store does promise: one winner, the same
// on every replica, which somebody wrote.
func LastWriteHeld() harness.Workload {
	w := LastWriteWins()
	w.Name, w.Doc = "cart-lww-held", "the cart where the last write wins, held to what is promised then: replicas agree on a winner"
	w.Checkers = checker.Together(checker.Under(checker.Claims{Mode: checker.LWW},
		checker.Convergence(), checker.Audits(), checker.Sanity(), checker.Elements(), checker.Availability(),
	)...)
	return w
}

// HintsAlone returns the cart on a store whose nodes do not compare what they hold: hints, and
// reads of carts that are still in use, are all that brings a write to an owner that missed it.
func HintsAlone() harness.Workload {
	w := Workload()
	w.Name, w.Doc = "cart-hints", "the cart without anti-entropy: hints must bring every write to its owners"
	w.Store.NoAntiEntropy = true
	w.Checkers = checkers(checker.Claims{Mode: checker.Sloppy, Uncompared: true})
	return w
}

// LateHints returns the cart with R = W = 1 on a store without anti-entropy whose hints trickle. A
// stand-in alone may acknowledge, so that its hints are all there is, and many still wait when
// members change: their targets may own their keys no more by then. Carts are small, so that few are in use long
// enough for reads to repair them.
func LateHints() harness.Workload {
	w := HintsAlone()
	w.Name, w.Doc = "cart-late-hints", "the cart without anti-entropy, R = W = 1, and with slow hints: a change of members must lose none"
	w.Store.HintRate = lateRate
	w.Generator = smallGenerator
	w.Read, w.Write = harness.ReadOptions{R: 1}, harness.WriteOptions{W: 1}
	read, write := w.Read, w.Write
	w.Invoke = func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
		return harness.Perform(ctx, c, op, read, write)
	}
	return w
}

// Routed returns the cart whose shoppers ask the nodes of a cart's preference list by themselves. They have to learn of a change of
// members, or their requests take a hop that routing is to save (section 6.4 of the paper).
func Routed() harness.Workload {
	w := Workload()
	w.Name, w.Doc = "cart-routed", "the cart whose clients route: some time after a change of members no put is forwarded"
	w.Store.Routed = true
	return w
}

// Checked returns the cart on a store whose nodes go through their records every few seconds, and not once a week: what is damaged
// on a disk is found and mended though nobody reads it.
func Checked() harness.Workload {
	w := Workload()
	w.Name, w.Doc = "cart-checked", "the cart on nodes that look for damage all the time: it must not end the search"
	w.Store.CheckInterval = 3 * time.Second
	return w
}

// lateRate is less than a cart a second, at a sixteenth to begin with.
const lateRate = 4 << 10

// LittleRoom returns the cart on a store with room for a few hints only. More are refused,
// and must not count.
func LittleRoom() harness.Workload {
	w := Workload()
	w.Name, w.Doc = "cart-full", "the cart with room for few hints: what is refused must not count"
	w.Store.HintBytes = littleRoomBytes
	w.Events = []harness.Event{checker.Hinted()}
	return w
}

// littleRoomBytes is room for hints of about five carts, two for one owner: a partition brings more.
const littleRoomBytes = 4 << 10

// Set returns the reference experiment of the 2013 partition tests of Dynamo-like stores:
// one set to which every client adds by read, merge and write, on single replicas. With
// siblings nothing that was acknowledged may be lost.
func Set() harness.Workload {
	w := Workload()
	w.Name, w.Doc = "set", "one set that everybody adds to, R = W = 1: an acknowledged add is never lost"
	w.Read, w.Write = harness.ReadOptions{R: 1}, harness.WriteOptions{W: 1}
	read, write := w.Read, w.Write
	w.Generator = setGenerator("", false)
	w.Events = nil // what it shows is measured: see the known anomalies
	w.Invoke = func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
		return harness.Perform(ctx, c, op, read, write)
	}
	return w
}

// LastSet returns that experiment where the last write wins, with R = W = 2: what was acknowledged is lost
// whenever two clients meet, and must be found to be.
func LastSet() harness.Workload {
	return lastSet("set-lww", "one set where the last write wins: must be found to lose acknowledged adds", false, false)
}

// LockedSet returns the same under a perfect lock: no two clients meet, and a partition loses all the
// same what was added on one of its sides.
func LockedSet() harness.Workload {
	return lastSet("set-lww-locked", "the set where the last write wins, under a perfect lock: a partition must be found to lose adds", true, false)
}

func lastSet(name, doc string, locked, strict bool) harness.Workload {
	w := Set()
	w.Name, w.Doc = name, doc
	w.Read, w.Write = harness.ReadOptions{R: 2, Strict: strict}, harness.WriteOptions{W: 2, Strict: strict}
	read, write := w.Read, w.Write
	w.Generator = setGenerator("lww/", locked)
	w.Invoke = func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
		return harness.Perform(ctx, c, op, read, write)
	}
	return w
}

// events are what must have happened for a valid run to mean something.
func events() []harness.Event {
	minority := checker.MinorityAck()
	possible := minority.Needs
	minority.Needs = func(p harness.Plan) bool { return possible(p) && splits(p) }
	return []harness.Event{checker.Hinted(), checker.SiblingsMerged(), minority, checker.CutOff()}
}

// usualW is what the smaller side must have where the plan leaves W to the store: a plan
// does not know the store's default, and Dynamo's usual W is 2 (paper, section 6).
const usualW = 2

// splits reports whether the plan divides the nodes into two sides of which the smaller
// has enough nodes to acknowledge a write.
func splits(p harness.Plan) bool {
	return slices.ContainsFunc(p.Schedule, func(f harness.Fault) bool {
		return f.Kind == "partition" && (f.Name == "halves" || f.Name == "minority") && len(f.Nodes) >= cmp.Or(p.Write.W, usualW)
	})
}
