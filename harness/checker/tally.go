package checker

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// Tally judges counters of stores that have them: [harness.Add] adds its Element, a whole
// number, and a get shows the count as its one value, or nothing for 0. A count is at least
// what was acknowledged before the get was called and at most what had been attempted by its
// end, as for [Counter]. (The bounds are those of Jepsen's counter.)
func Tally() harness.Checker { return plainCheck{"tally", tallies} }

// A tallied key has been added to and read.
type tallied struct {
	increments []increment
	lines      []harness.Op // of each increment
	reads      []tallyRead
}

type tallyRead struct {
	inv, done harness.Op
	count     int
}

func tallies(ctx context.Context, h []harness.Op) harness.Finding {
	found := collect(Claims{Mode: Strict}, ImpossibleCount, CountBehind)
	keys, err := talliedKeys(h)
	if err != nil {
		return unknown("%v", err)
	}
	adds, reads := 0, 0
	for _, key := range sortedKeys(keys) {
		if ctx.Err() != nil {
			break
		}
		t := keys[key]
		adds, reads = adds+len(t.increments), reads+len(t.reads)
		all := newTab(t.increments)
		for _, r := range t.reads {
			b := all.bounds(r.inv.Time, r.done.Time)
			switch {
			case r.count < b.least || r.count > b.most:
				found.add(ImpossibleCount, 0, func() harness.Anomaly { return t.tell(key, r, b) })
			case r.count < b.low || r.count > b.high:
				found.add(CountBehind, max(b.low-r.count, r.count-b.high), func() harness.Anomaly { return t.tell(key, r, b) })
			}
		}
	}
	var doubts []string
	if adds == 0 || reads == 0 {
		doubts = append(doubts, "it needs adds and reads")
	}
	return found.finding(fmt.Sprintf("%s and %s of %s", count(adds, "add", "adds"), count(reads, "read", "reads"), count(len(keys), "key", "keys")),
		doubts, map[string]float64{"attempted": float64(adds), "reads": float64(reads)})
}

// talliedKeys sorts out a history. It fails where something is no number.
func talliedKeys(h []harness.Op) (map[string]*tallied, error) {
	keys := make(map[string]*tallied)
	for _, p := range history.Pairs(h) {
		inv, done := h[p.Invoke], harness.Op{Kind: harness.Info, Time: forever}
		if inv.Process < 0 {
			continue
		}
		if p.Completion >= 0 {
			done = h[p.Completion]
		}
		t := keys[inv.Key]
		if t == nil {
			t = new(tallied)
			keys[inv.Key] = t
		}
		switch {
		case inv.F == harness.Add:
			by, err := strconv.Atoi(inv.Element)
			if err != nil {
				return nil, fmt.Errorf("op %d adds %q, which is no whole number", inv.Index, inv.Element)
			}
			i := increment{by: by, call: inv.Time, acked: forever, failed: done.Kind == harness.Fail}
			if done.Kind == harness.OK {
				i.acked = done.Time
			}
			t.increments, t.lines = append(t.increments, i), append(t.lines, inv)
		case inv.F != harness.Get:
			return nil, fmt.Errorf("op %d is a %s: a counter is added to and read", inv.Index, inv.F)
		case done.Kind == harness.OK:
			r := tallyRead{inv: inv, done: done}
			if shown := live(done.Siblings); len(shown) > 0 {
				n, err := strconv.Atoi(shown[0].Value)
				if err != nil || len(shown) > 1 {
					return nil, fmt.Errorf("op %d shows %s, which is no whole number", done.Index, showing(done.Siblings))
				}
				r.count = n
			}
			t.reads = append(t.reads, r)
		}
	}
	return keys, nil
}

// tell names the increments that were acknowledged last before the read was called, or
// attempted last before it ended.
func (t *tallied) tell(key string, r tallyRead, b bounds) harness.Anomaly {
	out := harness.Anomaly{Key: key, Element: strconv.Itoa(r.count), Ops: []int{r.inv.Index, r.done.Index}}
	out.Story = []string{fmt.Sprintf("%s of counter %s, called at %s, showed %d at %s; %s.",
		capital(said(r.inv)), key, instant(r.inv.Time), r.count, instant(r.done.Time), b)}
	tell := func(last int, what string, at func(increment) time.Duration) {
		if last != none {
			inv := t.lines[last]
			out.Ops = append(out.Ops, inv.Index)
			out.Story = append(out.Story, fmt.Sprintf("The last %s before was %s, at %s.", what, said(inv), instant(at(t.increments[last]))))
		}
	}
	acked, called := none, none
	for i, inc := range t.increments {
		if inc.acked < r.inv.Time && (acked == none || inc.acked >= t.increments[acked].acked) {
			acked = i
		}
		if inc.call <= r.done.Time && !inc.failed {
			called = i
		}
	}
	if r.count < b.least || r.count > b.most {
		tell(called, "attempted", func(i increment) time.Duration { return i.call })
	} else {
		tell(acked, "acknowledged", func(i increment) time.Duration { return i.acked })
	}
	return out
}
