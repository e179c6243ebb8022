package report

import (
	"fmt"
	"html"
	"html/template"
	"strings"
)

// glyph is the mean width of a character of the small text in a drawing.
const glyph = 6.6

// A drawing is an SVG picture in the making. Its looks come from the page's style
// sheet through class names. Every text is escaped here.
type drawing struct{ b strings.Builder }

func (d *drawing) raw(format string, args ...any) { fmt.Fprintf(&d.b, format+"\n", args...) }

// attrs are written as given: class and the like, never text of a history.
func (d *drawing) rect(x, y, w, h, r float64, attrs string) {
	d.raw(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.1f" %s/>`, x, y, max(w, 0), h, r, attrs)
}

func (d *drawing) line(x1, y1, x2, y2 float64, attrs string) {
	d.raw(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`, x1, y1, x2, y2, attrs)
}

func (d *drawing) circle(x, y, r float64, attrs string) {
	d.raw(`<circle cx="%.1f" cy="%.1f" r="%.1f" %s/>`, x, y, r, attrs)
}

func (d *drawing) path(data, attrs string) { d.raw(`<path d="%s" %s/>`, data, attrs) }

func (d *drawing) text(x, y float64, attrs, s string) {
	d.raw(`<text x="%.1f" y="%.1f" %s>%s</text>`, x, y, attrs, html.EscapeString(s))
}

// open starts a group with a tooltip and, if href is not empty, makes it a link.
func (d *drawing) open(class, tip, href string) {
	if href != "" {
		d.raw(`<a href="%s">`, html.EscapeString(href))
	}
	d.raw(`<g class="%s"><title>%s</title>`, class, html.EscapeString(tip))
}

func (d *drawing) close(linked bool) {
	d.raw(`</g>`)
	if linked {
		d.raw(`</a>`)
	}
}

// finish returns the picture. The label tells it to who cannot see it.
func (d *drawing) finish(w, h float64, class, label string) template.HTML {
	const defs = `<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse">` +
		`<path d="M0,0.5 L8,4 L0,7.5 Z" class="tip"/></marker></defs>`
	return template.HTML(fmt.Sprintf(`<svg class="%s" viewBox="0 0 %.0f %.0f" style="min-width:%.0fpx;max-width:%.0fpx" role="img" aria-label="%s">%s`,
		class, w, h, w*0.85, w*1.05, html.EscapeString(label), defs) + d.b.String() + "</svg>")
}
