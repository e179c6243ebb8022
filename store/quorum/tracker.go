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

// Conditions are what a request asks for. All of them must be met.
type Conditions struct {
	Acks   int // nodes that count under the mode: R, or W or DW; 1 to the number of owners
	Owners int // owners that acknowledge themselves: PR or PW; 0 to their number
	Nodes  int // distinct nodes of any kind: node confirms; 0 to the number of owners
	// AbsentEnough is for reads in which an empty answer is no acknowledgement: so many of
	// them end the wait for a node that has the key. 0: all that were asked are waited for.
	AbsentEnough int
}

// A Tracker counts the replies of one request.
type Tracker struct {
	want   Conditions
	mode   store.Mode
	owners []store.NodeID
	asked  map[store.NodeID]int // requests outstanding, by node
	acked  map[store.NodeID]bool
	absent map[store.NodeID]bool // answered, and had nothing
}

// New returns a tracker of the conditions. In strict mode only the owners count toward
// Acks, in sloppy mode any node. It panics if a condition is out of its range: options are
// checked at the door.
func New(want Conditions, mode store.Mode, owners []store.NodeID) *Tracker {
	n := len(owners)
	if want.Acks < 1 || want.Acks > n || want.Owners < 0 || want.Owners > n || want.Nodes < 0 || want.Nodes > n || want.AbsentEnough < 0 {
		panic(fmt.Sprintf("quorum: want %+v of %d", want, n))
	}
	return &Tracker{
		want: want, mode: mode, owners: owners,
		asked: map[store.NodeID]int{}, acked: map[store.NodeID]bool{}, absent: map[store.NodeID]bool{},
	}
}

// Asked notes that a request went out to the node.
func (t *Tracker) Asked(n store.NodeID) { t.asked[n]++ }

// Acked notes that the node did what it was asked.
func (t *Tracker) Acked(n store.NodeID) {
	t.answered(n)
	t.acked[n] = true
	delete(t.absent, n)
}

// Absent notes that the node has nothing to show, where that is no acknowledgement.
func (t *Tracker) Absent(n store.NodeID) {
	t.answered(n)
	if !t.acked[n] {
		t.absent[n] = true
	}
}

// Failed notes that the node refused, or that it is no longer waited for.
func (t *Tracker) Failed(n store.NodeID) { t.answered(n) }

func (t *Tracker) answered(n store.NodeID) {
	if t.asked[n]--; t.asked[n] <= 0 {
		delete(t.asked, n)
	}
}

func (t *Tracker) isOwner(n store.NodeID) bool { return slices.Contains(t.owners, n) }
func (t *Tracker) counts(n store.NodeID) bool  { return t.mode != store.Strict || t.isOwner(n) }

// A tally is how many distinct nodes of some sets there are, as each condition counts them.
type tally struct{ acks, owners, nodes int }

// count counts the nodes that acknowledged and, if asked for, those that had nothing and
// those that may still answer.
func (t *Tracker) count(absent, outstanding bool) (c tally) {
	seen := map[store.NodeID]bool{}
	add := func(n store.NodeID) {
		if seen[n] {
			return
		}
		seen[n] = true
		c.nodes++
		if t.counts(n) {
			c.acks++
		}
		if t.isOwner(n) {
			c.owners++
		}
	}
	for n := range t.acked {
		add(n)
	}
	if absent {
		for n := range t.absent {
			add(n)
		}
	}
	if outstanding {
		for n := range t.asked {
			add(n)
		}
	}
	return c
}

func (t *Tracker) met(c tally) bool {
	return c.acks >= t.want.Acks && c.owners >= t.want.Owners && c.nodes >= t.want.Nodes
}

// Acks returns the number of distinct nodes that acknowledged and count under the mode.
func (t *Tracker) Acks() int { return t.count(false, false).acks }

// Missing returns how many more acknowledgements are needed than requests that
// could still bring them: how many further nodes to ask. It is never negative.
func (t *Tracker) Missing() int {
	c := t.count(true, true)
	return max(0, t.want.Acks-c.acks, t.want.Owners-c.owners, t.want.Nodes-c.nodes)
}

// Short names the first condition that is not met, in the words of a store.QuorumError:
// what is counted, how many there are and how many there must be.
func (t *Tracker) Short() (counted string, have, need int) {
	c := t.count(true, false)
	switch {
	case c.acks >= t.want.Acks && c.owners < t.want.Owners:
		return "owners", c.owners, t.want.Owners
	case c.acks >= t.want.Acks && c.nodes < t.want.Nodes:
		return "nodes", c.nodes, t.want.Nodes
	}
	return "replicas", c.acks, t.want.Acks
}

// Verdict says whether the request is decided. Lost can turn into Pending again if
// a further node is asked.
func (t *Tracker) Verdict() Verdict {
	enough := t.want.AbsentEnough > 0 && len(t.absent) >= t.want.AbsentEnough
	switch {
	case t.met(t.count(false, false)):
		return Reached
	case (enough || len(t.asked) == 0) && t.met(t.count(true, false)):
		return Reached // nobody else can show the key, or so many have nothing that it is as good as absent
	case t.Missing() > 0:
		return Lost
	}
	return Pending
}
