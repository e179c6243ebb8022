package quorum

import (
	"testing"

	"cartwheel/store"
)

// While c is replaced by d, a write needs two of a, b, c and two of a, b, d.
func TestAGroupNeedsItsQuorumInEachLayout(t *testing.T) {
	type step struct{ node, owner store.NodeID } // an acknowledgement
	old, next := []store.NodeID{"a", "b", "c"}, []store.NodeID{"a", "b", "d"}
	for _, c := range []struct {
		name   string
		want   Conditions
		mode   store.Mode
		acks   []step
		failed []step // after them
		is     Verdict
		have   int // of the replicas counted, in the layout that lacks some
	}{
		{name: "both of the common owners", want: Conditions{Acks: 2}, acks: []step{{"a", "a"}, {"b", "b"}}, is: Reached, have: 2},
		{name: "one of each", want: Conditions{Acks: 2}, acks: []step{{"c", "c"}, {"d", "d"}}, is: Pending, have: 1},
		{name: "a quorum of the old only", want: Conditions{Acks: 2}, acks: []step{{"a", "a"}, {"c", "c"}}, is: Pending, have: 1},
		{name: "lost in the new", want: Conditions{Acks: 2}, acks: []step{{"a", "a"}, {"c", "c"}}, failed: []step{{"b", "b"}, {"d", "d"}}, is: Lost, have: 1},
		{name: "a stand-in counts where its owner is one", want: Conditions{Acks: 2}, acks: []step{{"a", "a"}, {"f", "c"}}, is: Pending, have: 1},
		{name: "stand-ins in both", want: Conditions{Acks: 2}, acks: []step{{"a", "a"}, {"f", "c"}, {"g", "d"}}, is: Reached, have: 2},
		{name: "a stand-in for a common owner counts in both", want: Conditions{Acks: 2}, acks: []step{{"a", "a"}, {"f", "b"}}, is: Reached, have: 2},
		{name: "strict: a stand-in counts nowhere", want: Conditions{Acks: 2}, mode: store.Strict, acks: []step{{"a", "a"}, {"f", "b"}}, is: Pending, have: 1},
		{name: "owners themselves, in both", want: Conditions{Acks: 2, Owners: 2}, acks: []step{{"a", "a"}, {"f", "b"}, {"c", "c"}}, is: Pending, have: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := NewGroup(c.want, c.mode, [][]store.NodeID{old, next})
			for _, o := range []store.NodeID{"a", "b", "c", "d"} {
				g.Asked(o, o)
			}
			for _, s := range c.acks {
				if s.node != s.owner {
					g.Failed(s.owner, s.owner)
					g.Asked(s.node, s.owner)
				}
				g.Acked(s.node, s.owner)
			}
			for _, s := range c.failed {
				g.Failed(s.node, s.owner)
			}
			if got := g.Verdict(); got != c.is {
				t.Errorf("got %s, want %s", got, c.is)
			}
			if _, have, _ := g.Short(); have != c.have {
				t.Errorf("short: %d, want %d", have, c.have)
			}
		})
	}
}
