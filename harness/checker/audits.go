package checker

import (
	"context"
	"fmt"

	"cartwheel/harness"
)

// Audits reports what nodes found wrong with themselves at the end of a run: what they keep
// up beside their records, and what no answer to a client tells. A wrong hash tree says "equal" of
// replicas that differ (section 4.7 of the paper), and breaks a promise only much later; so does a
// layout that puts two replicas on one node, or that not all nodes know.
func Audits() harness.Checker { return newCheck("audits", audits) }

func audits(_ context.Context, x *index) harness.Finding {
	c := x.collect(harness.TreeDrift, harness.DamagedRecord, harness.Amnesia,
		harness.TwiceOwner, harness.UnevenShares, harness.OtherLayout, harness.ForgottenMember)
	nodes := 0
	var doubts []string
	for _, op := range x.audits {
		if op.Kind != harness.OK {
			doubts = append(doubts, fmt.Sprintf("%s was not audited: %s", op.Node, op.Error))
			continue
		}
		nodes++
		for _, flaw := range op.Flaws {
			c.add(flaw.Kind, -flaw.Count, func() harness.Anomaly {
				return harness.Anomaly{
					Ops:   []int{op.Index},
					Story: []string{fmt.Sprintf("After the run %s found in itself: %s.", op.Node, flaw.What)},
				}
			})
		}
	}
	if len(x.times) == 0 {
		return unknown("an empty history")
	}
	if len(x.audits) == 0 {
		return c.finding("no node: this store cannot audit itself", nil, map[string]float64{"audited": 0})
	}
	return c.finding(count(nodes, "node", "nodes"), doubts, map[string]float64{"audited": float64(nodes)})
}
