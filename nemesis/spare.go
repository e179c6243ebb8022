package nemesis

import (
	"slices"
	"time"

	"cartwheel/harness"
)

// spareAround is how long before and after a planned kill its nodes are spared: faults
// take their time to strike and to heal.
const spareAround = 2 * time.Second

// spare keeps faults of nodes from striking those that are dead by the plan, where they
// could not bite: another node takes the place of one, and a fault that finds none is left
// out. Kills themselves strike whom they like: one that hits a paused node ends its pause.
func spare(faults []harness.Fault, nodes []harness.NodeID) []harness.Fault {
	var plan []harness.Fault
	for _, f := range faults {
		if f.Kind == KillKind || len(f.Links) > 0 || len(f.Nodes) == 0 {
			plan = append(plan, f)
			continue
		}
		dead := deadAround(faults, f.Start)
		whom := slices.DeleteFunc(slices.Clone(f.Nodes), func(n harness.NodeID) bool { return dead[n] })
		for _, n := range nodes {
			if len(whom) < len(f.Nodes) && !dead[n] && !slices.Contains(whom, n) {
				whom = append(whom, n)
			}
		}
		if len(whom) > 0 {
			slices.Sort(whom)
			f.Nodes = whom
			plan = append(plan, f)
		}
	}
	return plan
}

// deadAround lists the nodes that kills are planned to hold close to an instant.
func deadAround(faults []harness.Fault, at time.Duration) map[harness.NodeID]bool {
	dead := make(map[harness.NodeID]bool)
	for _, k := range faults {
		if k.Kind == KillKind && k.Start-spareAround < at && at < k.Stop+spareAround {
			for _, n := range k.Nodes {
				dead[n] = true
			}
		}
	}
	return dead
}
