package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"maps"
	"slices"
	"strings"

	"cartwheel/harness"
	"cartwheel/harness/trace"
)

// Limits of a page, so that a long run still opens on a phone.
const (
	anomaliesMax  = 12      // pictured for each checker; the others are counted
	opRowsMax     = 400     // raw operations shown
	keyMatrixMax  = 24      // keys in the matrix of final states
	embeddedMax   = 4 << 20 // bytes of a checker's picture to embed; a bigger one is linked
	problemsShown = 6       // failing probes shown for each fault
	probesNamed   = 4       // probes of one moment that are named; more are counted
)

// A page is everything that the template shows, ready made.
type page struct {
	Res      harness.Result
	Verdict  string
	Headline string
	Reasons  []string // after the headline
	Started  string
	Tiles    []tile
	Findings []findingView
	Pictures []picture
	Figures  []figure
	Latency  []latencyRow
	Faults   []faultRow
	Avail    []availabilityRow
	Siblings []siblingRow
	Matrix   *matrix
	Ops      []opRow
	OpsCut   bool
	Trace    *lamportView
	Stats    tally
	Schedule string
	Phases   []phaseRow
	Store    string   // the options of reads and writes
	Beside   []string // files in the folder
}

// A tile is one figure under the headline.
type tile struct{ Value, Label, Class string }

type findingView struct {
	harness.Finding
	ID        string
	Figures   []pair
	Details   []pair // figures of single faults or keys
	Counts    []pair
	Anomalies []anomalyView
	More      int // anomalies that are not shown
}

type pair struct{ Name, Value string }

type anomalyView struct {
	harness.Anomaly
	Number  int
	Title   string
	Proof   []int // its operations, by their invocations
	Lanes   template.HTML
	Graph   template.HTML
	Caption string // of the graph
	Core    *coreView
}

// A picture is an HTML page that a checker drew.
type picture struct {
	Checker, File string
	Frame         template.HTMLAttr // srcdoc of the embedding, or empty
	data          []byte
}

type phaseRow struct{ Name, Window, Length string }

