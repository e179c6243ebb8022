package cartwheel

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/store/client"
)

// looksToTake is how often each node looks for tombstones once its owners are equal: the first time all have them, and what
// is confirmed is dropped before a look has ended.
const looksToTake = 3

// A vigil waits, once the load is over, until what tombstones there are must have been collected, by what nodes say:
// first nothing is left to be delivered, then each pair of nodes has compared equal, then each has looked often enough.
type vigil struct {
	calm   map[harness.NodeID]time.Duration // how long each ran when nothing was left to be delivered; nil: not yet
	equal  map[harness.NodeID]uint64        // looks of each when all pairs had compared equal since; nil: not yet
	looked bool
}

// looking takes what all nodes say and tells who has still to look; nothing where nothing is collected.
func (t *Target) looking(all map[harness.NodeID]client.Status) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := &t.vigil
	if t.collects == 0 || v.looked {
		return ""
	}
	nodes := slices.Sorted(maps.Keys(all))
	if v.calm == nil && !slices.ContainsFunc(nodes, func(n harness.NodeID) bool { return busy(all[n]) }) {
		v.calm = map[harness.NodeID]time.Duration{}
		for _, n := range nodes {
			v.calm[n] = all[n].Uptime
		}
	}
	if v.equal == nil && v.calm != nil && !slices.ContainsFunc(nodes, func(n harness.NodeID) bool {
		return slices.ContainsFunc(all[n].Peers, func(p client.PeerStatus) bool { return !p.Compared || p.CleanAge >= all[n].Uptime-v.calm[n] })
	}) {
		v.equal = map[harness.NodeID]uint64{}
		for _, n := range nodes {
			v.equal[n] = all[n].Counters["tombstones_looks"]
		}
	}
	left := slices.DeleteFunc(nodes, func(n harness.NodeID) bool {
		return v.equal != nil && all[n].Counters["tombstones_looks"] >= v.equal[n]+looksToTake
	})
	if v.looked = len(left) == 0; v.looked {
		return ""
	}
	names := make([]string, len(left))
	for i, n := range left {
		names[i] = string(n)
	}
	return "tombstones are still looked for by " + strings.Join(names, ", ")
}

// busy reports whether something may still be on its way from a node, or cannot be.
func busy(st client.Status) bool {
	return st.Fault != "" || st.InFlight > 0 || st.Hints > 0 ||
		slices.ContainsFunc(st.Peers, func(p client.PeerStatus) bool { return !p.Up })
}
