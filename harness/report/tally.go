package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"cartwheel/harness"
)

// A tally counts outcomes.
type tally struct{ OK, Fail, Info int }

func (t *tally) add(k harness.Kind) {
	switch k {
	case harness.OK:
		t.OK++
	case harness.Fail:
		t.Fail++
	default:
		t.Info++
	}
}

// Total is how many operations were counted.
func (t tally) Total() int { return t.OK + t.Fail + t.Info }

// Percent is the share that was acknowledged, or a dash.
func (t tally) Percent() string {
	if t.Total() == 0 {
		return "–"
	}
	return percent(float64(t.OK) / float64(t.Total()))
}

// A latencyRow is a line of the latency table: acknowledged calls of one function.
type latencyRow struct {
	F, Where            string
	Count               int64
	P50, P90, P99, P999 time.Duration
	Max                 time.Duration
	histogram           *hdrhistogram.Histogram
}

// latencyRows returns quantiles by function, outside and inside faults. The histogram
// keeps three significant digits between a microsecond and an hour.
func (a *analysis) latencyRows() []latencyRow {
	type slot struct {
		f      string
		inside bool
	}
	rows := make(map[slot]*latencyRow)
	for _, c := range a.calls {
		if c.outcome() != harness.OK {
			continue
		}
		s := slot{c.inv.F, a.within(c)}
		if rows[s] == nil {
			rows[s] = &latencyRow{
				F: s.f, Where: "outside faults",
				histogram: hdrhistogram.New(1, time.Hour.Microseconds(), 3),
			}
			if s.inside {
				rows[s].Where = "during faults"
			}
		}
		us := min(max(c.latency().Microseconds(), 1), time.Hour.Microseconds())
		_ = rows[s].histogram.RecordValue(us) // within bounds by the line above
	}
	out := make([]latencyRow, 0, len(rows))
	for _, r := range rows {
		q := func(p float64) time.Duration {
			return time.Duration(r.histogram.ValueAtQuantile(p)) * time.Microsecond
		}
		r.Count, r.P50, r.P90, r.P99, r.P999 = r.histogram.TotalCount(), q(50), q(90), q(99), q(99.9)
		r.Max = time.Duration(r.histogram.Max()) * time.Microsecond
		out = append(out, *r)
	}
	slices.SortFunc(out, func(x, y latencyRow) int {
		return cmp.Or(cmp.Compare(x.F, y.F), cmp.Compare(x.Where, y.Where)*-1)
	})
	return out
}

// An availabilityRow says how many calls were acknowledged in a stretch of time.
type availabilityRow struct {
	Name, Title string
	Window      string
	All         tally
	Named       tally  // asked a node that the fault names
	Elsewhere   tally  // asked any other node
	Split       bool   // the fault names nodes
	Recovery    string // from the heal to the next acknowledged call at a named node
	Sum         bool   // a line over the whole load
}

// availability counts outcomes outside all faults, inside any, and by fault.
func (a *analysis) availability() []availabilityRow {
	outside := availabilityRow{Name: "outside faults", Sum: true}
	inside := availabilityRow{Name: "during faults", Sum: true}
	for _, c := range a.calls {
		if a.within(c) {
			inside.All.add(c.outcome())
		} else {
			outside.All.add(c.outcome())
		}
	}
	rows := []availabilityRow{outside, inside}
	for _, w := range a.windows {
		if !w.Struck {
			continue
		}
		row := availabilityRow{
			Name: w.Fault.ID, Title: faultTitle(w.Fault), Split: len(w.Fault.Nodes) > 0,
			Window: span(w.Start, w.Stop), Recovery: a.recovery(w),
		}
		for _, c := range a.calls {
			if !c.overlaps(w.Start, w.Stop) {
				continue
			}
			row.All.add(c.outcome())
			if slices.Contains(w.Fault.Nodes, c.inv.Node) {
				row.Named.add(c.outcome())
			} else {
				row.Elsewhere.add(c.outcome())
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// recovery is the time from a heal to the first call begun and acknowledged after it
// at a node that the fault names, or at any node if it names none.
func (a *analysis) recovery(w window) string {
	best := time.Duration(-1)
	for _, c := range a.calls {
		if c.outcome() != harness.OK || c.inv.Time < w.Stop {
			continue
		}
		if len(w.Fault.Nodes) > 0 && !slices.Contains(w.Fault.Nodes, c.inv.Node) {
			continue
		}
		if d := c.end - w.Stop; best < 0 || d < best {
			best = d
		}
	}
	if best < 0 {
		return "–"
	}
	return short(best)
}

// A siblingRow is a bar of the histogram of siblings per read.
type siblingRow struct {
	Siblings, Reads int
	Percent         string
	Share           int // of the longest bar, in percent
}

// siblingRows counts acknowledged reads by how many live siblings they showed.
func (a *analysis) siblingRows() []siblingRow {
	counts := make(map[int]int)
	total, most := 0, 0
	for _, c := range a.calls {
		if c.inv.F == harness.Get && c.outcome() == harness.OK {
			n := live(c.done.Siblings)
			counts[n]++
			total++
			most = max(most, counts[n])
		}
	}
	out := make([]siblingRow, 0, len(counts))
	for n, reads := range counts {
		out = append(out, siblingRow{n, reads, percent(float64(reads) / float64(total)), max(1, 100*reads/most)})
	}
	slices.SortFunc(out, func(x, y siblingRow) int { return x.Siblings - y.Siblings })
	return out
}
