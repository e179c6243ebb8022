package nemesis

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"cartwheel/harness"
)

// tour is the sort of [Membership] whose changes come on top of each other, and, with a dash, what the
// names of its changes begin with.
const tour = "tour"

// sortOf is what a change of members does: join, leave, replace, rebuild or zombie.
func sortOf(f harness.Fault) string {
	for _, when := range []string{tour + "-", late, amid} {
		if rest, ok := strings.CutPrefix(f.Name, when); ok {
			return rest
		}
	}
	return f.Name
}

// ofTour reports whether other changes may come on top of this one.
func ofTour(f harness.Fault) bool { return strings.HasPrefix(f.Name, tour+"-") }

// planTour plans one tour over the whole load: five members grow to seven, go back to five, shrink to
// four, and while they are four one of them is wiped and replaced. There is time between two changes
// in proportion to the load, of which it takes two minutes in containers.
func planTour(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	whom := r.Perm(len(nodes))
	var plan []harness.Fault
	for i, step := range []struct {
		sort        string
		from, until float64 // of the load
		node, spare int     // which of the drawn nodes, from 1, and which of the added ones; 0: none
	}{
		{"join", 0.05, 0.46, 0, 1},
		{"join", 0.17, 0.34, 0, 2},
		{"leave", 0.56, 0.92, 1, 0},
		{"replace", 0.68, 0.80, 2, 3},
	} {
		f := harness.Fault{
			ID: fmt.Sprintf("f%d", i+1), Kind: MembershipKind, Name: tour + "-" + step.sort,
			Start: time.Duration(step.from * float64(span)), Stop: time.Duration(step.until * float64(span)),
		}
		if step.node > 0 {
			f.Nodes = []harness.NodeID{nodes[whom[step.node-1]]}
		}
		if step.spare > 0 {
			f.Spare = harness.NodeID(fmt.Sprintf("n%d", len(nodes)+step.spare))
		}
		plan = append(plan, f)
	}
	return plan
}
