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
	c := collect(Phantom, FailedVisible, Future, FalseSibling, UnequalSiblings, DuplicateSibling, OwnWriteMissing)
	answers, strange := 0, 0
	for _, k := range x.keys {
		strange += k.strange
		first := make(map[string]int) // answer by context
		for i := range k.answers {
			if i%256 == 0 && ctx.Err() != nil {
				break // the result is unknown, unless something was found
			}
			answers++
			k.origins(c, i)
			k.besides(c, i)
			k.ownWrite(c, i)
			k.sameContext(c, first, i)
		}
	}
	if answers == 0 {
		return unknown("no answer to look at")
	}
	checked := count(answers, "answer", "answers") + " of " + count(len(x.keys), "key", "keys")
	f := c.finding(checked, nil)
	if strange > 0 {
		f.Summary += "; skipped what " + count(strange, "context", "contexts") + " of unknown origin may supersede"
	}
	f.Figures = map[string]float64{"answers": float64(answers), "unknown_contexts": float64(strange)}
	return f
}

// told tells what an answer showed, as the beginning of most stories.
func (k *keyIndex) told(i int) string {
	a := &k.answers[i]
	inv, done := k.h[a.inv], k.h[a.done]
	return fmt.Sprintf("%s of key %s ended at %s and showed %s", capital(said(inv)), k.key, instant(done.Time), showing(done.Siblings))
}

// origins looks for siblings that have no business to be there, or are there twice.
func (k *keyIndex) origins(c *collector, i int) {
	a := &k.answers[i]
	done := k.h[a.done]
	twice := make(map[int]bool)
	for n, s := range a.seen {
		if n >= len(done.Siblings) || s == doubtful {
			continue
		}
		value := label(done.Siblings[n].Value)
		if done.Siblings[n].Tombstone {
			value = "the tombstone"
		}
		add := func(kind string, why string, ops ...int) {
			c.add(kind, len(ops), func() harness.Anomaly {
				ops := append(ops, k.h[a.inv].Index, done.Index)
				return harness.Anomaly{Key: k.key, Element: done.Siblings[n].Value, Ops: ops, Story: []string{why, k.told(i) + "."}}
			})
		}
		if s == none {
			add(Phantom, fmt.Sprintf("An answer shows %s, which nobody wrote to key %s.", value, k.key))
			continue
		}
		w := &k.writes[s]
		op := k.h[w.inv]
		switch {
		case twice[s]:
			add(DuplicateSibling, fmt.Sprintf("An answer shows %s twice.", value), op.Index)
		case w.outcome == harness.Fail && w.done <= a.done:
			add(FailedVisible, fmt.Sprintf("An answer shows %s, but %s had failed for certain: %s.", value, said(op), k.h[w.done].Error), op.Index, k.h[w.done].Index)
		case w.outcome == harness.Fail:
			add(FailedVisible, fmt.Sprintf("An answer shows %s, but %s is reported to have failed for certain later: %s.", value, said(op), k.h[w.done].Error), op.Index, k.h[w.done].Index)
		case w.inv > a.done:
			add(Future, fmt.Sprintf("An answer shows %s before %s began at %s.", value, said(op), instant(op.Time)), op.Index)
		}
		twice[s] = true
	}
}

// besides looks for a sibling beside one that supersedes it.
func (k *keyIndex) besides(c *collector, i int) {
	a := &k.answers[i]
	for _, s := range a.seen {
		for _, t := range a.seen {
			if s < 0 || t < 0 || !k.writes[t].past(&k.writes[s]) {
				continue
			}
			c.add(FalseSibling, len(a.seen), func() harness.Anomaly { return k.falseSibling(i, s, t) })
		}
	}
}

// falseSibling proves that t supersedes s, step by step, down to a context that covers s.
func (k *keyIndex) falseSibling(i, s, t int) harness.Anomaly {
	a := &k.answers[i]
	old, next := k.h[k.writes[s].inv], k.h[k.writes[t].inv]
	story := []string{fmt.Sprintf("An answer shows %s beside %s, which supersedes it.", said(old), said(next))}
	ops := []int{old.Index, next.Index, k.h[a.inv].Index, k.h[a.done].Index}
	for at := t; at != s; {
		w := &k.writes[at]
		from := &k.answers[w.from]
		n := slices.IndexFunc(from.seen, func(u int) bool {
			return u == s || u >= 0 && u < at && k.writes[u].past(&k.writes[s])
		})
		story = append(story, fmt.Sprintf("%s carried the context of %s, which showed %s.",
			capital(said(k.h[w.inv])), said(k.h[from.inv]), showing(k.h[from.done].Siblings)))
		ops = append(ops, k.h[w.inv].Index, k.h[from.done].Index)
		at = from.seen[n]
	}
	return harness.Anomaly{Key: k.key, Element: element(old), Ops: ops, Story: append(story, k.told(i)+".")}
}

// ownWrite wants an acknowledged put in the state that its answer tells of.
func (k *keyIndex) ownWrite(c *collector, i int) {
	a := &k.answers[i]
	if a.own == none || a.open || len(k.h[a.done].Siblings) == 0 && len(k.h[a.done].Token) == 0 {
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
func (k *keyIndex) sameContext(c *collector, first map[string]int, i int) {
	a := &k.answers[i]
	done := k.h[a.done]
	token := string(done.Token)
	if token == "" || a.own != none && len(done.Siblings) == 0 {
		return
	}
	before, ok := first[token]
	if !ok {
		first[token] = i
		return
	}
	b := &k.answers[before]
	if harness.SiblingSet(done.Siblings) == harness.SiblingSet(k.h[b.done].Siblings) {
		return
	}
	c.add(UnequalSiblings, 0, func() harness.Anomaly {
		return harness.Anomaly{
			Key: k.key, Ops: []int{k.h[b.inv].Index, k.h[b.done].Index, k.h[a.inv].Index, done.Index},
			Story: []string{
				fmt.Sprintf("Two answers about key %s carry the same context, but show different siblings.", k.key),
				k.told(before) + ".", k.told(i) + ".",
			},
		}
	})
}

// deleted reports whether a delete may have removed a write: one that supersedes it and
// took effect, or with acked only one that was acknowledged.
func (k *keyIndex) deleted(w *write, acked bool) bool {
	return slices.ContainsFunc(k.writes, func(d write) bool {
		return d.tombstone && d.effective() && (d.acked() || !acked) && d.past(w)
	})
}
