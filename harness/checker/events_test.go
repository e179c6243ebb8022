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
		{harness.Fault{Kind: "pause", Nodes: nodes}, false},
		{harness.Fault{Kind: "pause", Role: &harness.Role{}}, true},
		{harness.Fault{Kind: "partition"}, true},
		{harness.Fault{Kind: "clock", Nodes: nodes[:1]}, false},
	} {
		if got := KeepsApart(harness.Plan{Nodes: nodes, Schedule: []harness.Fault{c.fault}}); got != c.want {
			t.Errorf("%s of %v: got %t, want %t", c.fault.Kind, c.fault.Nodes, got, c.want)
		}
	}
}

// A heal looks before it undoes anything whether the fault is still in force, which takes seconds on a busy
// machine; what a minority acknowledges meanwhile counts as long as every look says that it is.
func TestACutIsInForceUntilItsHealHasLastSeenIt(t *testing.T) {
	split := harness.Fault{ID: "f1", Kind: "partition", Nodes: []harness.NodeID{"n1"}, Links: []harness.Link{
		{From: "n1", To: "n2"}, {From: "n1", To: "n3"}, {From: "n2", To: "n1"}, {From: "n3", To: "n1"},
	}}
	look := func(at time.Duration, got bool) harness.Probe {
		return harness.Probe{When: "during", Want: true, Got: got, Time: at * time.Second}
	}
	for _, c := range []struct {
		name   string
		probes []harness.Probe
		want   int
	}{
		{"seen by its heal", []harness.Probe{look(2, true), look(9, true), {When: "after", Time: 11 * time.Second}}, 2},
		{"seen before its heal only", []harness.Probe{look(2, true)}, 1},
		{"open when its heal looked", []harness.Probe{look(2, true), look(9, false)}, 1},
		{"a look that came too late", []harness.Probe{look(20, true)}, 2},
	} {
		h := []harness.Op{
			{Process: harness.NemesisProcess, Kind: harness.Invoke, Action: injectAction, Fault: &split, Time: time.Second},
			{Process: harness.NemesisProcess, Kind: harness.OK, Action: injectAction, Fault: &split, Time: 2 * time.Second, Evidence: &harness.Evidence{Injected: time.Second}},
			{Process: harness.NemesisProcess, Kind: harness.Invoke, Action: healAction, Fault: &split, Time: 4 * time.Second},
			{Process: harness.NemesisProcess, Kind: harness.OK, Action: healAction, Fault: &split, Time: 12 * time.Second, Evidence: &harness.Evidence{Injected: time.Second, Healed: 10 * time.Second, Probes: c.probes}},
		}
		put := func(p int, node harness.NodeID, from, to time.Duration) {
			op := harness.Op{Process: p, Kind: harness.Invoke, F: harness.Put, Key: "k", Node: node, Time: from * time.Second}
			h = append(h, op)
			op.Kind, op.Time = harness.OK, to*time.Second
			h = append(h, op)
		}
		put(0, "n1", 2, 3)
		put(1, "n1", 7, 8)
		put(2, "n1", 8, 13) // it may have been healed by then
		put(3, "n2", 2, 3)
		if got := MinorityAck().Count(h); got != c.want {
			t.Errorf("%s: counted %d, want %d", c.name, got, c.want)
		}
	}
}
