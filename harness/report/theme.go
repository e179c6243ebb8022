package report

import (
	"fmt"
	"image/color"
	"regexp"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	"cartwheel/harness"
)

// A role is what a colour stands for. Plots are drawn with one opaque colour a role, and
// each is then replaced by the style sheet's variable of that name, so that one
// drawing serves light and dark.
type role struct {
	name string
	ink  color.RGBA
}

var (
	roleInk    = role{"ink", color.RGBA{20, 20, 20, 255}}
	roleSoft   = role{"soft", color.RGBA{100, 100, 100, 255}}
	roleGrid   = role{"grid", color.RGBA{220, 220, 220, 255}}
	roleOK     = role{"ok", color.RGBA{10, 110, 200, 255}}
	roleFail   = role{"fail", color.RGBA{220, 90, 20, 255}}
	roleInfo   = role{"info", color.RGBA{150, 60, 170, 255}}
	roleMean   = role{"mean", color.RGBA{10, 130, 110, 255}}
	roleCut    = role{"band-partition", color.RGBA{250, 200, 100, 255}}
	rolePause  = role{"band-pause", color.RGBA{170, 180, 250, 255}}
	roleKill   = role{"band-kill", color.RGBA{245, 160, 165, 255}}
	roleOther  = role{"band-other", color.RGBA{150, 220, 190, 255}}
	roleBorder = role{"band-edge", color.RGBA{180, 150, 90, 255}}
)

func roles() []role {
	return []role{roleInk, roleSoft, roleGrid, roleOK, roleFail, roleInfo, roleMean, roleCut, rolePause, roleKill, roleOther, roleBorder}
}

func outcomeRole(kind harness.Kind) role {
	switch kind {
	case harness.OK:
		return roleOK
	case harness.Fail:
		return roleFail
	}
	return roleInfo
}

func bandRole(kind string) role {
	switch kind {
	case "partition":
		return roleCut
	case "pause":
		return rolePause
	case "kill":
		return roleKill
	}
	return roleOther
}

var fontFamily = regexp.MustCompile(`font-family:[^;"]*`)

// themed makes a plot's SVG part of the page: colours by role, the page's font, no
// fixed size and no XML prologue.
func themed(svg, label string) string {
	if i := strings.Index(svg, "<svg"); i >= 0 {
		svg = svg[i:]
	}
	for _, r := range roles() {
		svg = strings.ReplaceAll(svg, drawn(r.ink), "var(--"+r.name+")")
	}
	svg = fontFamily.ReplaceAllString(svg, "font-family:inherit")
	head, body, _ := strings.Cut(svg, ">")
	head = regexp.MustCompile(`(width|height)="[^"]*"\s*`).ReplaceAllString(head, "")
	return fmt.Sprintf(`%s class="plot" role="img" aria-label="%s">%s`, head, label, body)
}

// drawn is how the SVG backend writes a colour; it truncates where one would round.
func drawn(c color.RGBA) string {
	part := func(v uint32) int { return int(float64(v) * (255.0 / 65535.0)) }
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02X%02X%02X", part(r), part(g), part(b))
}

// newPlot returns an empty plot over the run's time in the house style.
func (a *analysis) newPlot(yLabel string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	face := font.Font{Typeface: "Liberation", Variant: "Sans"}
	style := func(s *text.Style, size vg.Length, r role) {
		s.Font, s.Color = font.From(face, size), r.ink
	}
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		style(&axis.Label.TextStyle, 11, roleSoft)
		style(&axis.Tick.Label, 11, roleSoft)
		axis.LineStyle.Color, axis.Tick.LineStyle.Color = roleGrid.ink, roleGrid.ink
		axis.Tick.Length = 4
		axis.Padding = 0
	}
	p.X.Label.Text, p.Y.Label.Text = "seconds since the run began", yLabel
	p.X.Label.Padding, p.Y.Label.Padding = 4, 6
	p.X.Min, p.X.Max = 0, max(a.busy().Seconds(), 1)
	p.X.Tick.Marker = secondTicks{}
	return p
}
