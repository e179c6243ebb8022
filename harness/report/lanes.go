package report

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
)

// Limits and measures of a lane picture.
const (
	laneCallsMax = 14 // a proof is small; of a larger one the first calls are drawn
	laneGutter   = 92.0
	laneHeight   = 40.0
	laneGapMin   = 50.0
	laneGapMax   = 150.0
	laneWidth    = 980.0 // that fits the page
	laneFinal    = 190.0 // width of the column for the final reads

	laneFinalRunes = 24 // characters that fit there
)

// lanes is the picture of one proof in time: clients above, nodes below, faults as
// bands, acknowledgements as dots on the nodes that gave them, and the way of a
// context as a coloured line. The distance between two instants is compressed, their
// order is not.
type lanes struct {
	a       *analysis
	anomaly harness.Anomaly
	lost    *call // the write that the anomaly is about, if it is about one
	calls   []call
	left    int // further calls, which are not drawn
	finals  []call
	clients []int
	nodes   []harness.NodeID
	bands   []window
	rows    []int
	depth   int
	stops   []time.Duration // instants with a place on the axis, ascending
	x       map[time.Duration]float64
	width   float64
	top     float64
	d       drawing
}

// lanes draws an anomaly, or nothing if its operations are not in the history.
func (a *analysis) lanes(an harness.Anomaly) template.HTML {
	l := &lanes{a: a, anomaly: an, lost: a.lostWrite(an), x: make(map[time.Duration]float64)}
	l.collect()
	if len(l.calls) == 0 {
		return ""
	}
	l.axis()
	l.top = 20 + 19*float64(max(l.depth, 1))
	l.drawBands()
	l.drawLanes()
	l.drawTokens()
	for _, c := range l.calls {
		l.drawCall(c)
	}
	l.drawFinals()
	l.drawTicks()
	height := l.nodeY(len(l.nodes)) + 34
	if l.left > 0 {
		l.d.text(laneGutter, height, `class="small soft"`, fmt.Sprintf("%d more calls of the proof are not drawn; they are listed with it", l.left))
		height += 12
	}
	label := fmt.Sprintf("time lanes of %s on key %s", an.Kind, an.Key)
	return l.d.finish(l.width, height, "lanes", label)
}

// lostWrite returns the write that an anomaly about a vanished write names first.
func (a *analysis) lostWrite(an harness.Anomaly) *call {
	if !strings.Contains(an.Kind, "lost") {
		return nil
	}
	for _, i := range an.Ops {
		if c := a.at[i]; c != nil && c.inv.IsWrite() {
			return c
		}
	}
	return nil
}

// collect picks what is drawn: the calls of the proof, the nodes that they touch and
// the faults in force meanwhile.
func (l *lanes) collect() {
	seen := make(map[int]bool)
	nodes := make(map[harness.NodeID]bool)
	for _, i := range l.anomaly.Ops {
		c := l.a.at[i]
		if c == nil || seen[c.inv.Index] {
			continue
		}
		seen[c.inv.Index] = true
		if c.inv.Process == harness.FinalProcess {
			nodes[c.inv.Node] = true
			l.finals = append(l.finals, *c)
			continue
		}
		if len(l.calls) == laneCallsMax {
			l.left++
			continue
		}
		l.calls = append(l.calls, *c)
	}
	slices.SortFunc(l.calls, func(x, y call) int { return x.inv.Index - y.inv.Index })
	if len(l.calls) == 0 {
		return
	}
	first, last := l.calls[0].inv.Time, time.Duration(0)
	for _, c := range l.calls {
		last = max(last, c.end)
		if !slices.Contains(l.clients, c.inv.Process) {
			l.clients = append(l.clients, c.inv.Process)
		}
		for _, r := range acks(c) {
			nodes[r.Node] = true
		}
	}
	for _, w := range l.a.windows {
		// A partition matters to everybody, a paused node only where it is drawn.
		near := w.Fault.Kind == "partition" || slices.ContainsFunc(w.Fault.Nodes, func(n harness.NodeID) bool { return nodes[n] })
		if w.Struck && near && w.Start <= last && w.Stop >= first {
			l.bands = append(l.bands, w)
		}
	}
	l.rows, l.depth = stack(l.bands)
	delete(nodes, "")
	for n := range nodes {
		l.nodes = append(l.nodes, n)
	}
	slices.Sort(l.nodes)
}

func replies(c call) []harness.Reply {
	if c.done.Meta == nil {
		return nil
	}
	return c.done.Meta.Replies
}

// acks are the replies of those who stored a write.
func acks(c call) []harness.Reply {
	if !c.inv.IsWrite() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(replies(c)), func(r harness.Reply) bool {
		return r.State == "failed" || r.State == "timeout" || r.State == "skipped"
	})
}

