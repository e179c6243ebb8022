package trace

import (
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
)

// A Focus is what a trace is wanted for.
type Focus struct {
	Key         string
	Start, Stop time.Duration
	Why         string // in words, for the line that tells of the cut
}

// FocusOf finds the focus of a run: its first anomaly, worst checker first; or, where
// there is none, the shortest life of a hint that was handed off. It is false if nothing
// stands out.
func FocusOf(res harness.Result, h []harness.Op, lines []Line) (Focus, bool) {
	for _, f := range res.Findings {
		if f.Verdict != harness.Invalid {
			continue
		}
		for _, an := range f.Anomalies {
			if w, ok := span(an, h); ok {
				w.Why = fmt.Sprintf("%s on key %s", an.Kind, an.Key)
				return w, true
			}
		}
	}
	return hintLife(lines)
}

// span is the time in which clients did what proves an anomaly. A proof may name an
// operation's invocation, its completion or both: all of it belongs to it.
func span(an harness.Anomaly, h []harness.Op) (Focus, bool) {
	w, found := Focus{Key: an.Key, Start: 1<<63 - 1}, false
	for _, i := range an.Ops {
		if i < 0 || i >= len(h) || h[i].Process < 0 || h[i].Key != an.Key {
			continue
		}
		found = true
		other := h[i]
		mate := func(op harness.Op) bool { return op.Process == h[i].Process && op.Kind != h[i].Kind }
		if h[i].Kind == harness.Invoke {
			if j := slices.IndexFunc(h[i:], mate); j >= 0 {
				other = h[i+j]
			}
		} else {
			for j := i - 1; j >= 0; j-- {
				if mate(h[j]) {
					other = h[j]
					break
				}
			}
		}
		w.Start = min(w.Start, h[i].Time, other.Time)
		w.Stop = max(w.Stop, h[i].Time, other.Time)
	}
	return w, found
}

// hintLife is the shortest life of a hint, which is the easiest to follow: from the put
// that made it to its hand-off.
func hintLife(lines []Line) (best Focus, ok bool) {
	for i, l := range lines {
		if l.What != Hint || l.Kind != Request || l.Fate != Delivered || l.Time < 0 {
			continue
		}
		start := putOf(lines[:i], l)
		for _, m := range lines[i+1:] {
			if ok && m.Time-start >= best.Stop-best.Start {
				break
			}
			if m.delivers(l) {
				best, ok = Focus{Key: l.Key, Start: start, Stop: m.Ended, Why: fmt.Sprintf("the life of a hint for %s on key %s", l.For, l.Key)}, true
				break
			}
		}
	}
	return best, ok
}

// delivers reports whether a message hands a hint off: from the node that keeps it to the
// one that it is for, after it came, with some of what it said.
func (l Line) delivers(hint Line) bool {
	return l.What == HandOff && l.Kind == Request && l.Fate == Delivered && l.Key == hint.Key &&
		l.From == hint.To && l.To == hint.For && l.Time >= hint.Ended &&
		slices.ContainsFunc(l.Versions, func(v harness.Sibling) bool {
			return slices.ContainsFunc(hint.Versions, func(w harness.Sibling) bool { return v.Write == w.Write })
		})
}

// putOf is when a client sent the latest write that a hint carries; without one, when the
// hint was sent.
func putOf(before []Line, hint Line) time.Duration {
	for _, l := range slices.Backward(before) {
		if l.What == Client && l.Kind == Request && l.Key == hint.Key && len(l.Versions) == 1 &&
			slices.ContainsFunc(hint.Versions, func(v harness.Sibling) bool { return v.Write == l.Versions[0].Write }) {
			return l.Time
		}
	}
	return hint.Time
}

// margin is how much of a run's time around a focus belongs to it: a put's replicas are
// given up after less.
const margin = 2 * time.Second

// Shorten keeps at most linesMax lines, those nearest to the focus: events, then messages about
// its key in its time, then others of that time, then others about its key. A trace that
// is cut begins with a line that says so. The lines must be sorted; they stay so.
func Shorten(lines []Line, f Focus, linesMax int) []Line {
	if len(lines) <= linesMax {
		return lines
	}
	rank := func(l Line) int {
		inside := l.Ended >= f.Start-margin && l.Time <= f.Stop+margin
		quiet := l.What == Ping || l.What == Look
		switch {
		case l.Event != Message:
			return 0
		case l.Key == f.Key && inside:
			return 1
		case inside && !quiet:
			return 2
		case l.Key == f.Key && l.Key != "":
			return 3
		case inside:
			return 4
		case !quiet:
			return 5
		}
		return 6
	}
	count := [7]int{}
	for _, l := range lines {
		count[rank(l)]++
	}
	room := linesMax - 1 // for the line that tells
	kept := make([]Line, 0, linesMax)
	for i, n := range count { // from here on, how many of each may stay
		count[i] = min(n, room)
		room -= count[i]
	}
	for _, l := range lines {
		if r := rank(l); count[r] > 0 {
			count[r]--
			kept = append(kept, l)
		}
	}
	detail := fmt.Sprintf("%d of %d lines were left out", len(lines)-len(kept), len(lines))
	if f.Why != "" {
		detail += ": those kept are nearest to " + f.Why
	}
	return slices.Insert(kept, 0, Line{Event: Left, Time: kept[0].Time, Ended: kept[0].Time, Detail: detail})
}
