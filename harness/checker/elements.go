package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"cartwheel/harness"
)

// Kinds of anomalies that [Elements] finds.
const (
	LostElement        = "lost-element"        // added, acknowledged, not in the final cart, and nobody removed it
	UnexplainedElement = "unexplained-element" // in the final cart, and nobody added it
)

// Elements judges carts by what is in them: puts add or remove one element of the union
// of what their context showed, and say so in Action and Element; values are JSON with
// a list of items. The final cart is the union of all copies' siblings. An acknowledged
// add is lost when its element is not there, unless a remove that had seen it took
// effect. A removed element that a concurrent version brings back is the price that the
// paper accepts (section 4.4): counted, not judged. The figures are the classic ones of
// partition tests: attempted, acknowledged, survivors, lost, recovered.
func Elements() harness.Checker { return newCheck("elements", elements) }

// elementTally are the figures of all carts.
type elementTally struct {
	attempted, acked, survivors, lost, gone, removed, recovered, reappeared, unread int
}

func elements(ctx context.Context, x *index) harness.Finding {
	c := x.collect(LostElement, UnexplainedElement)
	var t elementTally
	moving := 0
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		cart := k.cart(x)
		into := c
		if x.unrest != "" && !k.stuck() {
			into = x.collect() // perhaps only late
		}
		cart.judge(into, &t)
		if into != c {
			moving += into.total()
		}
	}
	var doubts []string
	if t.attempted == 0 {
		doubts = append(doubts, "nothing was added")
	}
	if t.unread > 0 {
		doubts = append(doubts, count(t.unread, "acknowledged add", "acknowledged adds")+" to carts that were not read on every replica at the end")
	}
	if moving > 0 {
		doubts = append(doubts, count(moving, "element", "elements")+" missing when the run ended, but perhaps only late: "+x.unrest)
	}
	f := c.finding(fmt.Sprintf("%s, %d acknowledged, %d of them in the final carts", count(t.attempted, "add", "adds"), t.acked, t.survivors), doubts, t.figures())
	return f
}

func (t elementTally) figures() map[string]float64 {
	f := map[string]float64{
		"attempted": float64(t.attempted), "acknowledged": float64(t.acked), "survivors": float64(t.survivors),
		"lost": float64(t.lost), "removed": float64(t.removed), "recovered": float64(t.recovered), "reappeared": float64(t.reappeared),
	}
	if t.gone > 0 {
		f["gone_with_disks"] = float64(t.gone)
	}
	if t.attempted > 0 {
		f["ack_rate"] = float64(t.acked) / float64(t.attempted)
	}
	if t.acked > 0 {
		f["loss_rate"] = float64(t.lost) / float64(t.acked)
	}
	return f
}

// A cart is a key whose values hold items.
type cart struct {
	*keyIndex
	x       *index
	adds    map[string][]int // writes that added an element
	removes map[string][]int // effective writes that removed one
	final   map[string]bool
	copies  []copyRead // of the last round, those that could be read
	whole   bool       // all of them could
}

func (k *keyIndex) cart(x *index) *cart {
	c := &cart{
		keyIndex: k, x: x, adds: make(map[string][]int), removes: make(map[string][]int),
		final: make(map[string]bool), whole: len(k.last()) > 0,
	}
	for _, i := range sortedKeys(k.carts) {
		e := k.carts[i]
		switch {
		case e.action == "add":
			c.adds[e.element] = append(c.adds[e.element], int(i))
		case e.action == "remove" && k.writes[i].effective():
			c.removes[e.element] = append(c.removes[e.element], int(i))
		}
	}
	for _, r := range k.last() {
		if r.answer == none {
			c.whole = false
			continue
		}
		c.copies = append(c.copies, r)
		for _, e := range items(r.siblings) {
			c.final[e] = true
		}
	}
	return c
}

