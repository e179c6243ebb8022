package report

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"cartwheel/harness"
)

// bandLabel is the height that one row of fault names takes at the top of a plot.
const bandLabel = vg.Length(13)

// bands shades the time of each fault and writes its name at the top. Overlapping
// faults write theirs in different rows.
type bands struct {
	windows []window
	rows    []int // row of each window's name
	depth   int   // rows in all
}

func (a *analysis) bands() bands {
	var struck []window
	for _, w := range a.windows {
		if w.Struck {
			struck = append(struck, w)
		}
	}
	rows, depth := stack(struck)
	return bands{struck, rows, depth}
}

// headroom is the share of a plot's height to leave free for the names of faults.
func (a *analysis) headroom() float64 {
	return max(0.06, float64(bandLabel)*(float64(a.bands().depth)+0.5)/260)
}

// stack gives overlapping windows different rows, the first free one each.
func stack(ws []window) (rows []int, depth int) {
	var free []float64 // when each row is free again
	for _, w := range ws {
		row := 0
		for row < len(free) && free[row] > w.Start.Seconds() {
			row++
		}
		if row == len(free) {
			free = append(free, 0)
		}
		free[row] = w.Stop.Seconds()
		rows = append(rows, row)
	}
	return rows, len(free)
}

func (b bands) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for i, w := range b.windows {
		left, right := x(w.Start.Seconds()), x(w.Stop.Seconds())
		c.FillPolygon(bandRole(w.Fault.Kind).ink, []vg.Point{
			{X: left, Y: c.Min.Y}, {X: right, Y: c.Min.Y}, {X: right, Y: c.Max.Y}, {X: left, Y: c.Max.Y},
		})
		edge := draw.LineStyle{Color: roleBorder.ink, Width: 0.5}
		c.StrokeLine2(edge, left, c.Min.Y, left, c.Max.Y)
		c.StrokeLine2(edge, right, c.Min.Y, right, c.Max.Y)
		style := text.Style{
			Color: roleInk.ink, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: 10},
			YAlign: draw.YTop, Handler: p.TextHandler,
		}
		room := int((right - left) / 5.2)
		name := clip(w.Fault.ID+" "+w.Fault.Name, max(room, len(w.Fault.ID)))
		c.FillText(style, vg.Point{X: left + 3, Y: c.Max.Y - 3 - bandLabel*vg.Length(b.rows[i])}, name)
	}
}

// grid draws a faint line at each labelled tick of the vertical axis.
type grid struct{}

func (grid) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	for _, tick := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if tick.Label != "" && tick.Value >= p.Y.Min && tick.Value <= p.Y.Max {
			c.StrokeLine2(draw.LineStyle{Color: roleGrid.ink, Width: 0.6}, c.Min.X, y(tick.Value), c.Max.X, y(tick.Value))
		}
	}
}

// marksMax bounds the marks of one outcome, and so the size of the page. Twelve thousand
// fill the plot; more could not be told apart.
const marksMax = 12_000

// cloud draws the points of one outcome as a single path, which keeps the page small:
// a dot for ok, a triangle for info, a cross for fail, so that they differ without
// colour too. Points of the same cell of a grid are drawn once; the grid is as coarse
// as it must be.
type cloud struct {
	kind   harness.Kind
	ink    role
	points plotter.XYs
}

func (cl *cloud) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	cells := make([][2]float64, len(cl.points))
	for i, pt := range cl.points {
		cells[i] = [2]float64{float64(x(pt.X)), float64(y(pt.Y))}
	}
	cell := 0.5
	for ; ; cell *= 1.5 {
		cells = snap(cells, cell)
		if len(cells) <= marksMax {
			break
		}
	}
	var path vg.Path
	for _, at := range cells {
		path = mark(path, cl.kind, vg.Point{X: vg.Length(at[0]), Y: vg.Length(at[1])})
	}
	cl.paint(c, path)
}

