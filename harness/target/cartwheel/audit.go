package cartwheel

import (
	"context"
	"fmt"

	"cartwheel/harness"
	"cartwheel/store/client"
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
	return flaws(st, report), nil
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
