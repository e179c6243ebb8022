package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/trace"
)

// Limits of a Lamport diagram.
const (
	messagesMax = 240 // drawn, of the proof and of what moved its versions
	othersMax   = 60  // drawn besides, of operations that prove nothing
	noiseMax    = 160 // of pings and digests, which a checkbox shows
	lamportTail = 30 * time.Millisecond
)

// A lamport is the picture of what the nodes said to each other around the first anomaly:
// time runs down, each client and node has a lane, each message is an arrow.
type lamport struct {
	a       *analysis
	focus   trace.Focus
	proof   map[int]bool // invocations that prove the anomaly
	linked  map[int]bool // invocations that have a row on the page
	values  map[string]string
	ops     []call
	arrows  []arrow
	events  []trace.Line
	bands   []window
	missing int              // messages about the key that are not drawn
	calls   map[string]*call // of client's messages, by the name of their call
	proving map[string]bool  // calls that were made for an operation of the proof

	clients []int // threads
	nodes   []harness.NodeID
	stops   []stop
	width   float64
	bottom  float64
	d       drawing
}

// An arrow is a message of the picture.
type arrow struct {
	trace.Line
	op    *call // of a client's message: what it is part of
	label string
	noise bool
}

// A lamportView is what the template shows of it.
type lamportView struct {
	Title, Why string
	Head, Body template.HTML
	Legend     []kindEntry
	Left       string // what is not drawn, in words
	Anomaly    bool
}

// A kindEntry is a kind of message with its checkbox.
type kindEntry struct {
	Class, Label string
	Count        int
	Shown        bool
}

// families are the kinds of messages as the legend lists them.
var families = []struct{ what, class, label string }{
	{trace.Client, "client", "client request"},
	{trace.Forward, "client", ""},
	{trace.Replicate, "replicate", "replication"},
	{trace.Hint, "hint", "hint to a stand-in"},
	{trace.HandOff, "handoff", "hand-off"},
	{trace.Read, "read", "replica read"},
	{trace.Repair, "repair", "read repair"},
	{trace.Entropy, "entropy", "anti-entropy"},
	{trace.Ping, "noise", "pings, digests"},
	{trace.Look, "noise", ""},
}

// lamport draws the messages around the first anomaly, or around a hint of a run
// without one. It is nil if there is no trace or nothing to be seen in it.
func (a *analysis) lamport(lines []trace.Line, linked map[int]bool) *lamportView {
	focus, ok := trace.FocusOf(a.res, a.ops, lines)
	if !ok {
		return nil
	}
	l := newLamport(a, focus, linked)
	l.collect(lines)
	if len(l.arrows) == 0 {
		return nil
	}
	l.lanesOf()
	l.axis()
	v := &lamportView{
		Title: "The messages behind it", Why: focus.Why, Anomaly: len(l.proof) > 0,
		Legend: l.legend(), Left: l.left(lines),
	}
	if !v.Anomaly {
		v.Title = "What the nodes say to each other"
	}
	v.Head, v.Body = l.drawHead(), l.draw()
	return v
}

func newLamport(a *analysis, focus trace.Focus, linked map[int]bool) *lamport {
	return &lamport{
		a: a, focus: focus, linked: linked,
		proof: map[int]bool{}, values: map[string]string{}, calls: map[string]*call{}, proving: map[string]bool{},
	}
}

