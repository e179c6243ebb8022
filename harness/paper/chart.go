package paper

import (
	"fmt"
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chartWidth and chartHeight are the drawing's size.
const (
	chartWidth  = 16 * vg.Centimeter
	chartHeight = 9 * vg.Centimeter
)

// inks tell lines apart, also for those who do not see red and green as two.
var inks = []color.RGBA{{10, 110, 200, 255}, {220, 90, 20, 255}, {10, 130, 110, 255}, {150, 60, 170, 255}}

// Draw writes the chart as SVG.
func (c Chart) Draw(w io.Writer) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.X, c.Y
	p.Y.Min = 0
	if c.Logarithmic {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, doubles{}
	}
	p.Add(plotter.NewGrid())
	p.Legend.Top, p.Legend.Left = false, true // texts grow to the right: a viewer's font may be wider than the one they were measured with
	for i, s := range c.Series {
		points := make(plotter.XYs, len(s.X))
		for j := range s.X {
			points[j] = plotter.XY{X: s.X[j], Y: s.Y[j]}
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return fmt.Errorf("draw %s, %s: %w", c.Name, s.Name, err)
		}
		ink := inks[i%len(inks)]
		line.Color, line.Width = ink, vg.Points(1.5)
		dots.Color, dots.Shape = ink, draw.CircleGlyph{}
		p.Add(line, dots)
		p.Legend.Add(s.Name, line, dots)
	}
	canvas := vgsvg.New(chartWidth, chartHeight)
	p.Draw(draw.New(canvas))
	if _, err := canvas.WriteTo(w); err != nil {
		return fmt.Errorf("draw %s: %w", c.Name, err)
	}
	return nil
}

// doubles marks powers of two.
type doubles struct{}

// Ticks implements plot.Ticker.
func (doubles) Ticks(low, high float64) (out []plot.Tick) {
	for e := math.Ceil(math.Log2(low)); math.Pow(2, e) <= high; e++ {
		label := fmt.Sprintf("%.0f", math.Pow(2, e))
		if e >= 10 {
			label = fmt.Sprintf("%.0f Ki", math.Pow(2, e-10))
		}
		out = append(out, plot.Tick{Value: math.Pow(2, e), Label: label})
	}
	return out
}
