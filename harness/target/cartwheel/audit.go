package cartwheel

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cartwheel/harness"
	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/transport"
)

// Audit has a node compare its hash trees with its records, and asks what it has noticed since
// it was started. The node mends what it finds, so a second audit finds less.
func (t *Target) Audit(ctx context.Context, c harness.Cluster, n harness.NodeID) ([]harness.Flaw, error) {
	st, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Status, error) { return a.Status(ctx) })
	if err != nil {
		return nil, err
	}
	report, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.TreeReport, error) { return a.Trees(ctx, true) })
	if err != nil {
		return nil, err
	}
	layout, err := t.auditLayout(ctx, c, n, st)
	return slices.Concat(flaws(st, report), usage(st, exact(c)), t.tombstoneFlaws(report), layout), err
}

// tombstoneFlaws tells of tombstones that several looks of all nodes have left where nothing was to be waited for.
func (t *Target) tombstoneFlaws(report client.TreeReport) []harness.Flaw {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.vigil.looked || report.Check == nil || report.Check.Tombstones == 0 {
		return nil
	}
	return []harness.Flaw{{Kind: harness.TombstoneLeft, Count: report.Check.Tombstones, What: fmt.Sprintf(
		"%d tombstones that %d looks of every node have not collected, though all was quiet", report.Check.Tombstones, looksToTake)}}
}

// auditLayout holds a node's layout against what a layout has to be, against that of the first machine, and
// against who has left.
func (t *Target) auditLayout(ctx context.Context, c harness.Cluster, n harness.NodeID, st client.Status) ([]harness.Flaw, error) {
	first := c.Nodes()[0]
	other, err := ask(ctx, c, first, func(ctx context.Context, a *client.Admin) (client.Status, error) { return a.Status(ctx) })
	if err != nil {
		return nil, err
	}
	l, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Layout, error) { return a.Ring(ctx) })
	if err != nil {
		return nil, err
	}
	m, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Members, error) { return a.Members(ctx) })
	if err != nil {
		return nil, err
	}
	out := layoutFlaws(l, m, t.gone())
	if st.Version != other.Version || st.Live != other.Live {
		out = append(out, harness.Flaw{Kind: harness.OtherLayout, Count: 1, What: fmt.Sprintf(
			"%d live versions of the layout up to %d (%016x), where %s has %d up to %d (%016x)",
			st.Live, st.Version.Number, st.Version.ID, first, other.Live, other.Version.Number, other.Version.ID)})
	}
	return out, nil
}

// layoutFlaws are those of a layout by itself. Nodes of different zones or capacities need not own alike.
func layoutFlaws(l client.Layout, m client.Members, gone []store.NodeID) (out []harness.Flaw) {
	owns := map[store.NodeID]int{}
	twice := 0
	for _, preference := range l.Partitions {
		owners := slices.Compact(slices.Sorted(slices.Values(preference[:l.Replicas])))
		if len(owners) < l.Replicas {
			twice++
		}
		for _, o := range owners {
			owns[o]++
		}
	}
	if twice > 0 {
		out = append(out, harness.Flaw{Kind: harness.TwiceOwner, Count: twice, What: fmt.Sprintf("%d of %d partitions with fewer than %d owners", twice, len(l.Partitions), l.Replicas)})
	}
	alike := !slices.ContainsFunc(m.Nodes, func(s transport.MemberState) bool {
		return s.Zone != m.Nodes[0].Zone || s.Capacity != m.Nodes[0].Capacity
	})
	least, most := len(l.Partitions), 0
	for _, member := range l.Members {
		least, most = min(least, owns[member.ID]), max(most, owns[member.ID])
	}
	if alike && twice == 0 && most > least+1 {
		out = append(out, harness.Flaw{Kind: harness.UnevenShares, Count: most - least, What: fmt.Sprintf("a node that owns %d partitions, and one of equal capacity that owns %d", most, least)})
	}
	for _, member := range l.Members {
		if slices.Contains(m.Removed, member.ID) {
			out = append(out, harness.Flaw{Kind: harness.ReturnedMember, Count: 1, What: fmt.Sprintf("%s among the members, which was removed", member.ID)})
		}
	}
	for _, n := range gone { // unless its leave has lost against another change, or has not settled yet
		isMember := slices.ContainsFunc(m.Nodes, func(s transport.MemberState) bool { return s.ID == n })
		if len(m.Live) == 1 && !isMember && !slices.Contains(m.Removed, n) {
			out = append(out, harness.Flaw{Kind: harness.ForgottenMember, Count: 1, What: fmt.Sprintf("no memory of %s, which has left: it might come back with what it holds", n)})
		}
	}
	return out
}

