package checker

import (
	"context"
	"fmt"
	"slices"

	"cartwheel/harness"
)

// Audits reports what nodes found wrong with themselves at the end of a run: what they keep
// up beside their records, and what no answer to a client tells. A wrong hash tree says "equal" of
// replicas that differ (section 4.7 of the paper), and breaks a promise only much later; so does a
// layout that puts two replicas on one node, or that not all nodes know.
//
// A record that stays damaged is a flaw as well: other owners restore it. Where faults have damaged the bytes of
// several nodes that is not promised, since all copies of one record may have been among them: nobody can tell. Such a
// record also differs from the others for ever, however often it is mended.
func Audits() harness.Checker { return newCheck("audits", audits) }

func audits(_ context.Context, x *index) harness.Finding {
	c := x.collect(harness.TreeDrift, harness.DamagedRecord, harness.Amnesia,
		harness.TwiceOwner, harness.UnevenShares, harness.OtherLayout, harness.ForgottenMember, harness.ReturnedMember,
		harness.HintFlood, harness.WastedCalls, harness.Starved, harness.StuckHints, harness.AstrayHints, harness.Unchecked, harness.TombstoneLeft, harness.EndlessRepair)
	nodes := 0
	var doubts []string
	bad := damagers(x.faults)
	for _, op := range x.audits {
		if op.Kind != harness.OK {
			doubts = append(doubts, fmt.Sprintf("%s was not audited: %s", op.Node, op.Error))
			continue
		}
		nodes++
		for _, flaw := range op.Flaws {
			if flaw.Kind == harness.DamagedRecord && len(bad) > 1 && slices.Contains(bad, op.Node) {
				doubts = append(doubts, fmt.Sprintf("%s has %s, and faults have damaged bytes of other owners as well", op.Node, flaw.What))
				continue
			}
			if flaw.Kind == harness.EndlessRepair && len(bad) > 1 {
				doubts = append(doubts, fmt.Sprintf("%s has met %s, and faults have damaged bytes of several owners", op.Node, flaw.What))
				continue
			}
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

// damagers lists the nodes whose bytes a fault has damaged, each once.
func damagers(faults []window) (out []harness.NodeID) {
	for _, w := range faults {
		for _, n := range w.fault.Nodes {
			if w.fault.Disk != nil && w.fault.Disk.Damages() && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}
