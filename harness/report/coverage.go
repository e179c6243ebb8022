package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"cartwheel/harness"
)

// A CoverageRow tells how often a sort of fault met a workload.
type CoverageRow struct {
	Kind          string `json:"kind"`
	Name          string `json:"name"` // whom or how; "*" where a whole kind was skipped
	Workload      string `json:"workload"`
	World         string `json:"world"`
	Installed     int    `json:"installed"`     // faults that are proven to have struck, held and healed
	Indeterminate int    `json:"indeterminate"` // that are not proven, or were planned and never began
	Skipped       int    `json:"skipped"`       // runs that had to leave it out
	Why           string `json:"why,omitempty"` // the last run had to leave it out
}

// Coverage counts the faults of runs by kind, name, workload and world.
func Coverage(runs []harness.Result) []CoverageRow {
	type slot struct{ kind, name, workload, world string }
	rows := make(map[slot]*CoverageRow)
	row := func(p harness.Plan, kind, name string) *CoverageRow {
		s := slot{kind, name, p.Workload, p.World}
		if rows[s] == nil {
			rows[s] = &CoverageRow{Kind: kind, Name: name, Workload: p.Workload, World: p.World}
		}
		return rows[s]
	}
	for _, res := range runs {
		for _, f := range allFaults(res) {
			if r := row(res.Plan, f.Fault.Kind, f.Fault.Name); f.Evidence.Proven() {
				r.Installed++
			} else {
				r.Indeterminate++
			}
		}
		for _, s := range res.Plan.Skipped {
			r := row(res.Plan, s.Kind, cmp.Or(s.Name, "*"))
			r.Skipped++
			r.Why = s.Why
		}
	}
	out := make([]CoverageRow, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b CoverageRow) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Workload, b.Workload), cmp.Compare(a.World, b.World))
	})
	return out
}

// WriteCoverage prints a table of the rows, and what they add up to.
func WriteCoverage(w io.Writer, rows []CoverageRow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "fault\ttarget\tworkload\tworld\tinstalled\tindeterminate\tskipped\t")
	var sum CoverageRow
	for _, r := range rows {
		sum.Installed += r.Installed
		sum.Indeterminate += r.Indeterminate
		sum.Skipped += r.Skipped
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", r.Kind, r.Name, r.Workload, r.World, r.Installed, r.Indeterminate, r.Skipped, r.Why)
	}
	_, _ = fmt.Fprintf(t, "all\t\t\t\t%d\t%d\t%d\t\n", sum.Installed, sum.Indeterminate, sum.Skipped)
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print coverage: %w", err)
	}
	return nil
}
