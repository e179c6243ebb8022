package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/trace"
)

// Measures of a Lamport diagram.
const (
	lamportGutter  = 92.0
	lamportClient  = 120.0 // between lanes of clients: operations are named beside them
	lamportNode    = 126.0
	lamportWide    = 1030.0                // what fits the page
	lamportLabel   = 13.0                  // height of a label
	lamportPause   = 40 * time.Millisecond // a gap that is told in words
	lamportHeadTop = 34.0
	faultRunes     = 70 // of whom a fault hit
	opTextRunes    = 15 // characters that fit beside an operation
)

// A stop is an instant with a place of its own on the axis.
type stop struct {
	at time.Duration
	y  float64
}

// lanesOf finds who takes part.
func (l *lamport) lanesOf() {
	for _, c := range l.ops {
		if t := l.thread(c.inv.Process); !slices.Contains(l.clients, t) {
			l.clients = append(l.clients, t)
		}
	}
	slices.Sort(l.clients)
	node := func(n harness.NodeID) {
		if slices.Contains(l.a.res.Plan.Nodes, n) && !slices.Contains(l.nodes, n) {
			l.nodes = append(l.nodes, n)
		}
	}
	for _, r := range l.arrows {
		if !r.noise {
			node(r.From)
			node(r.To)
			node(r.For)
		}
	}
	for _, c := range l.ops {
		node(c.inv.Node)
	}
	slices.SortFunc(l.nodes, func(x, y harness.NodeID) int {
		return cmp.Compare(slices.Index(l.a.res.Plan.Nodes, x), slices.Index(l.a.res.Plan.Nodes, y))
	})
	// What nobody in the picture says is not in the picture.
	l.arrows = slices.DeleteFunc(l.arrows, func(r arrow) bool { return l.laneX(r, r.From) == 0 || l.laneX(r, r.To) == 0 })
	rest := lamportWide - lamportGutter - 20
	wide := lamportClient*float64(len(l.clients)) + lamportNode*float64(len(l.nodes))
	l.width = lamportWide
	if wide > rest {
		l.width += wide - rest
	}
}

// thread is the lane of a process: a client that goes on after an indeterminate
// operation does so under a new number, as its thread's next process.
func (l *lamport) thread(process int) int {
	if n := l.a.res.Plan.Concurrency; n > 0 {
		return process % n
	}
	return process
}

// clientX is the place of a client's lane.
func (l *lamport) clientX(thread int) float64 {
	return lamportGutter + lamportClient*(float64(slices.Index(l.clients, thread))+0.85)
}

// nodeX is the place of a node's lane. Nodes share what the clients leave.
func (l *lamport) nodeX(i int) float64 {
	left := l.nodesX()
	step := (l.width - left - 10) / float64(max(len(l.nodes), 1))
	return left + step*(float64(i)+0.5)
}

// nodesX is where the clients' part of the picture ends.
func (l *lamport) nodesX() float64 {
	return lamportGutter + lamportClient*(float64(len(l.clients))+0.15)
}

// laneX is the place of who sends or receives a message, or 0.
func (l *lamport) laneX(r arrow, who harness.NodeID) float64 {
	if i := slices.Index(l.nodes, who); i >= 0 {
		return l.nodeX(i)
	}
	if r.op != nil && isClient(who) {
		if t := l.thread(r.op.inv.Process); slices.Contains(l.clients, t) {
			return l.clientX(t)
		}
	}
	return 0
}

// isClient reports whether a trace's name is a client's.
func isClient(who harness.NodeID) bool {
	number, ok := strings.CutPrefix(string(who), "c")
	_, err := strconv.Atoi(number)
	return ok && err == nil
}

