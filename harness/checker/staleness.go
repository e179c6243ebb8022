package checker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
)

// NotTwoAtomic is the kind of anomaly that [Staleness] finds: reads that no order of the
// writes explains by showing the newest value or the one before.
const NotTwoAtomic = "not-2-atomic"

// Staleness judges by how much each key, taken as a register, falls short of a
// linearizable one: in versions, whether it is 2-atomic (k-atomic for k = 2; Golab,
// Hurwitz and Li, SSS 2013), and in seconds, by the least Delta and Gamma that explain it
// (Golab, Li and Shah, PODC 2011; Golab and others, ICDCS 2014). Strict quorums promise
// 2-atomicity where a key has one writer: a read meets the last acknowledged write, and at
// most one more is under way (Lamport's regular register, 1986). Seconds are measured, as is
// for each read by how much it was certainly behind. It wants no contexts: where
// there are any, and siblings, [Recency] is exact.
func Staleness() harness.Checker { return newCheck("staleness", judgeStaleness) }

// registerTally are the figures of all registers.
type registerTally struct {
	keys, reads, behind, atomic, two, more int
	delta, gamma                           time.Duration
	ages                                   []time.Duration
	versions                               []int
}

func judgeStaleness(ctx context.Context, x *index) harness.Finding {
	c := x.collect(NotTwoAtomic)
	var t registerTally
	var doubts []string
	worst := make(map[string]float64)
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		v, why := k.versioned()
		if why != "" {
			doubts = append(doubts, fmt.Sprintf("key %s is no register: %s", k.key, why))
			continue
		}
		delta := t.add(v)
		switch {
		case delta == 0:
			t.atomic++
			continue
		case v.twoAtomic():
			t.two++
		default:
			t.more++
			c.add(NotTwoAtomic, len(v.reads), func() harness.Anomaly { return k.tellTwoAtomic(x, v) })
		}
		worst[k.key] = delta.Seconds()
	}
	if t.reads == 0 && len(doubts) == 0 {
		return unknown("no get of a register")
	}
	if len(doubts) > examplesMax {
		doubts = append(doubts[:examplesMax], fmt.Sprintf("and %d keys more", len(doubts)-examplesMax))
	}
	figures := t.figures()
	for _, key := range widest(worst) {
		figures["delta_seconds/"+key] = worst[key]
	}
	checked := count(t.reads, "get", "gets") + " of " + count(t.keys, "register", "registers")
	if t.delta > 0 {
		checked += fmt.Sprintf(", up to %.3f s behind", t.delta.Seconds())
	}
	return c.finding(checked, doubts, figures)
}

func (t *registerTally) add(v *versioned) time.Duration {
	delta, gamma := v.delta()
	t.keys++
	t.reads += len(v.reads)
	t.delta, t.gamma = max(t.delta, delta), max(t.gamma, gamma)
	v.lags(func(versions int, age time.Duration) {
		if versions > 0 {
			t.behind++
			t.versions, t.ages = append(t.versions, versions), append(t.ages, age)
		}
	})
	return delta
}

func (t *registerTally) figures() map[string]float64 {
	f := map[string]float64{
		"registers": float64(t.keys), "reads": float64(t.reads), "behind": float64(t.behind),
		"linearizable_keys": float64(t.atomic), "two_atomic_keys": float64(t.two), "more_stale_keys": float64(t.more),
		"delta_seconds_max": t.delta.Seconds(), "gamma_seconds_max": t.gamma.Seconds(),
	}
	percentiles(f, "behind_seconds", t.ages, time.Duration.Seconds)
	percentiles(f, "behind_versions", t.versions, func(n int) float64 { return float64(n) })
	return f
}

// tellTwoAtomic tells a smallest part of the register that is not 2-atomic by itself.
func (k *keyIndex) tellTwoAtomic(x *index, v *versioned) harness.Anomaly {
	part := v.smallest()
	out := harness.Anomaly{Key: k.key}
	out.Story = append(out.Story, fmt.Sprintf("No order of the writes of key %s explains these reads by showing the newest value or the one before:", k.key))
	from, to := forever, time.Duration(0)
	name := func(n int32) string {
		if w := part.writes[n].write; w != none {
			return title(k.h[k.writes[w].inv])
		}
		return "nothing written yet"
	}
	for _, w := range part.writes[1:] {
		inv := k.h[k.writes[w.write].inv]
		from, to = min(from, inv.Time), max(to, w.call)
		out.Ops = append(out.Ops, inv.Index)
		s := fmt.Sprintf("%s began at %s", capital(said(inv)), instant(w.call))
		if d := k.writes[w.write].done; d != none && k.times[d] == w.ret {
			out.Ops = append(out.Ops, k.h[d].Index)
			s += fmt.Sprintf(" and ended at %s.", instant(w.ret))
		} else {
			s += fmt.Sprintf(" and had taken effect by %s, when a read had shown it.", instant(w.ret))
		}
		out.Story = append(out.Story, s)
	}
	for _, r := range part.reads {
		a := &k.answers[r.answer]
		from, to = min(from, r.call), max(to, r.ret)
		out.Ops = append(out.Ops, k.h[a.inv].Index, k.h[a.done].Index)
		out.Story = append(out.Story, fmt.Sprintf("%s, from %s to %s, showed %s.", capital(said(k.h[a.inv])), instant(r.call), instant(r.ret), name(r.of)))
	}
	if n := len(part.reads); n > 0 {
		if w := part.writes[part.reads[n-1].of].write; w != none {
			out.Element = element(k.h[k.writes[w].inv])
		}
	}
	out.Story = append(out.Story, k.duringFaults(x, from, to)...)
	return out
}

// smallest takes away reads, and writes with their reads, while what is left is not
// 2-atomic: neither can make it so. First in large parts, then one by one.
func (v *versioned) smallest() *versioned {
	keep := v
	for size := len(v.reads); size > 0; size /= 2 {
		for at := 0; at < len(keep.reads); {
			less := &versioned{keep.writes, slices.Delete(slices.Clone(keep.reads), at, min(at+size, len(keep.reads)))}
			if less.twoAtomic() {
				at += size
			} else {
				keep = less
			}
		}
	}
	for size := len(v.writes); size > 0; size /= 2 {
		for at := 1; at < len(keep.writes); {
			if less := keep.without(at, min(at+size, len(keep.writes))); less.twoAtomic() {
				at += size
			} else {
				keep = less
			}
		}
	}
	return keep
}

// without leaves out the writes from one number to before another, with their reads.
func (v *versioned) without(from, to int) *versioned {
	out := &versioned{writes: slices.Delete(slices.Clone(v.writes), from, to)}
	for _, r := range v.reads {
		switch of := int(r.of); {
		case of >= to:
			r.of -= int32(to - from)
		case of >= from:
			continue
		}
		out.reads = append(out.reads, r)
	}
	return out
}
