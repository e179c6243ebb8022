package checker

import (
	"testing"
	"time"

	"cartwheel/harness"
)

// TestEventsAreWantedOnlyWhereAPlanCanBringThemAbout guards both sides: an event that is
// never wanted proves nothing, one that cannot happen makes every run unknown.
func TestEventsAreWantedOnlyWhereAPlanCanBringThemAbout(t *testing.T) {
	all := []harness.NodeID{"n1", "n2", "n3"}
	split := harness.Fault{ID: "f1", Kind: "partition", Nodes: all[:1], Links: []harness.Link{
		{From: "n1", To: "n2"}, {From: "n1", To: "n3"}, {From: "n2", To: "n1"}, {From: "n3", To: "n1"},
	}}
	oneWay, named := split, split
	oneWay.Links = split.Links[:2]
	named.Nodes = all[1:] // the larger side is named: the smaller is still n1
	pause := harness.Fault{ID: "f1", Kind: "pause", Nodes: all[:1], Stop: time.Second}
	plan := func(change func(*harness.Plan), faults ...harness.Fault) harness.Plan {
		p := harness.Plan{Nodes: all, Concurrency: 5, Schedule: faults}
		if change != nil {
			change(&p)
		}
		return p
	}
	strict := func(p *harness.Plan) { p.Write.Strict = true }
	for _, c := range []struct {
		name  string
		event harness.Event
		plan  harness.Plan
		want  bool
	}{
		{"a split", MinorityAck(), plan(nil, split), true},
		{"a split by its larger side", MinorityAck(), plan(nil, named), true},
		{"a split with strict quorums", MinorityAck(), plan(strict, split), false},
		{"one way only", MinorityAck(), plan(nil, oneWay), false},
		{"no split", MinorityAck(), plan(nil, pause), false},
		{"hint under a fault", Hinted(), plan(nil, pause), true},
		{"hint without a fault", Hinted(), plan(nil), false},
		{"hint with strict quorums", Hinted(), plan(strict, pause), false},
		{"merge by many", SiblingsMerged(), plan(nil), true},
		{"merge by one alone", SiblingsMerged(), plan(func(p *harness.Plan) { p.Concurrency = 1 }), false},
		{"repair under a fault", Repaired(), plan(nil, split), true},
		{"repair switched off", Repaired(), plan(func(p *harness.Plan) { p.Read.Repair = "none" }, split), false},
	} {
		if got := c.event.Needs(c.plan); got != c.want {
			t.Errorf("%s: %q is wanted: %t, want %t", c.name, c.event.Name, got, c.want)
		}
	}
}

func TestStoresOwnAccountOfAWriteIsRead(t *testing.T) {
	op := harness.Op{Kind: harness.OK, F: harness.Put, Key: "x", Value: "a"}
	get := harness.Op{Kind: harness.OK, F: harness.Get, Key: "x"}
	for _, c := range []struct {
		name  string
		event harness.Event
		op    harness.Op
		meta  *harness.Meta
		want  int
	}{
		{"no account", Hinted(), op, nil, 0},
		{"hints counted", Hinted(), op, &harness.Meta{Hinted: 1}, 1},
		{"a stand-in took it", Hinted(), op, &harness.Meta{Replies: []harness.Reply{{Node: "n4", For: "n1", State: "ok"}}}, 1},
		{"a stand-in failed", Hinted(), op, &harness.Meta{Replies: []harness.Reply{{Node: "n4", For: "n1", State: "failed"}}}, 0},
		{"an owner for itself", Hinted(), op, &harness.Meta{Replies: []harness.Reply{{Node: "n1", For: "n1", State: "ok"}}}, 0},
		{"repairs counted", Repaired(), get, &harness.Meta{Repairs: 1}, 1},
		{"a replica repaired", Repaired(), get, &harness.Meta{Replies: []harness.Reply{{Node: "n4", State: "repaired"}}}, 1},
		{"a replica stale", Repaired(), get, &harness.Meta{Replies: []harness.Reply{{Node: "n4", State: "stale"}}}, 0},
		{"forwarded", Forwarded(), op, &harness.Meta{Forwarded: true}, 1},
		{"not forwarded", Forwarded(), op, &harness.Meta{}, 0},
	} {
		c.op.Meta = c.meta
		if got := c.event.Count([]harness.Op{c.op}); got != c.want {
			t.Errorf("%s: counted %d, want %d", c.name, got, c.want)
		}
	}
}

// Where all nodes die at once nobody is left who would be kept from another.
func TestOnlyFaultsOfSomeKeepNodesApart(t *testing.T) {
	nodes := []harness.NodeID{"n1", "n2", "n3"}
	for _, c := range []struct {
		fault harness.Fault
		want  bool
	}{
		{harness.Fault{Kind: "kill", Nodes: nodes[:1]}, true},
		{harness.Fault{Kind: "kill", Role: &harness.Role{}}, true},
		{harness.Fault{Kind: "kill", Nodes: nodes}, false},
		{harness.Fault{Kind: "pause", Nodes: nodes[:1]}, true},
		{harness.Fault{Kind: "partition"}, true},
		{harness.Fault{Kind: "clock", Nodes: nodes[:1]}, false},
	} {
		if got := KeepsApart(harness.Plan{Nodes: nodes, Schedule: []harness.Fault{c.fault}}); got != c.want {
			t.Errorf("%s of %v: got %t, want %t", c.fault.Kind, c.fault.Nodes, got, c.want)
		}
	}
}
