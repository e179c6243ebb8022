package cartwheel

import (
	"slices"
	"testing"

	"cartwheel/harness"
	"cartwheel/store/storepb"
)

func TestRolesAreFoundInTheRingAndAmongHints(t *testing.T) {
	owners := &storepb.ReadReplicaReply{Owners: []string{"n4", "n2", "n1"}}
	c := start(t, nil,
		&node{replica: owners},
		&node{replica: owners, hints: []*storepb.HintStatsReply_Target{{Node: "n1", Hints: 2}}},
		&node{replica: owners, hints: []*storepb.HintStatsReply_Target{{Node: "n1", Hints: 1}, {Node: "n2", Hints: 4}}},
	)
	for _, tt := range []struct {
		role harness.Role
		want []harness.NodeID
		bad  bool
	}{
		{role: harness.Role{Name: harness.Coordinator, Key: "k"}, want: []harness.NodeID{"n4"}},
		{role: harness.Role{Name: harness.PreferenceList, Key: "k"}, want: []harness.NodeID{"n1", "n2", "n4"}},
		{role: harness.Role{Name: harness.Replicas, Key: "k"}, want: []harness.NodeID{"n1"}},
		{role: harness.Role{Name: harness.Replicas, Key: "k", Count: 2}, want: []harness.NodeID{"n1", "n2"}},
		{role: harness.Role{Name: harness.Replicas, Key: "k", Count: 4}, bad: true},
		{role: harness.Role{Name: harness.HintHolder}, want: []harness.NodeID{"n4"}},
		{role: harness.Role{Name: "king", Key: "k"}, bad: true},
	} {
		got, err := New().Find(t.Context(), c, tt.role)
		if !slices.Equal(got, tt.want) || (err != nil) != tt.bad {
			t.Errorf("%+v: got %v, %v; want %v", tt.role, got, err, tt.want)
		}
	}
	if got, err := New().Find(t.Context(), start(t, &node{}), harness.Role{Name: harness.HintHolder}); len(got) > 0 || err != nil {
		t.Errorf("nobody holds hints: got %v, %v", got, err)
	}
}