// axis gives every instant a place: the order is that of time, the distance a compressed
// one, and no less than the labels need.
func (l *lamport) axis() {
	need := map[time.Duration][]string{}  // lanes in which a label stands
	leave := map[time.Duration][]string{} // lanes in which a line begins, below what is written there
	add := func(t time.Duration, lane string) { need[t] = append(need[t], lane) }
	for _, r := range l.arrows {
		if r.noise {
			continue
		}
		add(r.Time, "")
		leave[r.Time] = append(leave[r.Time], l.sideOf(r.From, r.To, r))
		switch {
		case !r.Arrived():
			add(r.Time, "x"+string(r.From))
		case r.label != "":
			add(r.Ended, l.sideOf(r.To, r.From, r))
		default:
			add(r.Ended, "")
		}
	}
	for _, c := range l.ops {
		add(c.inv.Time, "client"+strconv.Itoa(l.thread(c.inv.Process)))
		if c.outcome() != harness.Info || c.end <= l.last() {
			add(c.end, "client"+strconv.Itoa(l.thread(c.inv.Process)))
		}
	}
	first, last := l.focus.Start, l.last()
	for _, w := range l.bands {
		for _, t := range []time.Duration{w.Start, w.Stop} {
			if t > first && t < last {
				add(t, "fault")
			}
		}
	}
	for _, e := range l.events {
		if e.Node != "" && e.Time > first && e.Time < last {
			add(e.Time, string(e.Node)+">")
		}
	}
	times := make([]time.Duration, 0, len(need))
	for t := range need {
		times = append(times, t)
	}
	slices.Sort(times)
	y, lowest := 18+lamportLabel*float64(max(l.opening()-1, 0)), map[string]float64{}
	for i, t := range times {
		if i > 0 {
			y += gapHeight(t - times[i-1])
		}
		for _, lane := range slices.Concat(need[t], leave[t]) {
			if low, ok := lowest[lane]; ok {
				y = max(y, low+labelHeight(lane))
			}
		}
		for _, lane := range need[t] {
			if lane != "" {
				lowest[lane] = y
			}
		}
		l.stops = append(l.stops, stop{t, y})
	}
	l.bottom = y + 26
}

// labelHeight is how much room a text needs on its side of a lane. Beside an operation
// stands its name below its begin and its result above its end.
func labelHeight(lane string) float64 {
	if strings.HasPrefix(lane, "client") {
		return 1.6 * lamportLabel
	}
	return lamportLabel
}

// opening counts the faults that were in force before the picture begins.
func (l *lamport) opening() int {
	n := 0
	for _, w := range l.bands {
		if w.Start <= l.focus.Start {
			n++
		}
	}
	return n
}

// gapHeight is how much of the picture a stretch of time gets.
func gapHeight(d time.Duration) float64 {
	h := 3 + 4.5*math.Log10(1+float64(d)/float64(100*time.Microsecond))
	if d >= lamportPause {
		h += 18 // for the words
	}
	return h
}

// sideOf names the side of a lane that looks to another.
func (l *lamport) sideOf(lane, other harness.NodeID, r arrow) string {
	if l.laneX(r, other) < l.laneX(r, lane) {
		return string(lane) + "<"
	}
	return string(lane) + ">"
}

// last is the end of the picture.
func (l *lamport) last() time.Duration {
	last := l.focus.Stop
	for _, r := range l.arrows {
		if !r.noise && r.Arrived() {
			last = max(last, r.Ended)
		}
	}
	return last
}

// y is the place of an instant; between stops it is interpolated.
func (l *lamport) y(t time.Duration) float64 {
	i, exact := slices.BinarySearchFunc(l.stops, t, func(s stop, t time.Duration) int { return cmp.Compare(s.at, t) })
	switch {
	case exact:
		return l.stops[i].y
	case i == 0:
		return 4
	case i == len(l.stops):
		return l.bottom - 8
	}
	a, b := l.stops[i-1], l.stops[i]
	return a.y + (b.y-a.y)*float64(t-a.at)/float64(b.at-a.at)
}

// happened are the events of one node, in order.
func (l *lamport) happened(n harness.NodeID) []trace.Line {
	var out []trace.Line
	for _, e := range l.events {
		if e.Node == n {
			out = append(out, e)
		}
	}
	return out
}
