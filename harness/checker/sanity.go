package checker

import (
	"context"
	"fmt"
	"slices"

	"cartwheel/harness"
)

// Kinds of anomalies that [Sanity] finds.
const (
	Phantom          = "phantom"           // a value that nobody wrote
	FailedVisible    = "failed-visible"    // a write that certainly failed
	Future           = "future"            // a write that began after the answer
	DuplicateSibling = "duplicate-sibling" // one write twice
	FalseSibling     = "false-sibling"     // a write beside one that supersedes it
	UnequalSiblings  = "unequal-siblings"  // one context, two sets of siblings
	OwnWriteMissing  = "own-write-missing" // an acknowledged put that its own answer neither shows nor supersedes
)

// Sanity judges every answer by itself: it shows only writes that were made before it
// and did not certainly fail, each once and none beside its successor (section 4.4 of
// the paper), and equal contexts come with equal siblings.
func Sanity() harness.Checker { return newCheck("sanity", sanity) }

func sanity(ctx context.Context, x *index) harness.Finding {
	c := x.collect(Phantom, FailedVisible, Future, FalseSibling, UnequalSiblings, DuplicateSibling, OwnWriteMissing)
	answers, strange := 0, 0
	for _, k := range x.keys {
		strange += k.strange
		first := make(map[int32]int32) // answer by context
		for i := range k.answers {
			a := &k.answers[i]
			if i%256 == 0 && ctx.Err() != nil {
				break // the result is unknown, unless something was found
			}
			answers++
			k.origins(c, a)
			k.besides(c, a)
			k.ownWrite(c, a)
			k.sameContext(c, first, int32(i))
		}
	}
	if answers == 0 {
		return unknown("no answer to look at")
	}
	checked := count(answers, "answer", "answers") + " of " + count(len(x.keys), "key", "keys")
	f := c.finding(checked, nil, map[string]float64{"answers": float64(answers), "unknown_contexts": float64(strange)})
	if strange > 0 {
		f.Summary += "; skipped what " + count(strange, "context", "contexts") + " of unknown origin may supersede"
	}
	return f
}

// told tells what an answer showed, as the beginning of most stories.
func (k *keyIndex) told(a *answer) string {
	inv, done := k.h[a.inv], k.h[a.done]
	return fmt.Sprintf("%s of key %s ended at %s and showed %s", capital(said(inv)), k.key, instant(done.Time), showing(done.Siblings))
}

// origins looks for siblings that have no business to be there, or are there twice.
func (k *keyIndex) origins(c *collector, a *answer) {
	seen := k.seen(a)
	for n, s := range seen {
		switch {
		case s == doubtful:
		case s == none:
			c.add(Phantom, 0, func() harness.Anomaly {
				return k.misplaced(a, n, none, "An answer shows %s, which nobody wrote to key %s.", k.key)
			})
		case slices.Contains(seen[:n], s):
			c.add(DuplicateSibling, 1, func() harness.Anomaly { return k.misplaced(a, n, s, "An answer shows %s twice.") })
		case !k.writes[s].effective():
			c.add(FailedVisible, 2, func() harness.Anomaly { return k.failedVisible(a, n, s) })
		case k.writes[s].inv > a.done:
			c.add(Future, 1, func() harness.Anomaly {
				op := k.h[k.writes[s].inv]
				return k.misplaced(a, n, s, "An answer shows %s before %s began at %s.", said(op), instant(op.Time))
			})
		}
	}
}

// misplaced tells why the nth sibling of an answer has no business there: the sentence's
// first verb is for the sibling.
func (k *keyIndex) misplaced(a *answer, n int, s int32, why string, args ...any) harness.Anomaly {
	done := k.h[a.done]
	var shown harness.Sibling
	if n < len(done.Siblings) { // a put's answer may name none; then it shows the put
		shown = done.Siblings[n]
	}
	value := label(shown.Value)
	if shown.Tombstone {
		value = "the tombstone"
	}
	out := harness.Anomaly{Key: k.key, Element: shown.Value, Ops: []int{k.h[a.inv].Index, done.Index}}
	if s != none {
		out.Ops = append(out.Ops, k.h[k.writes[s].inv].Index)
	}
	out.Story = []string{fmt.Sprintf(why, append([]any{value}, args...)...), k.told(a) + "."}
	return out
}