// collect picks what is drawn.
func (l *lamport) collect(lines []trace.Line) {
	for _, f := range l.a.res.Findings {
		for _, an := range f.Anomalies {
			if f.Verdict == harness.Invalid && len(l.proof) == 0 {
				for _, i := range l.a.proof(an) {
					l.proof[i] = true
				}
			}
		}
	}
	for _, op := range l.a.ops {
		for _, s := range op.Siblings {
			if s.Write != "" && s.Value != "" {
				l.values[s.Write] = s.Value
			}
		}
	}
	from, to := l.focus.Start, l.focus.Stop+lamportTail
	for _, c := range l.a.calls {
		if c.inv.Key == l.focus.Key && c.overlaps(from, l.focus.Stop) {
			l.ops = append(l.ops, c)
		}
	}
	for i := range l.ops {
		to = max(to, min(l.ops[i].end, l.focus.Stop+time.Second))
	}
	var noise, near []arrow
	after := map[string]bool{} // calls that begin when all is over
	for _, m := range lines {
		switch {
		case m.Event == trace.Left, m.Time > to:
		case m.Event != trace.Message: // earlier ones, too: a node may be dead from before
			l.events = append(l.events, m)
		case m.Ended < from:
		case after[m.Call], m.Kind == trace.Request && m.Time > l.focus.Stop:
			after[m.Call] = true
		case m.Key == l.focus.Key && m.What != trace.Look:
			near = append(near, l.arrow(m))
		case m.Key == "" && len(noise) < noiseMax && m.Time >= from && m.Ended <= to:
			noise = append(noise, arrow{Line: m, noise: true})
		}
	}
	l.choose(near)
	l.arrows = append(l.arrows, noise...)
	l.keepOps()
	for _, w := range l.a.windows {
		if w.Struck && w.Start <= to && w.Stop >= from {
			l.bands = append(l.bands, w)
		}
	}
}

// arrow finds the operation of a client's message and names what it carries.
func (l *lamport) arrow(m trace.Line) arrow {
	r := arrow{Line: m, label: l.label(m)}
	if m.What != trace.Client {
		return r
	}
	if m.Kind == trace.Request && l.calls[m.Call] == nil {
		for i := range l.ops {
			c := &l.ops[i]
			// Of several that fit the latest: a client sends at once.
			if c.inv.Node == m.To && strings.EqualFold(c.inv.F, m.Method) && c.inv.Time <= m.Time && m.Time <= c.end {
				l.calls[m.Call] = c
			}
		}
	}
	r.op = l.calls[m.Call]
	return r
}

// choose draws what belongs to the proof, then what moves the key's versions, then the
// other writes, then the other reads, as far as there is room.
func (l *lamport) choose(near []arrow) {
	rank := func(r arrow) int {
		switch {
		case len(l.proof) == 0 || l.ofProof(r):
			return 0
		case r.Method == "ReplicaMerge" && r.What != trace.Replicate:
			return 1
		case r.What == trace.Replicate, r.What == trace.Forward, r.Method == "Put", r.Method == "Delete":
			return 2
		}
		return 3
	}
	ranks := make(map[string]int, len(near)) // by the name of the message
	name := func(r arrow) string { return r.Call + r.Kind }
	for _, r := range near {
		ranks[name(r)] = rank(r)
	}
	slices.SortStableFunc(near, func(x, y arrow) int { return ranks[name(x)] - ranks[name(y)] })
	room := [4]int{messagesMax, messagesMax, othersMax, othersMax}
	n := map[int]int{}
	for _, r := range near {
		n[ranks[name(r)]]++
	}
	// Half of the other writes would look as if the others had not been: all or none.
	for i, fits := 0, 0; i < len(room); i++ {
		if fits += n[i]; i >= 2 && fits > max(room[i], n[0]+n[1]+othersMax) {
			room[i] = 0
		}
	}
	drawn := near[:0]
	for _, r := range near {
		if room[ranks[name(r)]] > 0 && len(drawn) < messagesMax {
			drawn = append(drawn, r)
		} else {
			l.missing++
		}
	}
	near = drawn
	slices.SortStableFunc(near, func(x, y arrow) int { return cmp.Compare(x.Time, y.Time) })
	l.arrows = near
}

