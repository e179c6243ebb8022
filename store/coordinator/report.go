package coordinator

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"cartwheel/store"
	"cartwheel/store/quorum"
)

// An answer is how an ask ended.
type answer struct {
	ask
	err error
	rtt time.Duration

	buffered bool // what was done may not be on disk yet
}

// A report collects what replicas contributed to a request.
type report struct {
	op      string
	place   placement
	meta    store.Meta
	replies []store.Reply
	need    int
	sent    int
	began   time.Duration
	now     func() time.Duration
}

// skipped notes an owner that was not asked because it is believed down.
func (r *report) skipped(owner store.NodeID) {
	r.replies = append(r.replies, store.Reply{Node: owner, State: store.ReplicaSkipped})
}

// add notes an answer; state matters only if there was no error. An owner that was written
// back to before its own answer came has its reply already.
func (r *report) add(a answer, state store.ReplicaState) {
	switch {
	case a.err == nil:
	case errors.Is(a.err, store.ErrDown):
		state = store.ReplicaSkipped
		r.sent-- // it was counted when it was asked, but nothing left this node
	case errors.Is(a.err, context.DeadlineExceeded):
		state = store.ReplicaTimeout
	case errors.Is(a.err, store.ErrOverloaded):
		state = store.ReplicaRefused
	default:
		state = store.ReplicaFailed
	}
	reply := store.Reply{Node: a.node, For: a.standsFor(), State: state, RTT: a.rtt}
	switch i := r.find(a.ask); {
	case i < 0:
		r.replies = append(r.replies, reply)
	case r.replies[i].State == store.ReplicaSkipped: // it came up meanwhile and was asked after all
		r.replies[i] = reply
	}
}

// mark changes the state of the reply to an ask, or adds one.
func (r *report) mark(a ask, state store.ReplicaState, rtt time.Duration) {
	if i := r.find(a); i >= 0 {
		r.replies[i].State = state
		return
	}
	r.replies = append(r.replies, store.Reply{Node: a.node, For: a.standsFor(), State: state, RTT: rtt})
}

// find returns the index of the reply to an ask, or -1.
func (r *report) find(a ask) int {
	return slices.IndexFunc(r.replies, func(reply store.Reply) bool { return reply.Node == a.node && reply.For == a.standsFor() })
}

// owners returns how many owners took part themselves.
func (r *report) owners() int {
	return r.tookPart(func(reply store.Reply) bool { return reply.For == "" && r.place.isOwner(reply.Node) })
}

// standIns returns how many other nodes took part in the place of an owner.
func (r *report) standIns() int {
	return r.tookPart(func(reply store.Reply) bool { return reply.For != "" && !r.place.isOwner(reply.Node) })
}

func (r *report) tookPart(as func(store.Reply) bool) int {
	seen := map[store.NodeID]bool{}
	for _, reply := range r.replies {
		if as(reply) && reply.State < store.ReplicaFailed {
			seen[reply.Node] = true
		}
	}
	return len(seen)
}

// snapshot returns the report as of now, replies in preference-list order.
func (r *report) snapshot() store.Meta {
	m := r.meta
	m.Replies = slices.Clone(r.replies)
	m.Owners, m.StandIns, m.Total = r.owners(), r.standIns(), r.now()-r.began
	slices.SortStableFunc(m.Replies, func(a, b store.Reply) int {
		return cmp.Or(
			cmp.Compare(slices.Index(r.place.list, a.Node), slices.Index(r.place.list, b.Node)),
			cmp.Compare(slices.Index(r.place.list, a.For), slices.Index(r.place.list, b.For)),
		)
	})
	return m
}

// failure returns the error of a request that is given up now, with so many of the replicas
// that it needs.
func (r *report) failure(acks int) *store.QuorumError {
	return &store.QuorumError{Op: r.op, Need: r.need, Sent: max(0, r.sent), Acks: acks, Meta: r.snapshot()}
}

// short returns the same for a request that is short of whatever condition the tracker says.
func (r *report) short(t quorum.Group) *store.QuorumError {
	e := r.failure(0)
	e.Counted, e.Acks, e.Need = t.Short()
	return e
}

// fastest returns the owner that answered first, by round-trip time; nothing if none did.
func fastest(p placement, replies []store.Reply) (node store.NodeID) {
	var best time.Duration
	for _, r := range replies {
		if r.For == "" && r.State < store.ReplicaFailed && p.isOwner(r.Node) && (node == "" || r.RTT < best) {
			node, best = r.Node, r.RTT
		}
	}
	return node
}
