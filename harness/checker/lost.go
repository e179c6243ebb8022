package checker

import (
	"context"
	"fmt"
	"slices"

	"cartwheel/harness"
)

// Kinds of anomalies that [LostWrites] finds.
const (
	LostWrite   = "lost-write"  // acknowledged, and at the end neither present nor superseded by what is
	Resurrected = "resurrected" // at the end, a write that an acknowledged delete had removed
)

// LostWrites judges acknowledged puts and deletes by the replicas' copies at the end:
// each must be in D of every copy, that is, be shown or superseded by a chain of writes
// that ends in one that is shown. A write of unknown outcome excuses its predecessors
// only by being there itself. A delete without a tombstone that is known for its own is
// judged by what came back; where answers show none at all, one that may have taken
// effect excuses what it covers.
func LostWrites() harness.Checker { return newCheck("lost-writes", lostWrites) }

// A loss is an acknowledged write that copies lack.
type loss struct {
	w      int
	absent []copyRead // that certainly lack it
	back   int        // for a delete: a write that it removed and that is there again, or none
}

func lostWrites(ctx context.Context, x *index) harness.Finding {
	c := x.collect(LostWrite, Resurrected)
	t := lossTally{}
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		losses := k.losses(x, &t)
		if x.unrest != "" && !k.stuck() {
			t.moving += len(losses)
			continue
		}
		var lost []int
		for _, l := range losses {
			lost = append(lost, l.w)
		}
		older := k.superseded(lost)
		for _, l := range losses {
			kind, rank := LostWrite, 0
			if l.back != none {
				kind = Resurrected
			}
			if k.writes[l.w].in(older) {
				rank = 1 // its successor's loss is the better story
			}
			c.add(kind, rank, func() harness.Anomaly { return k.tellLoss(x, l) })
		}
	}
	checked := fmt.Sprintf("%s of %s", count(t.acked, "acknowledged write", "acknowledged writes"), count(len(x.keys), "key", "keys"))
	figures := map[string]float64{
		"acknowledged": float64(t.acked), "lost": float64(c.counts[LostWrite] + c.counts[Resurrected]),
		"unjudged": float64(t.open + t.unread + t.moving),
	}
	if t.gone > 0 {
		checked += fmt.Sprintf(", %d lost with all disks that had acknowledged them", t.gone)
		figures["gone_with_disks"] = float64(t.gone)
	}
	if t.half > 0 {
		checked += fmt.Sprintf(", %d on some replicas alone because their coordinator was killed", t.half)
		figures["half_written"] = float64(t.half)
	}
	return c.finding(checked, t.doubts(x), figures)
}

// lossTally counts acknowledged writes, and those that could not be judged.
type lossTally struct {
	acked, open, unread, moving int
	gone                        int // lost, and so were the disks of all copies that counted
	half                        int // on some replicas alone, because their coordinator was killed and nobody compares
}

func (t lossTally) doubts(x *index) []string {
	var doubts []string
	doubt := func(n int, why string) {
		if n > 0 {
			doubts = append(doubts, count(n, "acknowledged write", "acknowledged writes")+" "+why)
		}
	}
	if t.acked == 0 {
		doubts = append(doubts, "no write was acknowledged")
	}
	doubt(t.unread, "of keys that were not read on every replica at the end")
	doubt(t.open, "may have been superseded by a context of unknown origin, or by a tombstone of an unknown delete")
	doubt(t.moving, "missing when the run ended, but perhaps only late: "+x.unrest)
	return doubts
}

// losses finds the acknowledged writes of a key that copies of the last round lack.
func (k *keyIndex) losses(x *index, t *lossTally) []loss {
	var out []loss
	last := k.last()
	for i := range k.writes {
		w := &k.writes[i]
		if !w.acked() {
			continue
		}
		t.acked++
		l := loss{w: i, back: none}
		unread, open := len(last) == 0, false
		for _, r := range last {
			if r.answer == none {
				unread = true
				continue
			}
			a := &k.answers[r.answer]
			switch back := k.removed(w, a); {
			case back != none:
				l.back = back
				l.absent = append(l.absent, r)
			case a.holds(w), w.tombstone && !w.named, k.deleted(w, !k.hidden):
			case a.open:
				open = true
			default:
				l.absent = append(l.absent, r)
			}
		}
		switch {
		case len(l.absent) > 0 && k.gone(w):
			t.gone++
		case len(l.absent) > 0 && l.back == none && len(l.absent) < len(last) && x.claims.Uncompared && k.cutShort(x, w):
			t.half++
		case len(l.absent) > 0:
			out = append(out, l)
		case unread:
			t.unread++
		case open:
			t.open++
		}
	}
	return out
}

// removed returns a write that an answer shows although w is a delete that removed it
// and the answer does not hold w.
func (k *keyIndex) removed(w *write, a *answer) int {
	if !w.tombstone || a.holds(w) {
		return none
	}
	for _, s := range k.seen(a) {
		if s >= 0 && w.past(&k.writes[s]) {
			return int(s)
		}
	}
	return none
}

// superseded is what some of the given writes supersede: all of their pasts together.
func (k *keyIndex) superseded(writes []int) vector {
	var v vector
	for _, i := range writes {
		w := &k.writes[i]
		past := slices.Clone(w.down)
		past[w.chain] = w.pos - 1
		v = v.join(past)
	}
	return v
}
