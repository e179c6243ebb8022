package checker

import (
	"context"
	"fmt"
	"slices"

	"cartwheel/harness"
)

// Kinds of anomalies that [Counter] finds.
const (
	ImpossibleCount = "impossible-count" // more than was ever attempted, or less
	CountBehind     = "count-behind"     // a read lacks increments acknowledged before it began
	LostCount       = "lost-count"       // a final copy lacks acknowledged increments
)

// Actions of puts that [Counter] understands.
const (
	Increment = "increment"
	Decrement = "decrement"
)

// Counter judges counters that an application keeps on siblings (the paper's section
// 4.4: the client merges): each put has an Action, "increment" or "decrement", and as its
// Element by how much. Its value is what the writer knows of every session's own sums,
//
//	{"id":"v7","up":{"s1":5,"s2":1},"down":{"s2":2}}
//
// so that siblings are merged by taking the greater of each, and the sum of all is the
// count. A count is at least what was acknowledged before it was asked for and at most
// what had been attempted by the time of the answer, and at the end every copy holds what
// was acknowledged; only increments of unknown outcome may count or not. Decrements
// count the other way round.
func Counter() harness.Checker { return newCheck("counter", judgeCounters) }

// counterTally are the figures of all counters.
type counterTally struct {
	keys, reads, unjudged, finals, unread, moving int
	attempted, acknowledged, open                 int // increments and decrements
	final, slack                                  int // sums over keys: the count at the end, and what may count or not
}

func judgeCounters(ctx context.Context, x *index) harness.Finding {
	c := x.collect(LostCount, ImpossibleCount, CountBehind)
	var t counterTally
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		if n := k.counter(); len(n.increments) > 0 {
			t.keys++
			n.judgeReads(x, c, &t)
			n.judgeFinal(x, c, &t)
		}
	}
	var doubts []string
	if t.attempted == 0 || t.reads == 0 {
		doubts = append(doubts, "it needs increments and gets")
	}
	if t.unread > 0 {
		doubts = append(doubts, count(t.unread, "counter", "counters")+" not read on every replica at the end")
	}
	if t.moving > 0 {
		doubts = append(doubts, count(t.moving, "counter", "counters")+" too low when the run ended, but perhaps only late: "+x.unrest)
	}
	return c.finding(fmt.Sprintf("%s, %d acknowledged, and %s of %s", count(t.attempted, "increment", "increments"), t.acknowledged,
		count(t.reads, "get", "gets"), count(t.keys, "counter", "counters")), doubts, t.figures())
}

func (t counterTally) figures() map[string]float64 {
	return map[string]float64{
		"attempted": float64(t.attempted), "acknowledged": float64(t.acknowledged), "unknown": float64(t.open),
		"reads": float64(t.reads), "unjudged": float64(t.unjudged), "copies": float64(t.finals),
		"final_sum": float64(t.final), "final_slack": float64(t.slack),
	}
}

// A counter is a key that is counted on.
type counter struct {
	*keyIndex
	tab        tab
	increments []increment
	writes     []int32 // of each increment
}

func (k *keyIndex) counter() *counter {
	n := &counter{keyIndex: k}
	for _, i := range sortedKeys(k.carts) {
		by, ok := countedBy(k.carts[i].action, k.carts[i].element)
		w := &k.writes[i]
		if !ok {
			continue
		}
		inc := increment{by: by, call: k.times[w.inv], acked: forever, failed: !w.effective()}
		if w.acked() && !k.gone(w) {
			inc.acked = k.times[w.done]
		}
		n.increments, n.writes = append(n.increments, inc), append(n.writes, i)
	}
	n.tab = newTab(n.increments)
	return n
}

// shows is what an answer's siblings hold, merged; not ok if one is no value that
// somebody wrote.
func (n *counter) shows(a *answer) (s sums, ok bool) {
	for _, w := range n.seen(a) {
		if w < 0 || n.keyIndex.writes[w].tombstone {
			return s, false
		}
		v, ok := sumsOf(n.carts[w].value)
		if !ok {
			return s, false
		}
		s = s.merged(v)
	}
	return s, true
}

