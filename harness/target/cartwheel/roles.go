package cartwheel

import (
	"context"
	"fmt"
	"slices"

	"cartwheel/harness"
	"cartwheel/store/client"
)

// Find asks the ring for the owners of the role's key, and all nodes for the hints that
// they hold. The coordinator is the first of the owners, who coordinates what no other
// owner was asked for (section 4.3 of the Dynamo paper).
func (t *Target) Find(ctx context.Context, c harness.Cluster, r harness.Role) ([]harness.NodeID, error) {
	if r.Name == harness.HintHolder {
		return holder(ctx, c), nil
	}
	owners, err := t.Replicas(ctx, c, r.Key)
	if err != nil {
		return nil, err
	}
	var whom []harness.NodeID
	switch r.Name {
	case harness.Coordinator:
		whom = owners[:min(1, len(owners))]
	case harness.PreferenceList:
		whom = owners
	case harness.Replicas:
		n := max(1, r.Count)
		if n > len(owners) {
			return nil, fmt.Errorf("%d replicas of %q: there are %d", n, r.Key, len(owners))
		}
		whom = owners[len(owners)-n:]
	default:
		return nil, fmt.Errorf("no role is called %q", r.Name)
	}
	return slices.Sorted(slices.Values(whom)), nil
}

// holder is the node that holds most hints, the first of equals; none if there are no hints. A
// node that does not answer holds none that could be asked for.
func holder(ctx context.Context, c harness.Cluster) []harness.NodeID {
	var whom []harness.NodeID
	most := uint64(0)
	for _, n := range c.Nodes() {
		stats, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) ([]client.HintStat, error) { return a.HintStats(ctx) })
		if err != nil {
			continue
		}
		held := uint64(0)
		for _, s := range stats {
			held += s.Hints
		}
		if held > most {
			whom, most = []harness.NodeID{n}, held
		}
	}
	return whom
}
