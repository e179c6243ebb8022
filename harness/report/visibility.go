package report

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot"
)

// visibilitySteps is how many points the curve has at most: 1 ms, 2 ms, 4 ms and so on.
const visibilitySteps = 20

// visibilityPlot draws how many of the gets that were called so long after the newest
// acknowledgement of their key saw that write: what Bailis and others call t-visibility
// (PBS, VLDB 2012), and beside it what they predict from latencies alone. The points are
// figures of the checker that measures recency.
func (a *analysis) visibilityPlot() (sketch, bool) {
	var shares, predicted [visibilitySteps]float64
	first, last, reads := visibilitySteps, -1, 0.0
	for step := range shares {
		name := fmt.Sprintf("%dms", 1<<step)
		share, n := a.figureNamed("visible_within/"+name), a.figureNamed("visible_within_reads/"+name)
		shares[step], predicted[step] = share, a.figureNamed("visible_predicted/"+name)
		if !math.IsNaN(n) {
			first, last, reads = min(first, step), step, reads+n
		}
	}
	if last < 0 {
		return sketch{}, false
	}
	p := a.newPlot("share of gets")
	p.X.Label.Text = "time since the newest acknowledgement, up to"
	p.X.Min, p.X.Max = 0, float64(last-first+1)
	var ticks plot.ConstantTicks
	for step := first; step <= last; step++ {
		ticks = append(ticks, plot.Tick{Value: float64(step - first + 1), Label: longest(1 << step)})
	}
	p.X.Tick.Marker = ticks
	p.Y.Min, p.Y.Max = 0, 1.05
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 0.25, Label: "25 %"}, {Value: 0.5, Label: "50 %"}, {Value: 0.75, Label: "75 %"}, {Value: 1, Label: "100 %"}}
	p.Add(grid{}, steps{values: predicted[first : last+1], ink: roleSoft, width: 1.8}, steps{values: shares[first : last+1], ink: roleMean, width: 1.8})
	out := sketch{
		title: "Visibility of acknowledged writes", plot: p,
		caption: "Of the gets called so long after a key's newest acknowledgement, how many saw that write.",
		legend:  []legendEntry{{"━", roleMean.name, fmt.Sprintf("measured on %s gets", thousands(int(reads)))}},
	}
	if n, r, w := a.figureNamed("predicted_n"), a.figureNamed("predicted_r"), a.figureNamed("predicted_w"); !math.IsNaN(n) {
		out.caption += " The prediction knows how long replicas take to answer, and of no faults."
		out.legend = append(out.legend, legendEntry{"━", roleSoft.name, fmt.Sprintf("predicted from latencies alone, N=%.0f R=%.0f W=%.0f", n, r, w)})
	}
	return out, true
}

// longest tells milliseconds in a few characters.
func longest(ms int) string {
	if ms < 1000 {
		return fmt.Sprintf("%d ms", ms)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(ms)/1000), ".0") + " s"
}

// figureNamed is a figure of any finding; not a number if there is none.
func (a *analysis) figureNamed(name string) float64 {
	for _, f := range a.res.Findings {
		if v, ok := f.Figures[name]; ok {
			return v
		}
	}
	return math.NaN()
}