func (n *counter) judgeReads(x *index, c *collector, t *counterTally) {
	for _, inc := range n.increments {
		t.attempted++
		switch {
		case inc.acked < forever:
			t.acknowledged++
		case !inc.failed:
			t.open++
		}
	}
	for i := range n.answers {
		a := &n.answers[i]
		if !a.client() {
			continue
		}
		s, ok := n.shows(a)
		if !ok {
			t.unjudged++
			continue
		}
		t.reads++
		b := n.tab.bounds(n.times[a.inv], n.times[a.done])
		switch v := s.total(); {
		case v < b.least || v > b.most:
			c.add(ImpossibleCount, 0, func() harness.Anomaly { return n.tellRead(x, a, v, b) })
		case v < b.low || v > b.high:
			c.add(CountBehind, max(b.low-v, v-b.high), func() harness.Anomaly { return n.tellRead(x, a, v, b) })
		}
	}
}

func (n *counter) judgeFinal(x *index, c *collector, t *counterTally) {
	b := n.tab.bounds(forever, forever)
	last := n.last()
	whole, late := len(last) > 0, false
	for i, r := range last {
		if r.answer == none {
			whole = false
			continue
		}
		s, ok := n.shows(&n.answers[r.answer])
		if !ok {
			t.unjudged++
			continue
		}
		v := s.total()
		if t.finals++; i == 0 {
			t.final, t.slack = t.final+v, t.slack+b.high-b.low
		}
		switch {
		case v >= b.low && v <= b.high:
		case v < b.least || v > b.most:
			c.add(ImpossibleCount, 0, func() harness.Anomaly { return n.tellFinal(x, r, s, b) })
		case x.unrest != "" && !n.stuck():
			late = true
		default:
			c.add(LostCount, len(n.increments), func() harness.Anomaly { return n.tellFinal(x, r, s, b) })
		}
	}
	if !whole {
		t.unread++
	}
	if late {
		t.moving++
	}
}

// toldMax is how many increments a story names.
const toldMax = 5

func (n *counter) tellRead(x *index, a *answer, v int, b bounds) harness.Anomaly {
	inv, done := n.h[a.inv], n.h[a.done]
	out := harness.Anomaly{Key: n.key, Ops: []int{inv.Index, done.Index}}
	out.Story = []string{
		fmt.Sprintf("%s of counter %s, called at %s, showed %d at %s; %s.", capital(said(inv)), n.key, instant(inv.Time), v, instant(done.Time), b),
	}
	if v >= b.least && v <= b.most {
		n.name(&out, a.down, func(i int32) bool { return n.times[n.keyIndex.writes[i].done] < inv.Time })
	}
	out.Story = append(out.Story, n.duringFaults(x, inv.Time, done.Time)...)
	return out
}

func (n *counter) tellFinal(x *index, r copyRead, s sums, b bounds) harness.Anomaly {
	a := &n.answers[r.answer]
	out := harness.Anomaly{Key: n.key, Ops: []int{n.h[a.inv].Index, n.h[a.done].Index}}
	out.Story = []string{fmt.Sprintf("At the end, the copy of counter %s at %s shows %d (op %d); %s.", n.key, r.node, s.total(), n.h[a.inv].Index, b)}
	n.name(&out, a.down, func(i int32) bool {
		v, ok := sumsOf(n.carts[i].value)
		return ok && !v.within(s)
	})
	if x.unrest != "" {
		out.Story = append(out.Story, "The cluster itself said that it was not quiet: "+x.unrest+".")
	}
	return out
}

// name tells the acknowledged increments that an answer does not admit to, and that are such.
func (n *counter) name(out *harness.Anomaly, down vector, such func(int32) bool) {
	missing := slices.DeleteFunc(slices.Clone(n.writes), func(i int32) bool {
		w := &n.keyIndex.writes[i]
		return !w.acked() || w.in(down) || !such(i)
	})
	for i, m := range missing {
		inv, done := n.h[n.keyIndex.writes[m].inv], n.h[n.keyIndex.writes[m].done]
		if i == toldMax {
			out.Story = append(out.Story, fmt.Sprintf("There are %d more that it knows nothing of.", len(missing)-i))
			break
		}
		out.Ops = append(out.Ops, inv.Index, done.Index)
		out.Story = append(out.Story, fmt.Sprintf("It knows nothing of %s, acknowledged at %s.", said(inv), instant(done.Time)))
		if out.Element == "" {
			out.Element = label(inv.Value)
		}
	}
}
