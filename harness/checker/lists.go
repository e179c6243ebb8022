package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
)

func listsOf(ctx context.Context, h []harness.Op) harness.Finding {
	keys, others, err := collections(h, harness.Append)
	if err != nil {
		return unknown("%v", err)
	}
	found := collect(Claims{}, TwoOrders, StaleList, PhantomElement, FutureElement, TwiceElement)
	appends, reads := 0, 0
	for _, c := range keys {
		if ctx.Err() != nil {
			break
		}
		appends, reads = appends+len(c.adds), reads+len(c.reads)
		c.explainable(found)
		c.ordered(found)
	}
	var doubts []string
	if appends == 0 || reads == 0 {
		doubts = append(doubts, "it needs appends and reads")
	}
	if others > 0 {
		doubts = append(doubts, count(others, "write", "writes")+" did something else than append")
	}
	return found.finding(fmt.Sprintf("%s and %s of %s", count(appends, "append", "appends"), count(reads, "read", "reads"), count(len(keys), "key", "keys")),
		doubts, map[string]float64{"appends": float64(appends), "reads": float64(reads)})
}

// ordered wants one order behind all lists, and lists that only grow in real time. The
// longest list is the order; a read shows a beginning of it, so its length says all. What no
// list shows can be thought to come last, if it was not acknowledged before a read began.
func (c *collection) ordered(found *collector) {
	if len(c.reads) == 0 {
		return
	}
	longest := slices.MaxFunc(c.reads, func(a, b glimpse) int { return cmp.Compare(len(a.items), len(b.items)) })
	whole := true
	for _, r := range c.reads {
		if at, ok := firstDifference(r.items, longest.items); !ok {
			whole = false
			found.add(TwoOrders, len(r.items), func() harness.Anomaly { return c.tellOrders(r, longest, at) })
		}
		if e, ok := repeated(r.items); ok {
			whole = false
			found.add(TwiceElement, len(r.items), func() harness.Anomaly { return c.told(r, e, "twice") })
		}
	}
	if whole {
		c.grows(found, longest.items)
	}
}

// A bound is the least length that a list must have from an instant on, and why.
type bound struct {
	from   time.Duration
	length int
	why    string
	ops    []int
}

// grows wants every list to hold what was acknowledged or shown before it was asked for.
func (c *collection) grows(found *collector, order []string) {
	place := make(map[string]int, len(order))
	for i, e := range order {
		place[e] = i + 1
	}
	var bounds []bound
	for _, e := range sortedKeys(c.adds) {
		a := c.adds[e]
		if a.acked == forever {
			continue
		}
		length, ok := place[e]
		if !ok {
			length = len(order) + 1 // behind all that was shown
		}
		bounds = append(bounds, bound{a.acked, length, fmt.Sprintf("%s was acknowledged at %s", said(a.inv), instant(a.acked)), []int{a.inv.Index, a.done}})
	}
	for _, r := range c.reads {
		bounds = append(bounds, bound{
			r.done.Time, len(r.items), fmt.Sprintf("%s had shown %s by %s", said(r.inv), count(len(r.items), "element", "elements"), instant(r.done.Time)),
			[]int{r.inv.Index, r.done.Index},
		})
	}
	slices.SortStableFunc(bounds, func(a, b bound) int { return cmp.Compare(a.from, b.from) })
	reads := slices.Clone(c.reads)
	slices.SortStableFunc(reads, func(a, b glimpse) int { return cmp.Compare(a.inv.Time, b.inv.Time) })
	most, next := bound{}, 0
	for _, r := range reads {
		for ; next < len(bounds) && bounds[next].from < r.inv.Time; next++ {
			if bounds[next].length > most.length {
				most = bounds[next]
			}
		}
		if len(r.items) < most.length {
			why := most
			found.add(StaleList, len(r.items), func() harness.Anomaly {
				return harness.Anomaly{
					Key: c.key, Ops: append([]int{r.inv.Index, r.done.Index}, why.ops...),
					Story: []string{
						fmt.Sprintf("%s of key %s, called at %s, showed %s only.", capital(said(r.inv)), c.key, instant(r.inv.Time), count(len(r.items), "element", "elements")),
						fmt.Sprintf("Before that %s, so it had to show %d at least.", why.why, why.length),
					},
				}
			})
		}
	}
	c.respects(found, order)
}

// respects wants an append that ended before another began to come before it. What was
// acknowledged and no list shows comes last.
func (c *collection) respects(found *collector, order []string) {
	shown := len(order)
	seen := make(map[string]bool, shown)
	for _, e := range order {
		seen[e] = true
	}
	for _, e := range sortedKeys(c.adds) {
		if c.adds[e].acked < forever && !seen[e] {
			order = append(order[:len(order):len(order)], e)
		}
	}
	latest := -1 // of what has been passed, the one that began last
	for i := range order {
		a, ok := c.adds[order[i]]
		if !ok {
			continue
		}
		if latest >= 0 && a.acked < c.adds[order[latest]].inv.Time {
			b, how := c.adds[order[latest]], "after "
			if i >= shown {
				how = "nowhere, but "
			}
			found.add(TwoOrders, 0, func() harness.Anomaly {
				return harness.Anomaly{
					Key: c.key, Ops: []int{a.inv.Index, a.done, b.inv.Index},
					Story: []string{fmt.Sprintf("Lists of key %s show %s %s%s; yet %s was acknowledged at %s and %s began only at %s.",
						c.key, a.inv.Element, how, b.inv.Element, said(a.inv), instant(a.acked), said(b.inv), instant(b.inv.Time))},
				}
			})
		}
		if i >= shown {
			continue // among themselves they can be ordered
		}
		if latest < 0 || a.inv.Time > c.adds[order[latest]].inv.Time {
			latest = i
		}
	}
}

// firstDifference reports whether a list is a beginning of another, and if not where they part.
func firstDifference(list, longer []string) (at int, prefix bool) {
	for i, e := range list {
		if i >= len(longer) || e != longer[i] {
			return i, false
		}
	}
	return len(list), true
}

func repeated(list []string) (string, bool) {
	seen := make(map[string]bool, len(list))
	for _, e := range list {
		if seen[e] {
			return e, true
		}
		seen[e] = true
	}
	return "", false
}

func (c *collection) tellOrders(a, b glimpse, at int) harness.Anomaly {
	part := func(r glimpse) string {
		if at >= len(r.items) {
			return "nothing more"
		}
		return r.items[at]
	}
	return harness.Anomaly{
		Key: c.key, Ops: []int{a.inv.Index, a.done.Index, b.inv.Index, b.done.Index},
		Story: []string{
			fmt.Sprintf("%s and %s of key %s show lists that no one order explains.", capital(said(a.inv)), said(b.inv), c.key),
			fmt.Sprintf("They agree on the first %d elements; then the one shows %s and the other %s.", at, part(a), part(b)),
		},
	}
}
