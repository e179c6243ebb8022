package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"cartwheel/harness"
	"cartwheel/harness/trace"
)

// drawHead draws the names of the lanes, which stay in sight while the picture scrolls.
func (l *lamport) drawHead() template.HTML {
	var d drawing
	for _, t := range l.clients {
		d.text(l.clientX(t), 22, `class="mid bold"`, fmt.Sprintf("client %d", t))
	}
	for i, n := range l.nodes {
		d.rect(l.nodeX(i)-24, 5, 48, 24, 6, `class="lane-box"`)
		d.text(l.nodeX(i), 22, `class="mid bold"`, string(n))
	}
	return d.finish(l.width, lamportHeadTop, "lamport", "lanes: clients, then nodes")
}

func (l *lamport) draw() template.HTML {
	l.drawRails()
	l.drawFaults()
	l.drawTime()
	for _, c := range l.ops {
		l.drawOp(c)
	}
	for _, r := range l.arrows {
		l.drawArrow(r)
	}
	for _, c := range l.ops { // above the arrows, or they could not be read
		l.drawOpText(c)
	}
	for i, n := range l.nodes {
		l.drawEvents(l.nodeX(i), n)
	}
	label := fmt.Sprintf("messages about key %s from %s to %s", l.focus.Key, instant(l.focus.Start), instant(l.last()))
	return l.d.finish(l.width, l.bottom, "lamport", label)
}

func (l *lamport) drawRails() {
	for _, t := range l.clients {
		l.d.line(l.clientX(t), 0, l.clientX(t), l.bottom, `class="rail"`)
	}
	for i, n := range l.nodes {
		x, from, alive := l.nodeX(i), 0.0, true
		for _, e := range l.happened(n) {
			switch e.Event {
			case trace.Kill, trace.End:
				if alive {
					l.d.line(x, from, x, l.y(e.Time), `class="rail node"`)
				}
				alive = false
			case trace.Start:
				from, alive = l.y(e.Time), true
				if e.Time < l.focus.Start {
					from = 0
				}
			}
		}
		if alive {
			l.d.line(x, from, x, l.bottom, `class="rail node"`)
		}
	}
}

// drawTime writes instants into the gutter, where there is room, and tells long gaps.
func (l *lamport) drawTime() {
	free := 0.0
	for i, s := range l.stops {
		if i > 0 && s.at-l.stops[i-1].at >= lamportPause {
			mid := (s.y + l.stops[i-1].y) / 2
			l.d.line(lamportGutter-8, mid, l.width-8, mid, `class="divide"`)
			l.d.text(8, mid+4, `class="small soft"`, short(s.at-l.stops[i-1].at)+" later")
			free = mid + lamportLabel
		}
		if s.y >= free && s.y+4 < l.bottom {
			if i+1 < len(l.stops) && l.stops[i+1].at-s.at >= lamportPause && l.stops[i+1].y-s.y < 2*lamportLabel+8 {
				continue
			}
			l.d.text(lamportGutter-14, s.y+4, `class="small soft end"`, instant(s.at))
			free = s.y + 2.4*lamportLabel
		}
	}
}

// drawFaults shades what was cut off or stood still, and writes when faults begin and end.
func (l *lamport) drawFaults() {
	left := l.nodesX()
	opening := 0
	for _, w := range l.bands {
		top, bottom := l.y(w.Start), l.y(w.Stop)
		if w.Start <= l.focus.Start {
			top = 0
		}
		if w.Stop >= l.last() {
			bottom = l.bottom
		}
		name := w.Fault.ID + " " + faultTitle(w.Fault)
		tip := fmt.Sprintf("%s, %s, %s", name, faultTarget(w.Fault), span(w.Start, w.Stop))
		l.d.open("band "+bandRole(w.Fault.Kind).name, tip, "#fault-"+w.Fault.ID)
		if w.Fault.Kind == "partition" || len(w.Fault.Nodes) == 0 {
			l.d.rect(left, top, l.width-left-4, bottom-top, 4, `class="fill"`)
		}
		for i, n := range l.nodes {
			if w.Fault.Kind != "partition" && slices.Contains(w.Fault.Nodes, n) {
				l.d.rect(l.nodeX(i)-22, top, 44, bottom-top, 4, `class="fill strong"`)
			}
		}
		whom := nodeList(w.Fault.Nodes)
		if len(w.Fault.Links) > 0 {
			whom = links(w.Fault.Links)
		}
		whom = clip(whom, faultRunes)
		mark := func(y float64, text string) {
			l.d.line(left, y, l.width-4, y, `class="edge-line"`)
			l.d.text(l.width-10, y-4, `class="small end halo"`, text)
		}
		if top > 0 {
			mark(top, name+" begins: "+whom)
		} else {
			l.d.text(l.width-10, 12+lamportLabel*float64(opening), `class="small end halo"`, name+": "+whom)
			opening++
		}
		if bottom < l.bottom {
			mark(bottom, name+" ends")
		}
		l.d.close(true)
	}
}

func (l *lamport) drawOp(c call) {
	x := l.clientX(l.thread(c.inv.Process))
	top, bottom := l.y(c.inv.Time), l.opBottom(c)
	l.d.open("call "+string(c.outcome())+l.opClass(c), callTip(c), l.href(c))
	l.d.rect(x-6, top, 12, max(bottom-top, 4), 4, `class="bar"`)
	l.d.close(l.href(c) != "")
}

// opBottom is where an operation ends; one that outlives the picture runs out of it.
func (l *lamport) opBottom(c call) float64 {
	if c.end > l.last() {
		return l.bottom
	}
	return l.y(c.end)
}

