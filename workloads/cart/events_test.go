package cart

import (
	"testing"
	"time"

	"cartwheel/harness"
)

// A required event that a schedule cannot bring about would make a good run unknown.
func TestAMinorityMustAcknowledgeOnlyWhereItCan(t *testing.T) {
	all := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
	cut := func(name string, side ...harness.NodeID) harness.Fault {
		f := harness.Fault{ID: "f1", Kind: "partition", Name: name, Nodes: side, Start: 2 * time.Second, Stop: 6 * time.Second}
		for _, a := range side {
			for _, b := range all {
				if a != b && (len(side) < 2 || b != side[0] && b != side[1]) {
					f.Links = append(f.Links, harness.Link{From: a, To: b}, harness.Link{From: b, To: a})
				}
			}
		}
		return f
	}
	beside := func(kind string, from time.Duration, nodes ...harness.NodeID) []harness.Fault {
		return []harness.Fault{{ID: "f2", Kind: kind, Nodes: nodes, Start: from, Stop: from + 3*time.Second}}
	}
	for _, c := range []struct {
		name   string
		w      int
		fault  harness.Fault
		others []harness.Fault
		want   bool
	}{
		{"two nodes, the store's W", 0, cut("minority", "n1", "n2"), nil, true},
		{"one node, the store's W", 0, cut("minority", "n1"), nil, false},
		{"one node, W=1", 1, cut("minority", "n1"), nil, true},
		{"two nodes, W=3", 3, cut("halves", "n1", "n2"), nil, false},
		{"a shape that splits nothing", 0, cut("bridge", "n1", "n2"), nil, false},
		{"one of them is paused as well", 0, cut("minority", "n1", "n2"), beside("pause", 5*time.Second, "n2", "n3"), false},
		{"one of them is paused long afterwards", 0, cut("minority", "n1", "n2"), beside("pause", 16*time.Second, "n2"), true},
		{"one of them is paused soon afterwards", 0, cut("minority", "n1", "n2"), beside("pause", 6*time.Second, "n2"), false},
		{"another cut follows", 0, cut("minority", "n1", "n2"), beside("partition", 6*time.Second, "n2"), true},
		{"one of the others is paused", 0, cut("minority", "n1", "n2"), beside("pause", 2*time.Second, "n4"), true},
		{"members change meanwhile", 0, cut("minority", "n1", "n2"), beside("membership", 0, "n4"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := harness.Plan{Nodes: all, Write: harness.WriteOptions{W: c.w}, Schedule: append(c.others, c.fault)}
			for _, e := range events() {
				if e.Name == "a cut-off minority acknowledged a write" && e.Needs(p) != c.want {
					t.Errorf("needed: %v, want %v", !c.want, c.want)
				}
			}
		})
	}
}