// axis gives each instant of the picture its place.
func (l *lanes) axis() {
	first, last := l.calls[0].inv.Time, time.Duration(0)
	for _, c := range l.calls {
		l.stops = append(l.stops, c.inv.Time, c.end)
		last = max(last, c.end)
	}
	for _, w := range l.bands {
		for _, t := range []time.Duration{w.Start, w.Stop} {
			if t > first && t < last {
				l.stops = append(l.stops, t)
			}
		}
	}
	slices.Sort(l.stops)
	l.stops = slices.Compact(l.stops)
	gaps, sum := make([]float64, len(l.stops)), 0.0
	for i := 1; i < len(l.stops); i++ {
		gap := l.stops[i] - l.stops[i-1]
		gaps[i] = min(laneGapMin*(1+0.3*math.Log10(1+float64(gap)/float64(time.Millisecond))), laneGapMax)
		sum += gaps[i]
	}
	rest := laneGutter + 26 + 70
	if len(l.finals) > 0 {
		rest += laneFinal
	}
	// Rather squeeze the gaps than let the reader scroll, as long as labels can be read.
	scale := max(min(1, (laneWidth-rest)/max(sum, 1)), 0.6)
	x := laneGutter + 26
	for i, t := range l.stops {
		x += gaps[i] * scale
		l.x[t] = x
	}
	l.width = max(rest+sum*scale, 640)
}

// place clamps an instant of a band to the picture.
func (l *lanes) place(t time.Duration) float64 {
	if x, ok := l.x[t]; ok {
		return x
	}
	if t < l.stops[0] {
		return laneGutter
	}
	return l.x[l.stops[len(l.stops)-1]] + 40
}

func (l *lanes) clientY(process int) float64 {
	return l.top + laneHeight*float64(slices.Index(l.clients, process)) + 22
}

func (l *lanes) nodeY(i int) float64 {
	return l.top + laneHeight*float64(len(l.clients)) + 34 + 32*float64(i)
}

func (l *lanes) drawBands() {
	bottom := l.nodeY(len(l.nodes)-1) + 16
	for i, w := range l.bands {
		left, right := l.place(w.Start), l.place(w.Stop)
		y := 14 + 19*float64(l.rows[i])
		tip := fmt.Sprintf("%s %s, %s, %s", w.Fault.ID, faultTitle(w.Fault), faultTarget(w.Fault), span(w.Start, w.Stop))
		l.d.open("band "+bandRole(w.Fault.Kind).name, tip, "#fault-"+w.Fault.ID)
		l.d.rect(left, y+4, right-left, 3, 1.5, `class="cap"`)
		if w.Fault.Kind == "partition" || len(w.Fault.Nodes) == 0 {
			l.d.rect(left, y+7, right-left, bottom-y-7, 0, `class="fill"`)
		}
		for j, n := range l.nodes {
			if w.Fault.Kind != "partition" && slices.Contains(w.Fault.Nodes, n) {
				l.d.rect(left, l.nodeY(j)-13, right-left, 26, 3, `class="fill strong"`)
			}
		}
		name := w.Fault.ID + " " + faultTitle(w.Fault)
		if len(w.Fault.Nodes) > 0 {
			name += " " + nodeList(w.Fault.Nodes)
		}
		l.d.text(left+2, y, `class="small"`, clip(name, max(int((l.width-left)/glyph), 4)))
		l.d.close(true)
	}
}

func (l *lanes) drawLanes() {
	for _, p := range l.clients {
		y := l.clientY(p)
		l.d.text(laneGutter-12, y+4, `class="lane end"`, fmt.Sprintf("client %d", p))
		l.d.line(laneGutter, y, l.width-10, y, `class="rail"`)
	}
	for i, n := range l.nodes {
		y := l.nodeY(i)
		l.d.text(laneGutter-12, y+4, `class="lane end"`, string(n))
		l.d.line(laneGutter, y, l.width-10, y, `class="rail node"`)
	}
	y := l.nodeY(0) - 20
	l.d.line(8, y, l.width-10, y, `class="divide"`)
}

// drawTokens draws the way of each context from the read that returned it to the write that sent it.
func (l *lanes) drawTokens() {
	for _, to := range l.calls {
		if len(to.inv.Context) == 0 {
			continue
		}
		if from := l.source(to); from != nil {
			x1, y1, x2, y2 := l.x[from.end], l.clientY(from.inv.Process), l.x[to.inv.Time], l.clientY(to.inv.Process)
			sag := 16.0
			if y1 != y2 {
				sag = 0
			}
			l.d.path(fmt.Sprintf("M%.1f,%.1f C%.1f,%.1f %.1f,%.1f %.1f,%.1f", x1, y1+6, x1+24, y1+6+sag, x2-24, y2+6+sag, x2, y2+6),
				`class="token" marker-end="url(#arrow)"`)
		}
	}
}

// source finds the call whose token a write sent: the last one before it, and rather
// its own client's, since several reads may have returned equal tokens.
func (l *lanes) source(to call) *call {
	var best *call
	for i := range l.calls {
		from := &l.calls[i]
		if from.end > to.inv.Time || from.inv.Key != to.inv.Key || !bytes.Equal(from.done.Token, to.inv.Context) {
			continue
		}
		if best == nil || best.inv.Process != to.inv.Process || from.inv.Process == to.inv.Process {
			best = from
		}
	}
	return best
}