// snap moves points to the grid of the given width and keeps one of each place.
func snap(points [][2]float64, cell float64) [][2]float64 {
	seen := make(map[[2]float64]bool, len(points))
	var out [][2]float64
	for _, p := range points {
		at := [2]float64{math.Round(p[0]/cell) * cell, math.Round(p[1]/cell) * cell}
		if !seen[at] {
			seen[at] = true
			out = append(out, at)
		}
	}
	return out
}

func (cl *cloud) paint(c draw.Canvas, path vg.Path) {
	c.SetColor(cl.ink.ink)
	if cl.kind == harness.Fail {
		c.SetLineStyle(draw.LineStyle{Color: cl.ink.ink, Width: 1.2})
		c.Stroke(path)
		return
	}
	c.Fill(path)
}

func mark(path vg.Path, kind harness.Kind, at vg.Point) vg.Path {
	line := func(d ...vg.Length) {
		for i := 0; i < len(d); i += 2 {
			pt := vg.Point{X: at.X + d[i], Y: at.Y + d[i+1]}
			if i == 0 {
				path.Move(pt)
			} else {
				path.Line(pt)
			}
		}
	}
	switch kind {
	case harness.OK:
		line(-1.5, 0, 0, 1.5, 1.5, 0, 0, -1.5)
		path.Close()
	case harness.Fail:
		line(-2.5, -2.5, 2.5, 2.5)
		line(-2.5, 2.5, 2.5, -2.5)
	default:
		line(-3, -2.2, 3, -2.2, 0, 3)
		path.Close()
	}
	return path
}

// steps draws one value for each second as a staircase; NaN leaves a gap.
type steps struct {
	values []float64
	end    float64 // of the last step; default as long as the others
	ink    role
	width  vg.Length
}

func (s steps) style() draw.LineStyle { return draw.LineStyle{Color: s.ink.ink, Width: s.width} }

func (s steps) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var line []vg.Point
	for i, v := range s.values {
		if math.IsNaN(v) {
			c.StrokeLines(s.style(), line)
			line = nil
			continue
		}
		right := min(float64(i+1), p.X.Max)
		if i == len(s.values)-1 && s.end > 0 {
			right = s.end
		}
		line = append(line, vg.Point{X: x(float64(i)), Y: y(v)}, vg.Point{X: x(right), Y: y(v)})
	}
	if len(line) > 0 {
		c.StrokeLines(s.style(), line)
	}
}

// secondTicks marks round numbers of seconds, about eight of them.
type secondTicks struct{}

func (secondTicks) Ticks(lo, hi float64) []plot.Tick {
	return round(lo, hi, roundStep((hi-lo)/8, 1))
}

// countTicks marks round numbers up to top, about four of them.
type countTicks struct{ top float64 }

func (t countTicks) Ticks(lo, _ float64) []plot.Tick {
	return round(lo, t.top, roundStep(t.top/4, 1))
}

func round(lo, hi, step float64) []plot.Tick {
	var ticks []plot.Tick
	for v := math.Ceil(lo/step) * step; v <= hi+step/1e6; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: thousands(int(math.Round(v)))})
	}
	return ticks
}

// roundStep is the smallest of 1, 2, 5, 10, 20, ... that is not below want, times unit.
func roundStep(want, unit float64) float64 {
	step := unit
	for factors := []float64{2, 2.5, 2}; step < want; factors = append(factors[1:], factors[0]) {
		step *= factors[0]
	}
	return step
}

// niceAbove is the end of an axis that must show v.
func niceAbove(v float64) float64 {
	step := roundStep(v/4, 1)
	return math.Ceil(v/step) * step
}

// latencyTicks marks decades of seconds with their unit.
type latencyTicks struct{}

func (latencyTicks) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(lo)); math.Pow(10, e) <= hi*1.001; e++ {
		v := math.Pow(10, e)
		label := ""
		switch {
		case v >= 0.999:
			label = fmt.Sprintf("%.0f s", v)
		case v >= 0.000999:
			label = fmt.Sprintf("%.0f ms", v*1e3)
		default:
			label = fmt.Sprintf("%.0f µs", v*1e6)
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: label})
	}
	return ticks
}
