package report

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"cartwheel/harness"
)

// plotWidth and plotHeight are the drawing's own size; the page scales it.
const (
	plotWidth  = vg.Length(920)
	plotHeight = vg.Length(330)
)

// A figure is a plot with its legend and caption.
type figure struct {
	Title, Caption string
	Legend         []legendEntry
	SVG            template.HTML
}

// A legendEntry is a mark in the colour of its role, and what it means.
type legendEntry struct{ Mark, Role, Label string }

// A sketch is a plot that still lacks its place: all plots of a page share their margins.
type sketch struct {
	title, caption string
	plot           *plot.Plot
	legend         []legendEntry
}

// figures draws the plots. Of a history without client calls there are none.
func (a *analysis) figures() ([]figure, error) {
	if len(a.calls) == 0 {
		return nil, nil
	}
	sketches := []sketch{a.latencyPlot(), a.ratePlot(), a.siblingPlot()}
	if s, ok := a.visibilityPlot(); ok {
		sketches = append(sketches, s)
	}
	var margin vg.Length
	for _, s := range sketches {
		margin = max(margin, s.plot.DataCanvas(frame(vgsvg.New(plotWidth, plotHeight), 0)).Min.X)
	}
	out := make([]figure, len(sketches))
	for i, s := range sketches {
		canvas := vgsvg.New(plotWidth, plotHeight)
		own := s.plot.DataCanvas(frame(canvas, 0)).Min.X
		s.plot.Draw(frame(canvas, margin-own)) // so that the same second is at the same place in all over time
		var buf bytes.Buffer
		if _, err := canvas.WriteTo(&buf); err != nil {
			return nil, fmt.Errorf("draw %q: %w", s.title, err)
		}
		// The backend has escaped the texts.
		out[i] = figure{s.title, s.caption, s.legend, template.HTML(themed(buf.String(), s.title))}
	}
	return out, nil
}

func frame(canvas *vgsvg.Canvas, left vg.Length) draw.Canvas {
	return draw.Crop(draw.New(canvas), 4+left, -14, 2, -2)
}

func outcomes() []harness.Kind { return []harness.Kind{harness.OK, harness.Info, harness.Fail} }

func (a *analysis) latencyPlot() sketch {
	p := a.newPlot("latency")
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = latencyTicks{}
	clouds := map[harness.Kind]*cloud{}
	low, high := math.Inf(1), math.Inf(-1)
	for _, kind := range outcomes() {
		clouds[kind] = &cloud{kind: kind, ink: outcomeRole(kind)}
	}
	for _, c := range a.calls {
		s := max(c.latency(), time.Microsecond).Seconds()
		low, high = min(low, s), max(high, s)
		cl := clouds[c.outcome()]
		cl.points = append(cl.points, plotter.XY{X: c.inv.Time.Seconds(), Y: s})
	}
	// Whole decades, with room above for the names of the faults.
	p.Y.Min = math.Pow(10, math.Floor(math.Log10(low)))
	p.Y.Max = math.Pow(10, math.Ceil(math.Log10(high*1.01)))
	p.Y.Max *= math.Pow(p.Y.Max/p.Y.Min, a.headroom())
	p.Add(grid{}, a.bands())
	s := sketch{
		title: "Latency of every operation", plot: p,
		caption: "One mark an operation, at its invocation.",
	}
	marks := map[harness.Kind]string{harness.OK: "◆", harness.Info: "▲", harness.Fail: "✕"}
	for _, kind := range outcomes() {
		p.Add(clouds[kind])
		label := fmt.Sprintf("%s %s", kind, thousands(len(clouds[kind].points)))
		s.legend = append(s.legend, legendEntry{marks[kind], outcomeRole(kind).name, label})
	}
	return s
}

func (a *analysis) ratePlot() sketch {
	p := a.newPlot("operations per second")
	rates, most := a.rates()
	p.Y.Min, p.Y.Max = 0, niceAbove(most)*(1+a.headroom())
	p.Y.Tick.Marker = countTicks{top: niceAbove(most)}
	p.Add(grid{}, a.bands())
	s := sketch{title: "Rate by outcome", caption: "Completions in each second of the load.", plot: p}
	for _, kind := range outcomes() {
		p.Add(steps{values: rates[kind], end: a.load[1].Seconds(), ink: outcomeRole(kind), width: 1.8})
		s.legend = append(s.legend, legendEntry{"━", outcomeRole(kind).name, string(kind)})
	}
	return s
}

// rates are completions a second in each bucket of the load, by outcome, and the highest of them, at least 1.
func (a *analysis) rates() (rates map[harness.Kind][]float64, most float64) {
	seconds := a.seconds()
	rates, most = map[harness.Kind][]float64{}, 1
	for _, kind := range outcomes() {
		rates[kind] = make([]float64, seconds)
	}
	for _, c := range a.calls {
		rates[c.outcome()][min(int(c.end.Seconds()), seconds-1)]++
	}
	last := a.load[1].Seconds() - float64(seconds-1)
	for _, r := range rates {
		if last > 1 {
			r[seconds-1] /= last
		}
		most = max(most, slices.Max(r))
	}
	return rates, most
}

// seconds is how many buckets the load has: one for each whole second. What is left over belongs to the last: a load ends
// when its last answer comes, and a bucket of a few milliseconds would look as if all had stopped.
func (a *analysis) seconds() int { return max(1, int(a.load[1].Seconds())) }

func (a *analysis) siblingPlot() sketch {
	p := a.newPlot("siblings")
	seconds := a.seconds()
	most, mean, reads := make([]float64, seconds), make([]float64, seconds), make([]float64, seconds)
	top := 1.0
	for _, c := range a.calls {
		if c.inv.F != harness.Get || c.outcome() != harness.OK {
			continue
		}
		i, n := min(int(c.end.Seconds()), seconds-1), float64(live(c.done.Siblings))
		most[i], mean[i], reads[i] = max(most[i], n), mean[i]+n, reads[i]+1
		top = max(top, n)
	}
	for i := range mean {
		if mean[i] /= reads[i]; reads[i] == 0 {
			mean[i], most[i] = math.NaN(), math.NaN()
		}
	}
	p.Y.Min, p.Y.Max = 0, niceAbove(top)*(1+a.headroom())
	p.Y.Tick.Marker = countTicks{top: niceAbove(top)}
	end := a.load[1].Seconds()
	p.Add(grid{}, a.bands(), steps{values: most, end: end, ink: roleInfo, width: 1.8}, steps{values: mean, end: end, ink: roleMean, width: 1.8})
	return sketch{
		title: "Siblings per read", plot: p,
		caption: "Live siblings that the reads of each second returned.",
		legend:  []legendEntry{{"━", roleInfo.name, "most"}, {"━", roleMean.name, "mean"}},
	}
}
