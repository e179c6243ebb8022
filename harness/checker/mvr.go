package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"

	"cartwheel/harness"
)

// Kinds of anomalies that [MVR] finds.
const (
	IncomparableReads = "incomparable-reads" // of two gets, each knows of a write that the other does not
	Inversion         = "inversion"          // an operation that must come first began after the other had ended
)

// MVR tells whether each key is linearizable as a multi-value register: whether one
// order of its operations, in which each keeps its place in time, explains what every get
// showed. No quorum promises that for siblings, so it is a measurement in every mode. A
// linearization must put exactly D(r) before a get r, so the sets of all gets must form
// a chain, and what remains are pairs of operations out of time.
func MVR() harness.Checker { return newCheck("mvr", mvr) }

func mvr(ctx context.Context, x *index) harness.Finding {
	c := x.collect(IncomparableReads, Inversion)
	keys, skipped := 0, 0
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		con, ok := k.mvr()
		if !ok {
			skipped++
			continue
		}
		keys++
		if con != nil {
			kind := Inversion
			if con.apart {
				kind = IncomparableReads
			}
			c.add(kind, 0, func() harness.Anomaly { return k.tellMVR(con) })
		}
	}
	if keys == 0 {
		return unknown("no key whose reads are all understood")
	}
	broken := c.counts[IncomparableReads] + c.counts[Inversion]
	figures := map[string]float64{"keys": float64(keys), "unjudged": float64(skipped), "linearizable_keys": float64(keys - broken)}
	return c.finding(count(keys, "key", "keys"), nil, figures)
}

// An event of a multi-value register: a get or a write, with its place in the order.
type placed struct {
	answer, write int32 // one is none
	inv, done     int32 // done is none if it never ended
	block         int
}

// An mvrConflict is two operations that no order explains.
type mvrConflict struct {
	apart bool // two gets of which neither contains the other
	a, b  placed
}

// mvr judges a key; not ok if it cannot be judged by its answers.
func (k *keyIndex) mvr() (con *mvrConflict, ok bool) {
	if k.hidden {
		return nil, false
	}
	var gets []placed
	for i := range k.answers {
		a := &k.answers[i]
		if a.client() && a.open {
			return nil, false
		}
		if a.client() {
			gets = append(gets, placed{answer: int32(i), write: none, inv: a.inv, done: a.done})
		}
	}
	size := make(map[int32]int, len(gets))
	for _, g := range gets {
		n := 0
		for _, c := range k.answers[g.answer].down {
			n += int(c)
		}
		size[g.answer] = n
	}
	slices.SortStableFunc(gets, func(a, b placed) int { return cmp.Compare(size[a.answer], size[b.answer]) })
	var levels []vector
	for i := range gets {
		down := k.answers[gets[i].answer].down
		if i > 0 && !down.covers(k.answers[gets[i-1].answer].down) {
			return &mvrConflict{apart: true, a: gets[i-1], b: gets[i]}, true
		}
		if i == 0 || size[gets[i].answer] > size[gets[i-1].answer] {
			levels = append(levels, down)
		}
		gets[i].block = 2*len(levels) - 1
	}
	ops := gets
	for i := range k.writes {
		w := &k.writes[i]
		level := sort.Search(len(levels), func(l int) bool { return w.in(levels[l]) })
		if !w.effective() || !w.acked() && level == len(levels) {
			continue
		}
		p := placed{answer: none, write: int32(i), inv: w.inv, done: none, block: 2 * level}
		if w.acked() {
			p.done = w.done
		}
		ops = append(ops, p)
	}
	return k.outOfTime(ops), true
}

// outOfTime finds an operation that ended before one began which must come before it.
func (k *keyIndex) outOfTime(ops []placed) *mvrConflict {
	ended := slices.DeleteFunc(slices.Clone(ops), func(p placed) bool { return p.done == none })
	slices.SortFunc(ops, func(a, b placed) int { return int(a.inv - b.inv) })
	slices.SortFunc(ended, func(a, b placed) int { return int(a.done - b.done) })
	latest := placed{block: -1}
	for _, p := range ops {
		for len(ended) > 0 && k.times[ended[0].done] < k.times[p.inv] {
			if ended[0].block > latest.block {
				latest = ended[0]
			}
			ended = ended[1:]
		}
		if p.block < latest.block {
			return &mvrConflict{a: latest, b: p}
		}
	}
	return nil
}

func (k *keyIndex) tellMVR(con *mvrConflict) harness.Anomaly {
	out := harness.Anomaly{Key: k.key}
	for _, p := range []placed{con.a, con.b} {
		out.Ops = append(out.Ops, k.h[p.inv].Index)
		if p.done != none {
			out.Ops = append(out.Ops, k.h[p.done].Index)
		}
	}
	a, b := k.h[con.a.inv], k.h[con.b.inv]
	if con.apart {
		out.Story = []string{
			fmt.Sprintf("No order of the operations on key %s explains %s and %s: each knows of a write that the other does not.", k.key, said(a), said(b)),
			k.told(&k.answers[con.a.answer]) + ".", k.told(&k.answers[con.b.answer]) + ".",
		}
		return out
	}
	out.Story = []string{fmt.Sprintf("%s of key %s ended at %s, before %s began at %s, but by what gets showed it must come after it.",
		capital(said(a)), k.key, instant(k.h[con.a.done].Time), said(b), instant(b.Time))}
	for _, p := range []placed{con.a, con.b} {
		if p.answer != none {
			out.Story = append(out.Story, k.told(&k.answers[p.answer])+".")
		}
	}
	return out
}
