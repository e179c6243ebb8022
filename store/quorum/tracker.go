package quorum

import (
	"fmt"
	"slices"

	"cartwheel/store"
)

// A Verdict is what a tracker makes of the replies so far.
type Verdict uint8

// Verdicts. Reached and Lost are final.
const (
	Pending Verdict = iota // more replies may decide it
	Reached                // enough distinct nodes acknowledged
	Lost                   // no outstanding request can bring the number up
)

// String returns "pending", "reached" or "lost".
func (v Verdict) String() string { return [...]string{"pending", "reached", "lost"}[v] }

// A Tracker counts the replies of one request.
type Tracker struct {
	need   int
	mode   store.Mode
	owners []store.NodeID
	asked  map[store.NodeID]int // requests outstanding, by node
	acked  map[store.NodeID]bool
}

// New returns a tracker that wants need acknowledgements. In strict mode only the
// owners count, in sloppy mode any node. It panics if need is not 1 to len(owners):
// options are checked at the door.
func New(need int, mode store.Mode, owners []store.NodeID) *Tracker {
	if need < 1 || need > len(owners) {
		panic(fmt.Sprintf("quorum: need %d of %d", need, len(owners)))
	}
	return &Tracker{
		need: need, mode: mode, owners: owners,
		asked: map[store.NodeID]int{}, acked: map[store.NodeID]bool{},
	}
}

// Asked notes that a request went out to the node.
func (t *Tracker) Asked(n store.NodeID) { t.asked[n]++ }

// Acked notes that the node did what it was asked.
func (t *Tracker) Acked(n store.NodeID) {
	t.answered(n)
	if t.counts(n) {
		t.acked[n] = true
	}
}

// Failed notes that the node refused, or that it is no longer waited for.
func (t *Tracker) Failed(n store.NodeID) { t.answered(n) }

func (t *Tracker) answered(n store.NodeID) {
	if t.asked[n]--; t.asked[n] <= 0 {
		delete(t.asked, n)
	}
}

func (t *Tracker) counts(n store.NodeID) bool {
	return t.mode == store.Sloppy || slices.Contains(t.owners, n)
}

// Acks returns the number of distinct nodes that acknowledged and count.
func (t *Tracker) Acks() int { return len(t.acked) }

// Missing returns how many more acknowledgements are needed than requests that
// could still bring them: how many further nodes to ask. It is never negative.
func (t *Tracker) Missing() int {
	possible := len(t.acked)
	for n := range t.asked {
		if t.counts(n) && !t.acked[n] {
			possible++
		}
	}
	return max(0, t.need-possible)
}

// Verdict says whether the request is decided. Lost can turn into Pending again if
// a further node is asked.
func (t *Tracker) Verdict() Verdict {
	switch {
	case len(t.acked) >= t.need:
		return Reached
	case t.Missing() > 0:
		return Lost
	}
	return Pending
}