func (k *keyIndex) failedVisible(a *answer, n int, s int32) harness.Anomaly {
	w := &k.writes[s]
	when := "had failed for certain"
	if w.done > a.done {
		when = "is reported to have failed for certain later"
	}
	out := k.misplaced(a, n, s, "An answer shows %s, but %s %s: %s.", said(k.h[w.inv]), when, k.h[w.done].Error)
	out.Ops = append(out.Ops, k.h[w.done].Index)
	return out
}

// besides looks for a sibling beside one that supersedes it.
func (k *keyIndex) besides(c *collector, a *answer) {
	seen := k.seen(a)
	if len(seen) < 2 {
		return
	}
	for _, s := range seen {
		for _, t := range seen {
			if s < 0 || t < 0 || !k.writes[t].past(&k.writes[s]) {
				continue
			}
			c.add(FalseSibling, len(seen), func() harness.Anomaly { return k.falseSibling(a, s, t) })
		}
	}
}

// falseSibling proves that t supersedes s, step by step, down to a context that covers s.
func (k *keyIndex) falseSibling(a *answer, s, t int32) harness.Anomaly {
	old, next := k.h[k.writes[s].inv], k.h[k.writes[t].inv]
	story := []string{fmt.Sprintf("An answer shows %s beside %s, which supersedes it.", said(old), said(next))}
	ops := []int{old.Index, next.Index, k.h[a.inv].Index, k.h[a.done].Index}
	for at := t; at != s; {
		w := &k.writes[at]
		from := &k.answers[w.from]
		seen := k.seen(from)
		n := slices.IndexFunc(seen, func(u int32) bool {
			return u == s || u >= 0 && u < at && k.writes[u].past(&k.writes[s])
		})
		story = append(story, fmt.Sprintf("%s carried the context of %s, which showed %s.",
			capital(said(k.h[w.inv])), said(k.h[from.inv]), showing(k.h[from.done].Siblings)))
		ops = append(ops, k.h[w.inv].Index, k.h[from.done].Index)
		at = seen[n]
	}
	return harness.Anomaly{Key: k.key, Element: element(old), Ops: ops, Story: append(story, k.told(a)+".")}
}

// ownWrite wants an acknowledged put in the state that its answer tells of.
func (k *keyIndex) ownWrite(c *collector, a *answer) {
	if a.own == none || a.open || a.shown == 0 && a.token == 0 {
		return
	}
	w := &k.writes[a.own]
	if w.tombstone || a.holds(w) || k.deleted(w, false) {
		return
	}
	c.add(OwnWriteMissing, 0, func() harness.Anomaly {
		op := k.h[w.inv]
		return harness.Anomaly{
			Key: k.key, Element: element(op), Ops: []int{op.Index, k.h[w.done].Index},
			Story: []string{fmt.Sprintf("%s was acknowledged, but its own answer shows %s: neither the write nor one that supersedes it.",
				capital(said(op)), showing(k.h[a.done].Siblings))},
		}
	})
}

// sameContext compares answers with equal contexts. A context is what the store itself
// claims that an answer admits to, so equal contexts must come with equal siblings.
// Comparing the sets D as computed here would add nothing: an answer without
// superseded siblings is the maximal elements of its D, hence a function of it.
func (k *keyIndex) sameContext(c *collector, first map[int32]int32, i int32) {
	a := &k.answers[i]
	if a.token == 0 || a.own != none && a.set == 0 {
		return
	}
	before, ok := first[a.token]
	if !ok {
		first[a.token] = i
		return
	}
	b := &k.answers[before]
	if a.set == b.set {
		return
	}
	c.add(UnequalSiblings, 0, func() harness.Anomaly {
		return harness.Anomaly{
			Key: k.key, Ops: []int{k.h[b.inv].Index, k.h[b.done].Index, k.h[a.inv].Index, k.h[a.done].Index},
			Story: []string{
				fmt.Sprintf("Two answers about key %s carry the same context, but show different siblings.", k.key),
				k.told(b) + ".", k.told(a) + ".",
			},
		}
	})
}

// deleted reports whether a delete may have removed a write: one that supersedes it and
// took effect, or with acked only one that was acknowledged.
func (k *keyIndex) deleted(w *write, acked bool) bool {
	for _, i := range k.deletes {
		if d := &k.writes[i]; d.effective() && (d.acked() || !acked) && d.past(w) {
			return true
		}
	}
	return false
}
