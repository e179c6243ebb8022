package checker

import (
	"context"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// Hinted is a write that a stand-in took for an owner that could not be reached
// (section 4.6 of the paper).
func Hinted() harness.Event {
	return harness.Event{
		Name: "a write was hinted",
		Count: func(h []harness.Op) int {
			return completions(h, func(op harness.Op) bool {
				if !op.IsWrite() || op.Kind != harness.OK || op.Meta == nil {
					return false
				}
				return op.Meta.Hinted > 0 || slices.ContainsFunc(op.Meta.Replies, func(r harness.Reply) bool {
					return r.For != "" && r.For != r.Node && r.State == "ok"
				})
			})
		},
		Needs: func(p harness.Plan) bool { return KeepsApart(p) && !p.Write.Strict },
	}
}

// KeepsApart reports whether a plan keeps nodes from hearing each other for longer than
// a request waits. Bad links and bad disks may do so, too, but need not, and clocks never do;
// nodes that clients are cut off from hear each other, and of those that die or stop all at once none is left to be silent to.
func KeepsApart(p harness.Plan) bool {
	return slices.ContainsFunc(p.Schedule, func(f harness.Fault) bool {
		return Parts(f) || (f.Kind == "pause" || f.Kind == "kill") && (f.Role != nil || len(f.Nodes) < len(p.Nodes))
	})
}

// Parts reports whether a fault is a partition that keeps nodes from hearing each other.
func Parts(f harness.Fault) bool { return f.Kind == "partition" && !f.OfClients() }

// CutOff is a request that a client sent to a node which it was cut off from, and that got no
// answer: the cut was one of live requests.
func CutOff() harness.Event {
	return harness.Event{
		Name: "a client cut off from a node got no answer of it",
		Count: func(h []harness.Op) int {
			faults := windows(h)
			return paired(h, func(inv, done harness.Op) bool {
				return done.Kind != harness.OK && slices.ContainsFunc(faults, func(w window) bool {
					return w.fault.OfClients() && w.overlaps(inv.Time, inv.Time) && slices.ContainsFunc(w.fault.Links, func(l harness.Link) bool {
						return l.From == inv.Node || l.To == inv.Node
					})
				})
			})
		},
		Needs: func(p harness.Plan) bool { return slices.ContainsFunc(p.Schedule, harness.Fault.OfClients) },
	}
}

// SiblingsMerged is an acknowledged put whose context came from an answer with two live
// siblings or more: a client reconciled what had branched (section 4.4).
func SiblingsMerged() harness.Event {
	return harness.Event{
		Name: "branched versions were merged",
		Count: func(h []harness.Op) int {
			return indexed(h, func(x *index) int {
				n := 0
				for _, k := range x.keys {
					for _, w := range k.writes {
						if w.acked() && !w.tombstone && w.from != none && k.answers[w.from].live > 1 {
							n++
						}
					}
				}
				return n
			})
		},
		Needs: func(p harness.Plan) bool { return p.Concurrency > 1 },
	}
}

// MinorityAck is a write that a node acknowledged while a partition cut it into the
// smaller side, from its call to its answer, and that none but this side has stored: the store
// stayed writeable (section 2.3). It need not happen where another fault strikes a node of that side meanwhile, or members change:
// nodes that were added since the begin may hear both sides, and a tour of the members adds some all the time.
func MinorityAck() harness.Event {
	return harness.Event{
		Name: "a cut-off minority acknowledged a write",
		Count: func(h []harness.Op) int {
			faults, all := windows(h), asked(h)
			return paired(h, func(inv, done harness.Op) bool {
				return inv.IsWrite() && done.Kind == harness.OK && slices.ContainsFunc(faults, func(w window) bool {
					side := minority(w.fault, all)
					return w.from <= inv.Time && done.Time <= w.heldTill && slices.Contains(side, inv.Node) && storedBy(done, side)
				})
			})
		},
		Needs: func(p harness.Plan) bool {
			tours := slices.ContainsFunc(p.Schedule, func(f harness.Fault) bool { return f.Kind == "membership" && strings.HasPrefix(f.Name, "tour") })
			return !p.Write.Strict && !tours && slices.ContainsFunc(p.Schedule, func(f harness.Fault) bool {
				side := minority(f, p.Nodes)
				return side != nil && !slices.ContainsFunc(p.Schedule, func(g harness.Fault) bool { return g.ID != f.ID && disturbs(g, f, side) })
			})
		},
	}
}

// lateMost is how much later than planned a fault of another kind may well be over on a busy machine.
const lateMost = 10 * time.Second

// disturbs reports whether a fault is planned for a part of the time of another, and strikes one of some nodes or changes the members.
func disturbs(g, f harness.Fault, nodes []harness.NodeID) bool {
	struck := slices.ContainsFunc(nodes, func(n harness.NodeID) bool {
		return slices.Contains(g.Nodes, n) || slices.ContainsFunc(g.Links, func(l harness.Link) bool { return l.From == n || l.To == n })
	})
	late := lateMost
	if g.Kind == f.Kind {
		late = 0 // they wait for each other
	}
	return g.Start < f.Stop+late && f.Start < g.Stop+late && (struck || g.Role != nil || g.Kind == "membership")
}

// storedBy reports whether no other nodes than these are known to have stored a write.
func storedBy(done harness.Op, nodes []harness.NodeID) bool {
	return done.Meta == nil || !slices.ContainsFunc(done.Meta.Replies, func(r harness.Reply) bool {
		return r.State == "ok" && !slices.Contains(nodes, r.Node)
	})
}

// Repaired is a replica that a read brought up to date (section 5).
func Repaired() harness.Event {
	return harness.Event{
		Name: "a read repaired a replica",
		Count: func(h []harness.Op) int {
			return completions(h, func(op harness.Op) bool {
				return op.F == harness.Get && op.Meta != nil && (op.Meta.Repairs > 0 ||
					slices.ContainsFunc(op.Meta.Replies, func(r harness.Reply) bool { return r.State == "repaired" }))
			})
		},
		Needs: func(p harness.Plan) bool { return KeepsApart(p) && p.Read.Repair != "none" },
	}
}

// StaleRead is a get that lacks a write acknowledged before it was called. Strict quorums
// must not show one; a run with R = W = 1 that shows none was no test of anything.
func StaleRead() harness.Event {
	return harness.Event{Name: "a read missed an acknowledged write", Count: func(h []harness.Op) int { return indexed(h, staleReads) }}
}

func staleReads(x *index) int {
	n := 0
	for _, k := range x.keys {
		k.stale(new(visibility), func(staleness) { n++ })
	}
	return n
}

// Branched is a get that showed two live siblings or more.
func Branched() harness.Event {
	return harness.Event{
		Name: "a read showed siblings",
		Count: func(h []harness.Op) int {
			return completions(h, func(op harness.Op) bool {
				return op.F == harness.Get && op.Kind == harness.OK && len(live(op.Siblings)) > 1
			})
		},
		Needs: func(p harness.Plan) bool { return p.Concurrency > 1 },
	}
}

// Forwarded is a write that the asked node handed to another to coordinate.
func Forwarded() harness.Event {
	return harness.Event{
		Name: "a write was forwarded",
		Count: func(h []harness.Op) int {
			return completions(h, func(op harness.Op) bool {
				return op.IsWrite() && op.Kind == harness.OK && op.Meta != nil && op.Meta.Forwarded
			})
		},
	}
}

// completions counts client completions that are so.
func completions(h []harness.Op, so func(harness.Op) bool) int {
	n := 0
	for _, op := range h {
		if op.Process >= 0 && op.Kind != harness.Invoke && so(op) {
			n++
		}
	}
	return n
}

// paired counts client operations that are so.
func paired(h []harness.Op, so func(inv, done harness.Op) bool) int {
	n := 0
	for _, p := range history.Pairs(h) {
		if h[p.Invoke].Process >= 0 && p.Completion >= 0 && so(h[p.Invoke], h[p.Completion]) {
			n++
		}
	}
	return n
}

// indexed counts in an index. A history that has none shows no event.
func indexed(h []harness.Op, n func(*index) int) int {
	x, err := newIndex(context.Background(), h)
	if err != nil {
		return 0
	}
	return n(x)
}