func (l *lanes) drawCall(c call) {
	x1, x2, y := l.x[c.inv.Time], l.x[c.end], l.clientY(c.inv.Process)
	class := "call " + string(c.outcome())
	if l.lost != nil && l.lost.inv.Index == c.inv.Index {
		class += " lost"
	}
	l.drawReplies(c, x2, y, strings.Contains(class, "lost"))
	l.d.open(class, callTip(c), fmt.Sprintf("#op-%d", c.inv.Index))
	l.d.rect(x1, y-7, x2-x1, 14, 4, `class="bar"`)
	label := fmt.Sprintf("#%d %s %s", c.inv.Index, c.inv.Node, opLabel(c.inv))
	if c.inv.F == harness.Get && c.outcome() == harness.OK {
		label += " → " + seen(c.done.Siblings)
	}
	if c.outcome() != harness.OK {
		label += " (" + string(c.outcome()) + ")"
	}
	l.d.text(x1, y-11, `class="small"`, clip(label, l.room(c)))
	l.d.close(true)
}

// drawReplies draws who answered: a dot for a copy of the node's own, a ring for one
// that it keeps for another node.
func (l *lanes) drawReplies(c call, x, y float64, lost bool) {
	stoodInFor := map[int][]string{}
	for _, r := range acks(c) {
		i := slices.Index(l.nodes, r.Node)
		class := "ack"
		if lost {
			class += " lost"
		}
		l.d.line(x, y+7, x, l.nodeY(i), fmt.Sprintf(`class="%s"`, class))
		tip := fmt.Sprintf("%s acknowledged #%d", r.Node, c.inv.Index)
		if r.For != "" {
			class += " hint"
			tip += " in place of " + string(r.For)
			stoodInFor[i] = append(stoodInFor[i], string(r.For))
		}
		l.d.open(class, tip, "")
		l.d.circle(x, l.nodeY(i), 5, "")
		l.d.close(false)
	}
	class := "ack hint"
	if lost {
		class += " lost"
	}
	for i := range l.nodes {
		if owners := stoodInFor[i]; len(owners) > 0 { // one node can stand in for several
			l.d.open(class, "", "")
			l.d.text(x+8, l.nodeY(i)-4, `class="small"`, "for "+strings.Join(owners, ", "))
			l.d.close(false)
		}
	}
}

// room is how many characters fit between the start of a call and the next in its lane.
func (l *lanes) room(c call) int {
	end := l.width - 10
	if len(l.finals) > 0 {
		end -= laneFinal
	}
	for _, o := range l.calls {
		if o.inv.Process == c.inv.Process && o.inv.Time > c.inv.Time {
			end = min(end, l.x[o.inv.Time])
		}
	}
	return int((end - l.x[c.inv.Time] - 4) / glyph)
}

func (l *lanes) drawFinals() {
	if len(l.finals) == 0 {
		return
	}
	x := l.width - laneFinal
	l.d.line(x-14, l.top, x-14, l.nodeY(len(l.nodes)-1)+16, `class="divide"`)
	l.d.text(x, l.nodeY(0)-26, `class="small"`, "final reads of the copies")
	drawn := make(map[harness.NodeID]bool)
	for _, c := range slices.Backward(l.finals) { // the last round counts
		i := slices.Index(l.nodes, c.inv.Node)
		if i < 0 || drawn[c.inv.Node] {
			continue
		}
		drawn[c.inv.Node] = true
		l.d.open("call final "+string(c.outcome()), callTip(c), fmt.Sprintf("#op-%d", c.inv.Index))
		l.d.rect(x, l.nodeY(i)-11, laneFinal-16, 22, 4, `class="bar"`)
		l.d.text(x+8, l.nodeY(i)+4, `class="small"`, clip(fmt.Sprintf("#%d %s", c.inv.Index, seen(c.done.Siblings)), laneFinalRunes))
		l.d.close(true)
	}
}

func (l *lanes) drawTicks() {
	y := l.nodeY(len(l.nodes)-1) + 30
	last := -1e9
	for _, t := range l.stops {
		x := l.x[t]
		l.d.line(x, y-14, x, y-9, `class="rail"`)
		if x-last < 62 {
			continue
		}
		last = x
		l.d.text(x, y+2, `class="small soft mid"`, instant(t))
	}
}

func callTip(c call) string {
	s := fmt.Sprintf("#%d %s %s at %s by client %d: %s after %s", c.inv.Index, opLabel(c.inv), c.inv.Key, c.inv.Node, c.inv.Process, c.outcome(), short(c.latency()))
	if c.outcome() == harness.OK && len(c.done.Siblings) > 0 {
		s += ", saw " + seen(c.done.Siblings)
	}
	if c.done.Error != "" {
		s += ", " + c.done.Error
	}
	return s
}