func (l *lamport) opClass(c call) string {
	if len(l.proof) > 0 && !l.proof[c.inv.Index] {
		return " aside"
	}
	return ""
}

func (l *lamport) href(c call) string {
	if !l.linked[c.inv.Index] {
		return ""
	}
	return fmt.Sprintf("#op-%d", c.inv.Index)
}

// drawOpText says beside an operation's bar what was asked and what came of it.
func (l *lamport) drawOpText(c call) {
	x, room := l.clientX(l.thread(c.inv.Process))-11, opTextRunes
	l.d.open("optext"+l.opClass(c), callTip(c), l.href(c))
	l.d.text(x, l.y(c.inv.Time)+10, `class="small end halo bold"`, clip(fmt.Sprintf("#%d %s", c.inv.Index, opLabel(c.inv)), room))
	result := string(c.outcome())
	if c.inv.F == harness.Get && c.outcome() == harness.OK {
		result = "→ " + seen(c.done.Siblings)
	}
	if c.end <= l.last() {
		l.d.text(x, l.y(c.end)-2, `class="small end halo"`, clip(result, room))
	}
	l.d.close(l.href(c) != "")
}

func (l *lamport) drawArrow(r arrow) {
	x1, x2 := l.laneX(r, r.From), l.laneX(r, r.To)
	y1 := l.y(r.Time)
	classes := []string{"m", r.class(), r.Kind}
	if r.Fate == trace.Ignored {
		classes = append(classes, "late")
	}
	if !r.Arrived() {
		classes = append(classes, "lost")
	}
	l.d.open(strings.Join(classes, " "), l.arrowTip(r), "")
	defer l.d.close(false)
	// Arrows end beside a lane, and beside the bar of an operation.
	side := 1.0
	if x2 < x1 {
		side = -1
	}
	reach := func(who harness.NodeID) float64 {
		if isClient(who) {
			return 7
		}
		return 2
	}
	x1 += side * reach(r.From)
	x2 -= side * reach(r.To)
	if !r.Arrived() {
		xm, ym := x1+(x2-x1)*0.55, y1+9
		l.d.line(x1, y1, xm, ym, "")
		l.d.path(cross(xm, ym), `class="cross"`)
		l.d.text(xm+side*8, ym+4, fmt.Sprintf(`class="small halo%s"`, anchor(side)), r.label)
		return
	}
	y2 := l.y(r.Ended)
	l.d.line(x1, y1, x2, y2, `marker-end="url(#arrow)"`)
	if r.label != "" && !isClient(r.To) {
		l.d.text(x2-side*9, y2+10, fmt.Sprintf(`class="small halo%s"`, anchor(-side)), r.label)
	}
	if r.Tries > 1 { // the first attempts were lost soon after they left
		xm, ym := x1+(x2-x1)*0.12, y1+(y2-y1)*0.12
		l.d.path(cross(xm, ym), `class="cross"`)
		l.d.text(xm+side*9, ym+4, fmt.Sprintf(`class="small halo tries%s"`, anchor(side)), fmt.Sprintf("sent %d times", r.Tries))
	}
}

// cross is the path of one.
func cross(x, y float64) string { return fmt.Sprintf("M%.1f,%.1f l8,8 m0,-8 l-8,8", x-4, y-4) }

// anchor makes a text grow to the right of its place, or to the left.
func anchor(side float64) string {
	if side < 0 {
		return " end"
	}
	return ""
}

// arrowTip tells all that is known of a message.
func (l *lamport) arrowTip(r arrow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s → %s: %s %s", r.From, r.To, r.Method, r.Kind)
	if r.What != "" && r.What != trace.Client {
		fmt.Fprintf(&b, " (%s)", r.What)
	}
	if r.For != "" {
		fmt.Fprintf(&b, " for %s", r.For)
	}
	if len(r.Versions) > 0 {
		fmt.Fprintf(&b, ", carries %s", l.names(r.Versions))
	}
	if r.Error != "" {
		fmt.Fprintf(&b, ", %s", r.Error)
	}
	fmt.Fprintf(&b, "; sent %s, %s after %s", instant(r.Time), fateWords(r.Fate), short(r.Ended-r.Time))
	if r.Tries > 1 {
		fmt.Fprintf(&b, " and %d transmissions", r.Tries)
	}
	if r.op != nil {
		fmt.Fprintf(&b, "; part of #%d", r.op.inv.Index)
	}
	return b.String()
}

func fateWords(fate string) string {
	switch fate {
	case trace.Ignored:
		return "came too late"
	case trace.Refused:
		return "refused"
	case trace.Lost:
		return "lost for good"
	case trace.Orphaned:
		return "lost with its sender"
	}
	return "arrived"
}

// drawEvents marks what happened to a node on its lane.
func (l *lamport) drawEvents(x float64, n harness.NodeID) {
	words := map[string]string{trace.Kill: "killed", trace.Start: "started", trace.End: "stopped", trace.Pause: "paused", trace.Resume: "resumed"}
	for _, e := range l.happened(n) {
		if e.Time <= l.focus.Start || e.Time >= l.last() {
			continue
		}
		y, word := l.y(e.Time), words[e.Event]
		if word == "" {
			word = e.Detail
		}
		l.d.open("event "+e.Event, fmt.Sprintf("%s %s at %s", n, word, instant(e.Time)), "")
		l.d.circle(x, y, 5, "")
		l.d.text(x+9, y+4, `class="small halo bold"`, clip(word, 26))
		l.d.close(false)
	}
}
