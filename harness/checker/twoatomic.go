package checker

import (
	"cmp"
	"slices"
	"time"
)

// twoAtomic decides whether some order of the writes that respects real time explains
// every read with the newest write before it or the one before that (2-atomicity). It
// builds the order from its end, as the limited backtracking of Golab, Hurwitz and Li
// (SSS 2013) does: a read that began after the last write ended must have shown that one
// or the one before, which decides what comes before. Where nothing decides, the writes
// that could come last are tried one after the other; a try that fails is undone, one
// that comes to a point where nothing is left to decide is kept for good.
func (v *versioned) twoAtomic() bool {
	b := newBackwards(v)
	for b.left > 0 {
		if !slices.ContainsFunc(b.candidates(), b.epoch) {
			return false
		}
	}
	return true
}

// backwards is an order that is built from its end: what has no place in it yet.
type backwards struct {
	v                   *versioned
	left                int
	byCall, byEnd       *linkedOrder // of writes
	reads               *linkedOrder // by call
	of                  [][]int32
	placedNow, takenNow []int32
}

func newBackwards(v *versioned) *backwards {
	b := &backwards{v: v, left: len(v.writes), of: make([][]int32, len(v.writes))}
	b.byCall = newLinkedOrder(len(v.writes), func(i int32) time.Duration { return v.writes[i].call })
	b.byEnd = newLinkedOrder(len(v.writes), func(i int32) time.Duration { return v.writes[i].ret })
	b.reads = newLinkedOrder(len(v.reads), func(i int32) time.Duration { return v.reads[i].call })
	for i, r := range v.reads {
		b.of[r.of] = append(b.of[r.of], int32(i))
	}
	return b
}

// candidates are the writes that could come last among those left: no other began after
// they ended. It is empty when no write is left.
func (b *backwards) candidates() []int32 {
	var out []int32
	last := b.byCall.last()
	if last == none {
		return nil
	}
	for w := b.byEnd.last(); w != none && b.v.writes[w].ret >= b.v.writes[last].call; w = b.byEnd.before(w) {
		out = append(out, w)
	}
	return out
}

// epoch puts a write last, then whatever that demands. It undoes all if that fails.
func (b *backwards) epoch(w int32) bool {
	b.placedNow, b.takenNow = b.placedNow[:0], b.takenNow[:0]
	for w != none {
		before, ok := b.place(w)
		if !ok {
			b.undo()
			return false
		}
		w = before
	}
	return true
}

// place puts a write last and returns the one that must come right before it, or none
// if nothing is said of that.
func (b *backwards) place(w int32) (before int32, ok bool) {
	end := b.v.writes[w].ret
	if last := b.byCall.last(); b.v.writes[last].call > end {
		return none, false
	}
	b.byCall.remove(w)
	b.byEnd.remove(w)
	b.placedNow = append(b.placedNow, w)
	b.left--
	before = none
	for r := b.reads.last(); r != none && b.v.reads[r].call > end; r = b.reads.last() {
		if of := b.v.reads[r].of; of != w {
			if before != none && before != of {
				return none, false
			}
			before = of
		}
		b.take(r)
	}
	for _, r := range b.of[w] {
		if !b.reads.out[r] {
			b.take(r)
		}
	}
	return before, true
}

func (b *backwards) take(r int32) {
	b.reads.remove(r)
	b.takenNow = append(b.takenNow, r)
}

func (b *backwards) undo() {
	for _, r := range slices.Backward(b.takenNow) {
		b.reads.restore(r)
	}
	for _, w := range slices.Backward(b.placedNow) {
		b.byEnd.restore(w)
		b.byCall.restore(w)
		b.left++
	}
}

// A linked order is a doubly linked list of 0 to n-1, sorted. What is removed can be put
// back in the opposite order, since it remembers its neighbours.
type linkedOrder struct {
	prev, next []int32 // entry n is both ends
	out        []bool
}

func newLinkedOrder(n int, key func(int32) time.Duration) *linkedOrder {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(key(a), key(b)) })
	l := &linkedOrder{make([]int32, n+1), make([]int32, n+1), make([]bool, n)}
	at := int32(n)
	for _, i := range append(order, int32(n)) {
		l.next[at], l.prev[i] = i, at
		at = i
	}
	return l
}

// last is the last that is left, or none.
func (l *linkedOrder) last() int32 { return l.before(int32(len(l.out))) }

// before is the one before i that is left, or none.
func (l *linkedOrder) before(i int32) int32 {
	if p := l.prev[i]; int(p) < len(l.out) {
		return p
	}
	return none
}

func (l *linkedOrder) remove(i int32) {
	l.next[l.prev[i]], l.prev[l.next[i]] = l.next[i], l.prev[i]
	l.out[i] = true
}

func (l *linkedOrder) restore(i int32) {
	l.next[l.prev[i]], l.prev[l.next[i]] = i, i
	l.out[i] = false
}
