package nemesis

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/grudge"
)

// Where too few nodes run for a quorum nobody uses a disk.
func TestADiskIsMadeBadOnlyWhileRequestsAreServed(t *testing.T) {
	nodes := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
	kill := func(from, to time.Duration, whom ...harness.NodeID) harness.Fault {
		return harness.Fault{Kind: KillKind, Start: from * time.Second, Stop: to * time.Second, Nodes: whom}
	}
	pause := func(from, to time.Duration, whom ...harness.NodeID) harness.Fault {
		f := kill(from, to, whom...)
		f.Kind = PauseKind
		return f
	}
	disk := harness.Fault{Kind: DiskKind, Start: 10 * time.Second, Stop: 14 * time.Second, Nodes: []harness.NodeID{"n4"}}
	for _, c := range []struct {
		name   string
		others []harness.Fault
		want   bool
	}{
		{"alone", nil, true},
		{"a minority dead", []harness.Fault{kill(8, 20, "n1", "n2")}, true},
		{"a minority dead and others frozen", []harness.Fault{kill(8, 20, "n1"), pause(9, 19, "n2", "n3")}, false},
		{"for most of the time only", []harness.Fault{kill(8, 20, "n1"), pause(11, 14, "n2", "n3")}, false},
		{"for a while only", []harness.Fault{kill(8, 20, "n1"), pause(12, 14, "n2", "n3")}, true},
		{"one node held twice", []harness.Fault{kill(8, 20, "n1", "n2"), pause(9, 19, "n1")}, true},
		{"before and after", []harness.Fault{kill(1, 10, "n1", "n2", "n3"), pause(14, 20, "n1", "n2", "n3")}, true},
	} {
		if got := served(c.others, nodes, disk); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}

// A change of members is undone in peace, and what cuts off a node that is gone anyway is left out.
func TestAChangeOfMembersIsUndoneInPeace(t *testing.T) {
	change := harness.Fault{ID: "m", Kind: MembershipKind, Name: "replace", Start: 10 * time.Second, Stop: 20 * time.Second, Nodes: []harness.NodeID{"n4"}}
	cut := func(from, to int, whom harness.NodeID) harness.Fault {
		return harness.Fault{
			Kind: PartitionKind, Start: time.Duration(from) * time.Second, Stop: time.Duration(to) * time.Second,
			Nodes: []harness.NodeID{whom}, Links: []harness.Link{{From: whom, To: "n1"}, {From: "n1", To: whom}},
		}
	}
	slow := cut(18, 26, "n2")
	slow.Kind = PacketKind
	for _, tt := range []struct {
		name     string
		fault    harness.Fault
		from, to int // 0, 0: left out
	}{
		{"while it is made", cut(12, 16, "n2"), 12, 16},
		{"over its end", cut(17, 23, "n2"), 17, 20},
		{"in the calm, and beyond", cut(24, 36, "n2"), 32, 36},
		{"in the calm", cut(22, 30, "n2"), 0, 0},
		{"long after", cut(40, 44, "n2"), 40, 44},
		{"of the node that is gone", cut(12, 16, "n4"), 0, 0},
		{"of it before it was", cut(5, 9, "n4"), 5, 9},
		{"a bad link", slow, 18, 26},
	} {
		var got []harness.Fault
		for _, f := range leaveCalm([]harness.Fault{change, tt.fault}) {
			if f.ID != change.ID {
				got = append(got, f)
			}
		}
		if tt.to == 0 {
			if len(got) != 0 {
				t.Errorf("%s: got %v to %v, want it left out", tt.name, got[0].Start, got[0].Stop)
			}
			continue
		}
		if len(got) != 1 || got[0].Start != time.Duration(tt.from)*time.Second || got[0].Stop != time.Duration(tt.to)*time.Second {
			t.Errorf("%s: got %+v, want %d to %d s", tt.name, got, tt.from, tt.to)
		}
	}
}

// A change that is to be late begins when the nearest partition has ended, and strikes a node that this did not name.
func TestLateChangesBeginWhenAPartitionHasEnded(t *testing.T) {
	change := harness.Fault{Kind: MembershipKind, Name: late + "leave", Start: 10 * time.Second, Stop: 20 * time.Second, Nodes: []harness.NodeID{"n1"}}
	cut := harness.Fault{Kind: PartitionKind, Start: 3 * time.Second, Stop: 8 * time.Second, Nodes: []harness.NodeID{"n1"}, Links: []harness.Link{{From: "n1", To: "n2"}, {From: "n2", To: "n1"}}}
	far := cut
	far.Start, far.Stop = 14*time.Second, 18*time.Second
	got := cutBehind([]harness.Fault{cut, change, far})[1]
	if got.Start != cut.Stop+lateBy || got.Stop-got.Start != change.Stop-change.Start || !slices.Equal(got.Nodes, []harness.NodeID{"n2"}) {
		t.Errorf("got %+v", got)
	}
	change.Nodes = []harness.NodeID{"n3"}
	if got := cutBehind([]harness.Fault{cut, change})[1]; !slices.Equal(got.Nodes, change.Nodes) {
		t.Errorf("it strikes %v, and might as well strike whom it was to", got.Nodes)
	}
	clients := cut
	clients.Links = []harness.Link{{From: harness.Clients, To: "n1"}, {From: "n1", To: harness.Clients}}
	for _, left := range [][]harness.Fault{{change}, {clients, change}, {cut, {Kind: MembershipKind, Name: "leave", Start: 10 * time.Second, Stop: 20 * time.Second}}} {
		if got := cutBehind(left); !reflect.DeepEqual(got, left) {
			t.Errorf("got %+v, want %+v", got, left)
		}
	}
}

// A change that is to be made amid a partition lies within the one that begins nearest, meets no other, and strikes a node that hears least.
func TestChangesAmidAPartitionAreMadeWhereTheyAreNotHeard(t *testing.T) {
	change := harness.Fault{Kind: MembershipKind, Name: amid + "leave", Start: 10 * time.Second, Stop: 28 * time.Second, Nodes: []harness.NodeID{"n1"}}
	nodes := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
	at := func(from, to time.Duration, c grudge.Cut) harness.Fault {
		return harness.Fault{Kind: PartitionKind, Start: from * time.Second, Stop: to * time.Second, Nodes: c.Side, Links: c.Links}
	}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		deaf, alone := grudge.Deaf(r, nodes), grudge.Isolate(r, nodes)
		for _, tt := range []struct {
			cut  grudge.Cut
			want []harness.NodeID // one of them
		}{{deaf, deaf.Side}, {alone, alone.Side}, {grudge.Halves(r, nodes), nil}} {
			near, met, far := at(8, 12, tt.cut), at(20, 24, deaf), at(30, 34, deaf)
			plan := cutAround([]harness.Fault{near, change, met, far})
			if len(plan) != 3 || !reflect.DeepEqual(plan[2], far) {
				t.Fatalf("got %+v, want the change, the partition around it, and the one behind it", plan)
			}
			p, m := plan[0], plan[1]
			if p.Start != change.Start-amidAhead || p.Stop != change.Stop || m.Start != change.Start || m.Stop != change.Stop {
				t.Fatalf("cut from %v to %v around a change from %v to %v", p.Start, p.Stop, m.Start, m.Stop)
			}
			if len(m.Nodes) != 1 || tt.want != nil && !slices.Contains(tt.want, m.Nodes[0]) || tt.want == nil && !slices.Contains(tt.cut.Side, m.Nodes[0]) {
				t.Fatalf("it strikes %v; side %v of %v", m.Nodes, tt.cut.Side, tt.cut.Links)
			}
		}
	}
	plain := []harness.Fault{at(8, 12, grudge.Cut{}), {Kind: MembershipKind, Name: "leave", Start: 10 * time.Second, Stop: 20 * time.Second}}
	for _, left := range [][]harness.Fault{{change}, plain} {
		if got := cutAround(left); !reflect.DeepEqual(got, left) {
			t.Errorf("got %+v, want %+v", got, left)
		}
	}
}

