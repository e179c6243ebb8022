package checker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// Kinds of anomalies that [Set] and [List] find, beside [LostElement].
const (
	PhantomElement = "phantom-element" // shown, and nobody added it or only one who certainly failed
	FutureElement  = "future-element"  // shown before its add began
	TwiceElement   = "twice-element"   // shown twice in one answer
	TwoOrders      = "two-orders"      // two lists, neither a prefix of the other
	StaleList      = "stale-list"      // a list lacks what was acknowledged, or shown, before it was asked for
)

// Set judges keys as sets to which elements are added ([harness.Add], or a put whose
// Action is "add") and which are read whole. An element is known once its add is
// acknowledged or a read has shown it. It is lost if a read that began later lacks it and
// no read that began after that one shows it again; if it comes back the read was stale,
// which is counted and not judged. (The rules are those of Jepsen's set-full.)
func Set() harness.Checker { return plainCheck{"set", setsOf} }

// List judges keys as lists to which elements are appended ([harness.Append]) and which
// are read whole: all lists of a key are prefixes of one order, and each holds what was
// acknowledged, or shown by another answer, before it was asked for. With unique elements
// this decides linearizability.
func List() harness.Checker { return plainCheck{"list-append", listsOf} }

// A plainCheck is a checker that needs no index.
type plainCheck struct {
	name  string
	judge func(context.Context, []harness.Op) harness.Finding
}

func (c plainCheck) Name() string { return c.name }

func (c plainCheck) Check(ctx context.Context, h []harness.Op) harness.Finding {
	f := c.judge(ctx, h)
	if ctx.Err() != nil && f.Verdict != harness.Invalid {
		f = unknown("the check was cut short: %v", context.Cause(ctx))
	}
	f.Checker = c.name
	return f
}

// A collection is a key that holds elements.
type collection struct {
	key   string
	adds  map[string]addition
	reads []glimpse // by call
}

// An addition is one element's add.
type addition struct {
	inv   harness.Op
	acked time.Duration // when its answer came; forever without one
	done  int           // the answer's line
	fail  bool          // it certainly did nothing
}

// A glimpse is one read of all elements.
type glimpse struct {
	inv, done harness.Op
	items     []string // in the order shown
}

// collections sorts out a history. It fails where an element is added twice, since nobody
// can tell then which add an answer shows.
func collections(h []harness.Op, add string) (out []*collection, removes int, err error) {
	keys := map[string]*collection{}
	for _, p := range history.Pairs(h) {
		inv := h[p.Invoke]
		adds := inv.F == add || add == harness.Add && inv.F == harness.Put && inv.Action == "add"
		if inv.Process < 0 || !adds && inv.F != harness.Get {
			if inv.Process >= 0 && inv.IsWrite() {
				removes++
			}
			continue
		}
		c := keys[inv.Key]
		if c == nil {
			c = &collection{key: inv.Key, adds: map[string]addition{}}
			keys[inv.Key] = c
		}
		done, ended := harness.Op{Kind: harness.Info}, p.Completion >= 0
		if ended {
			done = h[p.Completion]
		}
		if !adds {
			if done.Kind == harness.OK {
				c.reads = append(c.reads, glimpse{inv, done, elementsShown(done.Siblings)})
			}
			continue
		}
		if other, ok := c.adds[inv.Element]; ok {
			return nil, 0, fmt.Errorf("ops %d and %d both add %s to key %q: elements must be unique", other.inv.Index, inv.Index, inv.Element, inv.Key)
		}
		a := addition{inv: inv, acked: forever, done: none, fail: done.Kind == harness.Fail}
		if done.Kind == harness.OK {
			a.acked, a.done = done.Time, done.Index
		}
		c.adds[inv.Element] = a
	}
	for _, key := range sortedKeys(keys) {
		out = append(out, keys[key])
	}
	return out, removes, nil
}

// elementsShown is what live siblings hold, one after the other, in the order shown.
func elementsShown(siblings []harness.Sibling) []string {
	var all []string
	for _, s := range live(siblings) {
		all = append(all, itemsOf(s.Value)...)
	}
	return all
}