func newPage(res harness.Result, h []harness.Op, lines []trace.Line) (*page, error) {
	a := analyse(res, h)
	p := &page{
		Res: res, Verdict: string(res.Verdict), Started: "an unknown time",
		Stats: tally{res.Stats.OK, res.Stats.Fail, res.Stats.Info},
		Store: storeOptions(res.Plan),
	}
	p.Headline, p.Reasons = headline(res)
	if !res.Started.IsZero() {
		p.Started = res.Started.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	var err error
	if p.Figures, err = a.figures(); err != nil {
		return nil, err
	}
	schedule, err := json.MarshalIndent(res.Plan.Schedule, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schedule: %w", err)
	}
	p.Schedule = string(schedule)
	p.Latency, p.Avail, p.Siblings = a.latencyRows(), a.availability(), a.siblingRows()
	p.Matrix = a.matrix()
	p.Findings = a.findings()
	p.Pictures = pictures(res)
	p.Faults = a.faultRows()
	p.Ops, p.OpsCut = a.opRows()
	linked := make(map[int]bool, len(p.Ops))
	for _, row := range p.Ops {
		linked[row.Index] = true
	}
	p.Trace = a.lamport(lines, linked)
	for _, ph := range res.Phases {
		p.Phases = append(p.Phases, phaseRow{string(ph.Phase), span(ph.Start, ph.End), short(ph.End - ph.Start)})
	}
	p.Tiles = a.tiles(p)
	return p, nil
}

// headline is the verdict in one sentence, and the further reasons.
func headline(res harness.Result) (string, []string) {
	if len(res.Reasons) > 0 {
		return res.Reasons[0], res.Reasons[1:]
	}
	switch res.Verdict {
	case harness.Valid:
		return "Every checker is content, every fault is proven and every required event was seen.", nil
	case harness.Invalid:
		return "A checker found a broken promise.", nil
	}
	return "Nothing can be said about this run.", nil
}

func storeOptions(p harness.Plan) string {
	show := func(name string, n int, strict bool) string {
		s := name + "=default"
		if n > 0 {
			s = fmt.Sprintf("%s=%d", name, n)
		}
		if strict {
			s += " strict"
		}
		return s
	}
	s := show("R", p.Read.R, p.Read.Strict) + ", " + show("W", p.Write.W, p.Write.Strict)
	if p.Read.Repair != "" {
		s += ", repair " + p.Read.Repair
	}
	return s
}

func (a *analysis) tiles(p *page) []tile {
	planned := allFaults(a.res)
	proven := 0
	for _, f := range planned {
		if f.Evidence.Proven() {
			proven++
		}
	}
	anomalies := 0
	for _, f := range a.res.Findings {
		anomalies += anomalyCount(f)
	}
	class := func(good bool) string {
		if good {
			return "good"
		}
		return "bad"
	}
	tiles := []tile{
		{thousands(p.Stats.Total()), "operations", ""},
		{p.Stats.Percent(), "acknowledged", ""},
		{thousands(anomalies), "anomalies", class(anomalies == 0)},
	}
	if len(planned) > 0 {
		tiles = slices.Insert(tiles, 2, tile{fmt.Sprintf("%d of %d", proven, len(planned)), "faults proven", class(proven == len(planned))})
	}
	if len(p.Avail) > 1 && p.Avail[1].All.Total() > 0 {
		tiles = append(tiles, tile{p.Avail[1].All.Percent(), "acknowledged during faults", ""})
	}
	if n := len(p.Siblings); n > 0 {
		tiles = append(tiles, tile{thousands(p.Siblings[n-1].Siblings), "most siblings in a read", ""})
	}
	return tiles
}

// anomalyCount is how many anomalies a checker found; it lists only a few of each kind.
func anomalyCount(f harness.Finding) int {
	n := 0
	for _, c := range f.Counts {
		n += c
	}
	return max(n, len(f.Anomalies))
}

// findings shows the broken promises first, then what could not be judged.
func (a *analysis) findings() []findingView {
	rank := map[harness.Verdict]int{harness.Invalid: 0, harness.Unknown: 1, harness.Valid: 2}
	out := make([]findingView, 0, len(a.res.Findings))
	numbers := cores(a.res)
	for _, f := range a.res.Findings {
		v := findingView{Finding: f, ID: "finding-" + f.Checker}
		for _, k := range slices.Sorted(maps.Keys(f.Figures)) {
			p := pair{strings.ReplaceAll(k, "_", " "), figureText(f.Figures[k])}
			if strings.Contains(k, "/") {
				v.Details = append(v.Details, p)
			} else {
				v.Figures = append(v.Figures, p)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(f.Counts)) {
			v.Counts = append(v.Counts, pair{k, thousands(f.Counts[k])})
		}
		for i, an := range f.Anomalies {
			if i == anomaliesMax {
				break
			}
			av := anomalyView{Anomaly: an, Number: i + 1, Title: strings.ReplaceAll(an.Kind, "-", " "), Proof: a.proof(an), Lanes: a.lanes(an)}
			av.Graph, av.Caption = a.graph(an)
			if number := numbers[&f.Anomalies[i]]; number > 0 {
				av.Core = a.core(an, number)
			}
			v.Anomalies = append(v.Anomalies, av)
		}
		v.More = anomalyCount(f) - len(v.Anomalies)
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(x, y findingView) int { return cmp.Compare(rank[x.Verdict], rank[y.Verdict]) })
	return out
}

// proof names each operation of an anomaly once.
func (a *analysis) proof(an harness.Anomaly) []int {
	var out []int
	for _, i := range an.Ops {
		if c := a.at[i]; c != nil && !slices.Contains(out, c.inv.Index) {
			out = append(out, c.inv.Index)
		}
	}
	return out
}

func figureText(v float64) string {
	if v == float64(int64(v)) {
		return thousands(int(v))
	}
	return fmt.Sprintf("%.4g", v)
}

// pictures collects what the checkers drew. The first is porcupine.html, where people
// look for it; should there be more, they are named after their checkers.
func pictures(res harness.Result) []picture {
	var out []picture
	for _, f := range res.Findings {
		if len(f.Picture) == 0 {
			continue
		}
		pic := picture{Checker: f.Checker, File: "porcupine.html", data: f.Picture}
		if len(out) > 0 {
			pic.File = fmt.Sprintf("picture-%d.html", len(out)+1)
		}
		if len(f.Picture) <= embeddedMax {
			pic.Frame = template.HTMLAttr(`srcdoc="` + html.EscapeString(string(f.Picture)) + `"`)
		}
		out = append(out, pic)
	}
	return out
}