// A partition that would begin just after a change begins just before it, every other time.
func TestEveryOtherChangeBeginsWhileNodesAreCutApart(t *testing.T) {
	change := harness.Fault{Kind: MembershipKind, Name: "leave", Start: 10 * time.Second, Stop: 20 * time.Second}
	cut := harness.Fault{Kind: PartitionKind, Start: 12 * time.Second, Stop: 16 * time.Second}
	after := cut
	after.Start, after.Stop = 22*time.Second, 26*time.Second
	early := 0
	const tries = 200
	for seed := range uint64(tries) {
		plan := cutBefore(rand.New(rand.NewPCG(seed, 0)), []harness.Fault{change, cut, after})
		switch p := plan[1]; p.Start {
		case change.Start - cutAhead:
			early++
		case cut.Start:
		default:
			t.Fatalf("it begins at %v", p.Start)
		}
		if p := plan[1]; p.Stop-p.Start != cut.Stop-cut.Start || plan[0].Start != change.Start || plan[2].Start != after.Start {
			t.Fatalf("got %+v", plan)
		}
	}
	if early < tries/3 || early > 2*tries/3 {
		t.Errorf("%d of %d changes began while nodes were cut apart", early, tries)
	}
}

// A node that is replaced does not come back before the change is undone, so what a fault did to it in
// between could not be looked at: another takes its place, however much later the change begins.
func TestNodesThatWillBeReplacedAreSpared(t *testing.T) {
	nodes := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
	replace := harness.Fault{ID: "f2", Kind: MembershipKind, Name: "replace", Nodes: []harness.NodeID{"n3"}, Spare: "n6", Start: 8 * time.Second, Stop: 14 * time.Second}
	for _, c := range []struct {
		kind     string
		from, to time.Duration
		spared   bool
	}{
		{ClockKind, 2, 9, true},
		{PauseKind, 2, 7, true}, // until just before it
		{ClockKind, 2, 5, false},
		{ClockKind, 20, 24, true}, // while it is undone
		{ClockKind, 27, 30, false},
	} {
		f := harness.Fault{ID: "f1", Kind: c.kind, Name: "one", Nodes: []harness.NodeID{"n3"}, Start: c.from * time.Second, Stop: c.to * time.Second}
		for _, got := range spare([]harness.Fault{f, replace}, nodes) {
			if got.ID == "f1" && (len(got.Nodes) != 1 || (got.Nodes[0] != "n3") != c.spared) {
				t.Errorf("%s from %ds to %ds strikes %v, want n3 spared: %t", c.kind, c.from, c.to, got.Nodes, c.spared)
			}
		}
	}
}
