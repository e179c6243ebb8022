package cartwheel

import (
	"reflect"
	"testing"

	"cartwheel/harness"
	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/transport"
)

func TestEveryFindingOfANodeBecomesAFlaw(t *testing.T) {
	for _, c := range []struct {
		name     string
		counters map[string]uint64
		check    *storage.TreeCheck
		want     map[string]int
	}{
		{name: "all is well", check: &storage.TreeCheck{Keys: 9}},
		{name: "not checked"},
		{name: "trees", check: &storage.TreeCheck{Leaves: 1, Orphans: 2, Trees: 3}, want: map[string]int{harness.TreeDrift: 6}},
		{name: "records", check: &storage.TreeCheck{Damaged: 4}, want: map[string]int{harness.DamagedRecord: 4}},
		{
			name: "noticed before", counters: map[string]uint64{"tree_drift": 5, "storage_amnesia": 6, "hints_held": 7},
			want: map[string]int{harness.TreeDrift: 5, harness.Amnesia: 6},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := map[string]int{}
			for _, f := range flaws(client.Status{Counters: c.counters}, client.TreeReport{Check: c.check}) {
				got[f.Kind] += f.Count
				if f.What == "" {
					t.Errorf("%s is not told in words", f.Kind)
				}
			}
			if len(got)+len(c.want) > 0 && !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestWhatANodeHasUsedBeyondItsLimitsIsAFlaw(t *testing.T) {
	st := client.Status{Counters: map[string]uint64{"hints_at_once": 4, "hints_at_once_limit": 4, "repair_same": sameMax}}
	if got := usage(st, true); len(got) != 0 {
		t.Errorf("within its limits: %v", got)
	}
	st.Hints = 5
	st.Counters["hints_at_once"], st.Counters["peer_calls_wasted"], st.Counters["admission_granted_beyond"] = 6, 3, 7
	st.Counters["repair_same"], st.Counters["hints_astray"] = sameMax+1, 2
	for _, c := range []struct {
		exact bool
		want  map[string]int
	}{
		{exact: true, want: map[string]int{harness.HintFlood: 2, harness.WastedCalls: 3, harness.Starved: 7, harness.StuckHints: 5, harness.AstrayHints: 2, harness.EndlessRepair: sameMax + 1}},
		{exact: false, want: map[string]int{harness.HintFlood: 2, harness.Starved: 7, harness.AstrayHints: 2, harness.EndlessRepair: sameMax + 1}}, // a machine that was busy explains the rest
	} {
		got := map[string]int{}
		for _, f := range usage(st, c.exact) {
			got[f.Kind] = f.Count
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("exact %t: got %v, want %v", c.exact, got, c.want)
		}
	}
}

func TestALayoutIsHeldAgainstWhatItHasToBe(t *testing.T) {
	members := []store.Member{{ID: "n1"}, {ID: "n2"}, {ID: "n3"}}
	known := func(capacity int) (m client.Members) {
		m.Live, m.Removed = make([]transport.LiveVersion, 1), []store.NodeID{"n4"}
		for i, s := range members {
			r := ring.Role{Member: s, Capacity: 1}
			if i == 0 {
				r.Capacity = capacity
			}
			m.Nodes = append(m.Nodes, transport.MemberState{Role: r})
		}
		return m
	}
	even := [][]store.NodeID{{"n1", "n2", "n3"}, {"n2", "n3", "n1"}, {"n3", "n1", "n2"}}
	uneven := [][]store.NodeID{{"n1", "n2", "n3"}, {"n1", "n3", "n2"}, {"n1", "n2", "n3"}}
	for _, c := range []struct {
		name       string
		partitions [][]store.NodeID
		capacity   int
		gone       []store.NodeID
		removed    store.NodeID // besides
		want       []string
	}{
		{name: "all is well", partitions: even, capacity: 1, gone: []store.NodeID{"n4"}},
		{name: "one owner of two", partitions: [][]store.NodeID{{"n1", "n1", "n2"}, even[1], even[2]}, capacity: 1, want: []string{harness.TwiceOwner}},
		{name: "more than a share", partitions: uneven, capacity: 1, want: []string{harness.UnevenShares}},
		{name: "of a larger node", partitions: uneven, capacity: 2},
		{name: "who left is not remembered", partitions: even, capacity: 1, gone: []store.NodeID{"n4", "n5"}, want: []string{harness.ForgottenMember}},
		{name: "who was removed is a member", partitions: even, capacity: 1, removed: "n3", want: []string{harness.ReturnedMember}},
		{name: "who was to leave stays", partitions: even, capacity: 1, gone: []store.NodeID{"n3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			m := known(c.capacity)
			if c.removed != "" {
				m.Removed = append(m.Removed, c.removed)
			}
			for _, f := range layoutFlaws(client.Layout{Members: members, Partitions: c.partitions, Replicas: 2}, m, c.gone) {
				got = append(got, f.Kind)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