// items is the union of what live siblings hold.
func items(siblings []harness.Sibling) []string {
	var all []string
	for _, s := range siblings {
		if !s.Tombstone {
			all = append(all, itemsOf(s.Value)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// itemsOf is what one value holds; nothing if it is no cart.
func itemsOf(value string) []string {
	var v struct {
		Items []string `json:"items"`
	}
	if json.Unmarshal([]byte(value), &v) != nil {
		return nil
	}
	return v.Items
}

// judge gives every added element its outcome and wants every final one explained.
func (c *cart) judge(found *collector, t *elementTally) {
	if len(c.adds) == 0 {
		return // not a cart
	}
	for _, e := range sortedKeys(c.adds) {
		acked, removed := none, c.removed(e)
		for _, i := range c.adds[e] {
			if c.writes[i].acked() && acked == none {
				acked = i
			}
		}
		t.attempted++
		switch {
		case acked == none && c.final[e]:
			t.recovered++
		case acked == none:
		default:
			t.acked++
			c.outcome(found, t, e, acked, removed)
		}
		if removed && c.final[e] {
			t.reappeared++
		}
	}
	for _, e := range sortedKeys(c.final) {
		if !slices.ContainsFunc(c.adds[e], func(i int) bool { return c.writes[i].effective() }) {
			found.add(UnexplainedElement, 0, func() harness.Anomaly { return c.tellUnexplained(e) })
		}
	}
}

func (c *cart) outcome(found *collector, t *elementTally, e string, add int, removed bool) {
	switch {
	case c.final[e]:
		t.survivors++
	case removed || c.emptied(&c.writes[add]):
		t.removed++
	case !c.whole:
		t.unread++
	case c.gone(&c.writes[add]):
		t.gone++
	default:
		t.lost++
		found.add(LostElement, 0, func() harness.Anomaly { return c.tellLost(e, add) })
	}
}

// removed reports whether a remove of an element took effect, after it had seen it. One
// of unknown outcome did if it is in the final copies; one whose context is unknown must
// have seen what it removed.
func (c *cart) removed(e string) bool {
	return slices.ContainsFunc(c.removes[e], func(r int) bool {
		w := &c.writes[r]
		saw := w.open || w.from != none && slices.ContainsFunc(c.seen(&c.answers[w.from]), func(s int32) bool {
			return slices.Contains(itemsOf(c.carts[s].value), e)
		})
		return saw && slices.ContainsFunc(c.copies, func(f copyRead) bool {
			a := &c.answers[f.answer]
			return a.holds(w) || a.open
		})
	})
}

// emptied reports whether a delete that took effect covered an add.
func (c *cart) emptied(add *write) bool {
	return slices.ContainsFunc(c.deletes, func(i int32) bool {
		d := &c.writes[i]
		return d.effective() && d.past(add) && (c.hidden || slices.ContainsFunc(c.copies, func(f copyRead) bool {
			a := &c.answers[f.answer]
			return a.holds(d) || a.open
		}))
	})
}

func (c *cart) tellLost(e string, add int) harness.Anomaly {
	w := &c.writes[add]
	absent := make([]copyRead, 0, len(c.copies))
	for _, r := range c.copies {
		if !c.answers[r.answer].holds(w) {
			absent = append(absent, r)
		}
	}
	if len(absent) > 0 {
		a := c.tellLoss(c.x, loss{w: add, absent: absent, back: none})
		a.Element = e
		return a
	}
	// The write counts as superseded, but what superseded it does not hold its element.
	inv := c.h[w.inv]
	a := harness.Anomaly{Key: c.key, Element: e, Ops: []int{inv.Index, c.h[w.done].Index}}
	a.Story = append(a.Story, fmt.Sprintf("%s of key %s was acknowledged at %s, but no final copy holds %s and nobody removed it.",
		capital(said(inv)), c.key, instant(c.h[w.done].Time), e))
	for i := range c.writes {
		next := &c.writes[i]
		if !next.past(w) || next.from == none || slices.Contains(itemsOf(c.h[next.inv].Value), e) {
			continue
		}
		from := c.answers[next.from]
		a.Ops = append(a.Ops, c.h[next.inv].Index, c.h[from.done].Index)
		a.Story = append(a.Story, fmt.Sprintf("%s supersedes it without %s: it carried the context of %s, which showed %s.",
			capital(said(c.h[next.inv])), e, said(c.h[from.inv]), showing(c.h[from.done].Siblings)))
		break
	}
	return a
}

func (c *cart) tellUnexplained(e string) harness.Anomaly {
	a := harness.Anomaly{Key: c.key, Element: e}
	a.Story = append(a.Story, fmt.Sprintf("The final cart of key %s holds %s, which nobody added, or only adds that failed for certain.", c.key, e))
	for _, i := range c.adds[e] {
		a.Ops = append(a.Ops, c.h[c.writes[i].inv].Index)
	}
	for _, r := range c.copies {
		if slices.Contains(items(c.h[r.done].Siblings), e) {
			a.Ops = append(a.Ops, c.h[r.done].Index)
			a.Story = append(a.Story, fmt.Sprintf("%s holds %s (op %d).", r.node, showing(c.h[r.done].Siblings), c.h[r.inv].Index))
		}
	}
	return a
}
