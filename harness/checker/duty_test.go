package checker

import (
	"testing"
	"time"

	"cartwheel/harness"
)

// TestASessionIsOwedWhatItsSideHolds: a session's read has to succeed if its answer before came from the side it is on, since that side
// came about.
func TestASessionIsOwedWhatItsSideHolds(t *testing.T) {
	const s = time.Second
	all := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
	halves := harness.Fault{ID: "f1", Kind: "partition", Nodes: []harness.NodeID{"n1", "n2"}}
	one := harness.Link{From: "n2", To: "n3"}
	leaky := harness.Fault{ID: "f1", Kind: "partition", Nodes: []harness.NodeID{"n1"}}
	for _, l := range []harness.NodeID{"n4", "n5"} {
		leaky.Links = append(leaky.Links, harness.Link{From: "n1", To: l})
	}
	leaky.Links = append(leaky.Links, one)
	for _, c := range []struct {
		name  string
		fault harness.Fault
		node  harness.NodeID // that the session's answer came from
		at    time.Duration  // when it was asked for
		want  bool
	}{
		{name: "of this side", fault: halves, node: "n2", at: 12 * s, want: true},
		{name: "of this node", fault: halves, node: "n1", at: 11 * s, want: true},
		{name: "of the other side", fault: halves, node: "n3", at: 12 * s},
		{name: "of before", fault: halves, node: "n2", at: 9 * s},
		{name: "of a side that others reach into", fault: leaky, node: "n1", at: 12 * s},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &duty{
				owners: map[string][]harness.NodeID{}, issued: map[string]issue{},
				weather: &weather{nodes: all, reaches: map[string]*reach{}, windows: []window{{fault: c.fault, begun: 10 * s, from: 10 * s, heldTill: 20 * s, to: 20 * s}}},
			}
			d.learn(request{
				inv:  harness.Op{F: harness.Put, Key: "k", Node: c.node, Time: c.at},
				done: harness.Op{Kind: harness.OK, Token: []byte("seen"), Time: c.at + s/10},
			})
			r := request{inv: harness.Op{F: harness.Get, Key: "k", Node: "n1", Context: []byte("seen"), Time: 13 * s}, done: harness.Op{Kind: harness.Fail, Time: 15 * s}}
			if got := d.judged(r, d.weather.during(r.inv.Time, r.done.Time)); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

// TestAClientThatRoutesHasToLearnTheLayout: a forwarded write counts where nothing has happened for long.
func TestAClientThatRoutesHasToLearnTheLayout(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name      string
		at        time.Duration
		forwarded bool
		routed    bool
		want      bool
	}{
		{name: "long after the change", at: 33 * s, forwarded: true, routed: true, want: true},
		{name: "to the right node", at: 33 * s, routed: true},
		{name: "soon after the change", at: 31 * s, forwarded: true, routed: true},
		{name: "while members change", at: 15 * s, forwarded: true, routed: true},
		{name: "at the start", at: 5 * s, forwarded: true, routed: true},
		{name: "of a client that knows no layout", at: 33 * s, forwarded: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &duty{
				plan:    harness.Plan{Store: harness.StoreOptions{Routed: c.routed}},
				weather: &weather{windows: []window{{fault: harness.Fault{Kind: "membership"}, begun: 10 * s, from: 10 * s, heldTill: 18 * s, to: 20 * s}}},
			}
			r := request{inv: harness.Op{F: harness.Put, Time: c.at}, done: harness.Op{Kind: harness.OK, Time: c.at + s/10, Meta: &harness.Meta{Forwarded: c.forwarded}}}
			if got := d.misrouted(r); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}
