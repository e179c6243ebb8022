package report

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
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

// A figure is a plot with its caption.
type figure struct {
	Title, Caption string
	SVG            template.HTML
}

// figures draws the plots. Of a history without client calls there are none.
func (a *analysis) figures() ([]figure, error) {
	if len(a.calls) == 0 {
		return nil, nil
	}
	drawings := []struct {
		title   string
		caption string
		make    func() *plot.Plot
	}{
		{
			"Latency of every operation",
			"One mark an operation, at its invocation. Indeterminate and failed operations usually end at their deadline.",
			a.latencyPlot,
		},
		{"Rate by outcome", "Completions in each second.", a.ratePlot},
		{"Siblings per read", "Live siblings that reads of one second returned: the most, and the mean.", a.siblingPlot},
	}
	out := make([]figure, len(drawings))
	for i, d := range drawings {
		svg, err := render(d.make(), d.title)
		if err != nil {
			return nil, fmt.Errorf("draw %q: %w", d.title, err)
		}
		out[i] = figure{d.title, d.caption, svg}
	}
	return out, nil
}

func render(p *plot.Plot, label string) (template.HTML, error) {
	canvas := vgsvg.New(plotWidth, plotHeight)
	p.Draw(draw.Crop(draw.New(canvas), 4, -14, 2, -2))
	var buf bytes.Buffer
	if _, err := canvas.WriteTo(&buf); err != nil {
		return "", err
	}
	return template.HTML(themed(buf.String(), label)), nil // its texts were escaped by the backend
}

func (a *analysis) latencyPlot() *plot.Plot {
	p := a.newPlot("latency")
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = latencyTicks{}
	clouds := map[harness.Kind]*cloud{}
	low, high := math.Inf(1), math.Inf(-1)
	for _, kind := range []harness.Kind{harness.OK, harness.Info, harness.Fail} {
		clouds[kind] = &cloud{kind: kind, ink: outcomeRole(string(kind))}
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
	for _, kind := range []harness.Kind{harness.OK, harness.Info, harness.Fail} {
		if cl := clouds[kind]; len(cl.points) > 0 {
			p.Add(cl)
			p.Legend.Add(fmt.Sprintf("%s (%s)", kind, thousands(len(cl.points))), cl)
		}
	}
	legend(p)
	return p
}

func (a *analysis) ratePlot() *plot.Plot {
	p := a.newPlot("operations per second")
	seconds := int(math.Ceil(a.end.Seconds())) + 1
	rates := map[harness.Kind][]float64{harness.OK: make([]float64, seconds), harness.Fail: make([]float64, seconds), harness.Info: make([]float64, seconds)}
	most := 1.0
	for _, c := range a.calls {
		r := rates[c.outcome()]
		i := int(c.end.Seconds())
		r[i]++
		most = max(most, r[i])
	}
	p.Y.Min, p.Y.Max = 0, niceAbove(most)*(1+a.headroom())
	p.Y.Tick.Marker = countTicks{top: niceAbove(most)}
	p.Add(grid{}, a.bands())
	until := int(math.Ceil(a.load[1].Seconds())) + 1
	for _, kind := range []harness.Kind{harness.OK, harness.Info, harness.Fail} {
		s := steps{values: rates[kind][:min(until, seconds)], ink: outcomeRole(string(kind)), width: 1.8}
		p.Add(s)
		p.Legend.Add(string(kind), s)
	}
	legend(p)
	return p
}

func (a *analysis) siblingPlot() *plot.Plot {
	p := a.newPlot("siblings")
	seconds := int(math.Ceil(a.load[1].Seconds())) + 1
	most, sum, reads := make([]float64, seconds), make([]float64, seconds), make([]float64, seconds)
	top := 1.0
	for _, c := range a.calls {
		if c.inv.F != harness.Get || c.outcome() != harness.OK {
			continue
		}
		i, n := min(int(c.end.Seconds()), seconds-1), float64(live(c.done.Siblings))
		most[i], sum[i], reads[i] = max(most[i], n), sum[i]+n, reads[i]+1
		top = max(top, n)
	}
	for i := range sum {
		if sum[i] /= reads[i]; reads[i] == 0 {
			sum[i], most[i] = math.NaN(), math.NaN()
		}
	}
	p.Y.Min, p.Y.Max = 0, niceAbove(top)*(1+a.headroom())
	p.Y.Tick.Marker = countTicks{top: niceAbove(top)}
	p.Add(grid{}, a.bands())
	peak, mean := steps{values: most, ink: roleInfo, width: 1.8}, steps{values: sum, ink: roleMean, width: 1.8}
	p.Add(peak, mean)
	p.Legend.Add("most", peak)
	p.Legend.Add("mean", mean)
	legend(p)
	return p
}

// legend puts the entries into one row above the plot's right end.
func legend(p *plot.Plot) {
	p.Legend.Top = true
	p.Legend.Padding = 3
	p.Legend.XOffs, p.Legend.YOffs = -6, -4
	p.Legend.ThumbnailWidth = 16
}
