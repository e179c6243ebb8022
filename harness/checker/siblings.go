package checker

import (
	"context"
	"fmt"
	"strings"

	"cartwheel/harness"
)

// TooManySiblings is the kind of anomaly that [Siblings] finds: an answer shows more
// siblings than there can be.
const TooManySiblings = "too-many-siblings"

// Siblings counts the live siblings that gets showed. Branching is what the store is for
// (section 4.4 of the paper), but within bounds: of writes of which each carried a context
// that covers the one before, a read shows one at most, and none once something that it
// shows covers the last. So there are no more siblings than concurrent writers since
// then. What goes beyond is an explosion of siblings, which clients that merge all they see
// cannot stop. Growth within the bound is worth a look, too: clients write without reading.
func Siblings() harness.Checker { return newCheck("siblings", siblings) }

func siblings(ctx context.Context, x *index) harness.Finding {
	c := x.collect(TooManySiblings)
	reads, shown, branched, most := 0, 0, 0, 0
	byKey := make(map[string]int)
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		for i := range k.answers {
			a := &k.answers[i]
			if !a.client() {
				continue
			}
			n := int(a.live)
			reads++
			shown += n
			if n > 1 {
				branched++
			}
			most = max(most, n)
			byKey[k.key] = max(byKey[k.key], n)
			if shown, bound := k.crowded(a); shown > bound {
				c.add(TooManySiblings, shown, func() harness.Anomaly { return k.tellCrowd(a, shown, bound) })
			}
		}
	}
	if reads == 0 {
		return unknown("no get succeeded")
	}
	mean := float64(shown) / float64(reads)
	checked := count(reads, "get", "gets") + " of " + count(len(byKey), "key", "keys")
	f := c.finding(checked, nil, map[string]float64{
		"reads": float64(reads), "siblings_mean": mean, "siblings_max": float64(most), "branched_reads": float64(branched),
	})
	if rest, ok := strings.CutPrefix(f.Summary, "checked "+checked); ok { // what was counted says more
		f.Summary = fmt.Sprintf("%s showed %.2f siblings on average and %d at most; %d showed more than one%s", checked, mean, most, branched, rest)
	}
	for _, key := range widest(byKey) {
		if byKey[key] > 1 {
			f.Figures["siblings_max/"+key] = float64(byKey[key])
		}
	}
	return f
}
