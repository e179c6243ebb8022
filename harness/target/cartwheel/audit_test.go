package cartwheel

import (
	"reflect"
	"testing"

	"cartwheel/harness"
	"cartwheel/store/client"
	"cartwheel/store/storage"
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