func flaws(st client.Status, report client.TreeReport) (out []harness.Flaw) {
	add := func(kind string, n int, format string, args ...any) {
		if n > 0 {
			out = append(out, harness.Flaw{Kind: kind, Count: n, What: fmt.Sprintf(format, args...)})
		}
	}
	if k := report.Check; k != nil {
		add(harness.TreeDrift, k.Drift(), "hash trees that are not those of %d records: %d leaves, %d leaves without a record, %d trees of other sums than their leaves'",
			k.Keys, k.Leaves, k.Orphans, k.Trees)
		add(harness.DamagedRecord, k.Damaged, "%d damaged records of %d", k.Damaged, k.Keys)
	}
	drift, amnesia := int(st.Counters["tree_drift"]), int(st.Counters["storage_amnesia"])
	add(harness.TreeDrift, drift, "%d sums of its hash trees that it found wrong while it served, and mended", drift)
	add(harness.Amnesia, amnesia, "events of its own that it had forgotten, %d times", amnesia)
	return out
}

// sameMax is how often a node may mend one difference: once, and once more for each time that a fault keeps an owner from
// dropping a tombstone which the others have dropped.
const sameMax = 3

// exact reports whether a cluster's nodes run without a break unless a fault says otherwise, so that
// what they count of each other is no matter of a busy machine.
func exact(c harness.Cluster) bool { return strings.HasPrefix(c.World(), "sim") }

// usage holds what a node has used since its start against what it may use. What depends on how soon this node itself gets to
// run counts where that is exact.
func usage(st client.Status, exact bool) (out []harness.Flaw) {
	if most, limit := st.Counters["hints_at_once"], st.Counters["hints_at_once_limit"]; most > limit {
		out = append(out, harness.Flaw{Kind: harness.HintFlood, Count: int(most - limit), What: fmt.Sprintf(
			"%d deliveries of hints to one node at a time, where %d may be", most, limit)})
	}
	if astray := st.Counters["hints_astray"]; astray > 0 {
		out = append(out, harness.Flaw{Kind: harness.AstrayHints, Count: int(astray), What: fmt.Sprintf(
			"%d hints that it dropped though an owner of their keys by the newest layout had not acknowledged them, of %d delivered", astray, st.Counters["hints_delivered"])})
	}
	if beyond := st.Counters["admission_granted_beyond"]; beyond > 0 {
		out = append(out, harness.Flaw{Kind: harness.Starved, Count: int(beyond), What: fmt.Sprintf(
			"%d slices of background work granted sooner than it may, of %d beside a foreground that had been late for seconds", beyond, st.Counters["admission_granted_late"])})
	}
	if broken := st.Counters["repair_checks_broken"]; broken > 0 {
		out = append(out, harness.Flaw{Kind: harness.Unchecked, Count: int(broken), What: fmt.Sprintf(
			"%d checks of its hash trees that it gave up, so that it does not find out what else is damaged", broken)})
	}
	away := slices.ContainsFunc(st.Peers, func(p client.PeerStatus) bool { return !p.Up })
	if st.Hints > 0 && !away && exact {
		out = append(out, harness.Flaw{Kind: harness.StuckHints, Count: int(st.Hints), What: fmt.Sprintf(
			"%d hints that it has not delivered, though every peer is up and the load was over for long", st.Hints)})
	}
	if same := st.Counters["repair_same"]; same > sameMax {
		out = append(out, harness.Flaw{Kind: harness.EndlessRepair, Count: int(same), What: fmt.Sprintf(
			"one and the same difference between it and another node, which it has mended %d times", same)})
	}
	if wasted := st.Counters["peer_calls_wasted"]; wasted > 0 && exact {
		out = append(out, harness.Flaw{Kind: harness.WastedCalls, Count: int(wasted), What: fmt.Sprintf(
			"%d calls that it made to peers which had answered none of the last ones", wasted)})
	}
	return out
}