func setsOf(ctx context.Context, h []harness.Op) harness.Finding {
	keys, removes, err := collections(h, harness.Add)
	if err != nil {
		return unknown("%v", err)
	}
	found := collect(Claims{}, LostElement, PhantomElement, FutureElement)
	figures := map[string]float64{"attempted": 0, "acknowledged": 0, "reads": 0, "stable": 0, "lost": 0, "never_read": 0, "stale": 0}
	for _, c := range keys {
		if ctx.Err() != nil {
			break
		}
		c.explainable(found)
		c.outcomes(found, figures)
	}
	var doubts []string
	if figures["attempted"] == 0 || figures["reads"] == 0 {
		doubts = append(doubts, "it needs adds and reads")
	}
	if removes > 0 {
		doubts = append(doubts, count(removes, "write", "writes")+" did something else than add")
	}
	return found.finding(fmt.Sprintf("%.0f adds, %.0f acknowledged, in %.0f reads of %s", figures["attempted"], figures["acknowledged"],
		figures["reads"], count(len(keys), "key", "keys")), doubts, figures)
}

// explainable wants an add behind everything shown.
func (c *collection) explainable(found *collector) {
	for _, r := range c.reads {
		for _, e := range r.items {
			a, ok := c.adds[e]
			switch {
			case !ok, a.fail:
				found.add(PhantomElement, 0, func() harness.Anomaly { return c.told(r, e, "which nobody added, or only one who certainly failed") })
			case a.inv.Time > r.done.Time:
				found.add(FutureElement, 0, func() harness.Anomaly {
					return c.told(r, e, fmt.Sprintf("which %s began to add only at %s", said(a.inv), instant(a.inv.Time)), a.inv.Index)
				})
			}
		}
	}
}

func (c *collection) told(r glimpse, e, why string, more ...int) harness.Anomaly {
	return harness.Anomaly{
		Key: c.key, Element: e, Ops: append([]int{r.inv.Index, r.done.Index}, more...),
		Story: []string{fmt.Sprintf("%s of key %s showed %s at %s, %s.", capital(said(r.inv)), c.key, e, instant(r.done.Time), why)},
	}
}

// outcomes says what became of each element.
func (c *collection) outcomes(found *collector, figures map[string]float64) {
	figures["reads"] += float64(len(c.reads))
	shown := map[string][]int{} // reads that show an element, by position
	for i, r := range c.reads {
		for _, e := range slices.Compact(slices.Sorted(slices.Values(r.items))) {
			shown[e] = append(shown[e], i)
		}
	}
	for _, e := range sortedKeys(c.adds) {
		a := c.adds[e]
		if figures["attempted"]++; a.acked < forever {
			figures["acknowledged"]++
		}
		known := a.acked
		for _, i := range shown[e] {
			known = min(known, c.reads[i].done.Time)
		}
		if a.fail || known == forever {
			continue // it may never have been there
		}
		present, absent, lacking := -1, -1, 0
		for i, next := range c.reads {
			if _, ok := slices.BinarySearch(shown[e], i); ok {
				present = i
			} else if next.inv.Time > known {
				absent = i
				lacking++
			}
		}
		switch {
		case absent > present:
			figures["lost"]++
			found.add(LostElement, 0, func() harness.Anomaly { return c.tellLost(e, a, present, absent, lacking) })
		case present < 0:
			figures["never_read"]++
		default:
			figures["stable"]++
			if lacking > 0 {
				figures["stale"]++
			}
		}
	}
}

func (c *collection) tellLost(e string, a addition, present, absent, lacking int) harness.Anomaly {
	an := harness.Anomaly{Key: c.key, Element: e, Ops: []int{a.inv.Index}}
	if a.done != none {
		an.Ops = append(an.Ops, a.done)
		an.Story = append(an.Story, fmt.Sprintf("%s to key %s was acknowledged at %s.", capital(said(a.inv)), c.key, instant(a.acked)))
	} else {
		an.Story = append(an.Story, fmt.Sprintf("%s to key %s had no answer, but it was shown.", capital(said(a.inv)), c.key))
	}
	if present >= 0 {
		r := c.reads[present]
		an.Ops = append(an.Ops, r.inv.Index, r.done.Index)
		an.Story = append(an.Story, fmt.Sprintf("%s, called at %s, was the last to show it.", capital(said(r.inv)), instant(r.inv.Time)))
	}
	r := c.reads[absent]
	an.Ops = append(an.Ops, r.inv.Index, r.done.Index)
	an.Story = append(an.Story, fmt.Sprintf("%s, called at %s, lacks it, as do %d reads in all that began after it was known; none later shows it.",
		capital(said(r.inv)), instant(r.inv.Time), lacking))
	return an
}
