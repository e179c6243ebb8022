package nemesis

import (
	"testing"
	"time"

	"cartwheel/harness"
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
