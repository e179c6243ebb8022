package coordinator

import (
	"time"

	"cartwheel/store"
)

// A session's read must not show less than the session has seen (Terry et al., Session
// Guarantees for Weakly Consistent Replicated Data, 1994). The quorum may consist of replicas
// that are behind; then the read goes on, with every node that may know more, until the
// floor is reached or its time is over.

// pollsPerPatience is how often replicas are asked again in the time after which a silent
// one would be stood in for.
const pollsPerPatience = 4

// waitForFloor sees to it that replicas are asked again soon.
func (r *reading) waitForFloor() {
	if r.poll == nil {
		r.poll = time.NewTimer(r.c.opts.FallbackAfter / pollsPerPatience)
	}
}

// nextPoll is ready when replicas are to be asked again.
func (r *reading) nextPoll() <-chan time.Time {
	if r.poll == nil {
		return nil
	}
	return r.poll.C
}

func (r *reading) stopPolling() {
	if r.poll != nil {
		r.poll.Stop()
		r.poll = nil
	}
}

// askAgain asks every node that may know more and has no question open.
func (r *reading) askAgain() {
	r.rounds++
	r.poll = nil
	for _, a := range widest(r.report.place, r.options.Mode, r.shown) {
		if r.c.up(a.node) && !r.open[a.node] {
			r.start(a, true)
		}
	}
}

// widest returns asks of all nodes that may hold a copy. A node that has shown one is
// asked in the same role again.
func widest(p placement, mode store.Mode, answers []shown) []ask {
	nodes := p.list
	if mode == store.Strict {
		nodes = p.owners()
	}
	out := make([]ask, len(nodes))
	for i, n := range nodes {
		out[i] = ask{n, p.list[i%p.count]} // for want of a better one, a fallback stands in for some owner
		if p.isOwner(n) {
			out[i].owner = n
		}
		for _, s := range answers {
			if s.node == n {
				out[i] = s.ask
			}
		}
	}
	return out
}

// unsatisfied is the error of a read whose time was over before the floor was reached.
func (r *reading) unsatisfied() error {
	r.stopPolling()
	r.c.stats.unsatisfied.Add(1)
	meta := r.report.snapshot()
	meta.Rounds = r.rounds
	return &store.SessionError{Meta: meta}
}