// ofProof reports whether a message was sent for an operation of the proof: it is that
// client's, or its coordinator's while it served it, or an answer to one of these. Requests
// are asked about before their answers.
func (l *lamport) ofProof(r arrow) bool {
	if r.op != nil {
		return l.proof[r.op.inv.Index]
	}
	if r.Kind != trace.Request {
		return l.proving[r.Call]
	}
	for i := range l.ops {
		c := &l.ops[i]
		if !l.proof[c.inv.Index] || r.Time < c.inv.Time || r.Time > c.end {
			continue
		}
		served := r.From == c.inv.Node || c.done.Meta != nil && r.From == c.done.Meta.Coordinator
		forWrite := r.What == trace.Replicate || r.What == trace.Hint || r.What == trace.Forward
		if served && (c.inv.IsWrite() && forWrite || !c.inv.IsWrite() && r.What == trace.Read) {
			l.proving[r.Call] = true
			return true
		}
	}
	return false
}

// keepOps leaves out operations of which no message is drawn, unless they prove something.
func (l *lamport) keepOps() {
	drawn := map[int]bool{}
	for _, r := range l.arrows {
		if r.op != nil {
			drawn[r.op.inv.Index] = true
		}
	}
	kept := make([]call, 0, len(l.ops))
	for _, c := range l.ops { // a new slice: arrows point into the old one
		if drawn[c.inv.Index] || l.proof[c.inv.Index] {
			kept = append(kept, c)
		}
	}
	l.ops = kept
}

// label names what a message carries, in a few characters.
func (l *lamport) label(m trace.Line) string {
	if m.Kind != trace.Request {
		switch {
		case m.Kind == trace.Cancel:
			return "never mind"
		case m.Error != "":
			code, _, _ := strings.Cut(m.Error, ":")
			return strings.ToLower(code)
		case m.Method == "Get", m.Method == "ReplicaGet":
			return l.names(m.Versions)
		case m.What == trace.Client:
			return "ok"
		}
		return ""
	}
	what := l.names(m.Versions)
	switch m.What {
	case trace.Hint:
		return what + " for " + string(m.For)
	case trace.Read:
		return "?"
	case trace.Client, trace.Forward:
		return strings.TrimSpace(strings.ToLower(m.Method) + " " + map[bool]string{true: what}[m.Method != "Get" && m.Method != "Delete"])
	}
	if m.Method == "ReplicaGet" {
		return "?"
	}
	return what
}

// names shows versions by their values' names, a long list by its first.
func (l *lamport) names(vs []harness.Sibling) string {
	const shown = 3
	known := slices.Clone(vs)
	for i, v := range known {
		if v.Value == "" && !v.Tombstone {
			known[i].Value = cmp.Or(l.values[v.Write], "…")
		}
	}
	if len(known) > shown {
		return clip(seen(known[:shown-1]), 20) + fmt.Sprintf(" +%d", len(known)-shown+1)
	}
	return clip(seen(known), 22)
}

// left says what is not drawn, and what is not in the file, in whole sentences.
func (l *lamport) left(lines []trace.Line) string {
	var b strings.Builder
	if l.missing > 0 {
		more := count(l.missing, "more message about this key is", "more messages about this key are")
		fmt.Fprintf(&b, "%s not drawn. ", more)
	}
	for _, m := range lines {
		if m.Event == trace.Left {
			fmt.Fprintf(&b, "The file is cut: %s. ", m.Detail)
		}
	}
	return strings.TrimSpace(b.String())
}

func (l *lamport) legend() []kindEntry {
	var out []kindEntry
	add := func(class, label string, n int) {
		for i := range out {
			if out[i].Class == class {
				out[i].Count += n
				return
			}
		}
		out = append(out, kindEntry{Class: class, Label: label, Count: n, Shown: class != "noise"})
	}
	for _, f := range families {
		n := 0
		for _, r := range l.arrows {
			if r.class() == f.class && r.What == f.what {
				n++
			}
		}
		add(f.class, f.label, n)
	}
	for _, r := range l.arrows {
		if r.noise && r.What == trace.Entropy {
			add("noise", "", 1)
		}
	}
	return slices.DeleteFunc(out, func(e kindEntry) bool { return e.Count == 0 })
}

func (r arrow) class() string {
	if r.noise {
		return "noise"
	}
	for _, f := range families {
		if f.what == r.What {
			return f.class
		}
	}
	return "noise"
}
