package checker

import (
	"slices"
	"sync"
)

// buried are the keys of an index as they look where tombstones are collected. They are made once, for all who ask.
type buried struct {
	once sync.Once
	keys []*keyIndex
}

// under is the index as a check sees it that holds a store to claims. The index is shared, claims are each check's own.
func (x *index) under(c Claims) index {
	view := *x
	view.claims = c
	if c.Collects {
		b := x.buried
		b.once.Do(func() {
			b.keys = make([]*keyIndex, len(x.keys))
			each(x.keys, func(i int, k *keyIndex) { b.keys[i] = k.bury() })
		})
		view.keys = b.keys
	}
	return view
}

// bury returns the key with answers that admit to what may have been collected. A tombstone goes when every replica
// has it, and then nothing tells of the delete any more, nor of what it covered. So an answer may have known of every delete
// that was called before it and may have taken effect, unless it shows something that this delete had
// removed: who knew of the delete would not show that, neither before the collection nor after it.
//
// What writes supersede stays as it is: a context covers what its answer showed.
func (k *keyIndex) bury() *keyIndex {
	out := *k
	out.buries, out.hidden = true, false
	out.answers = slices.Clone(k.answers)
	for i := range out.answers {
		a := &out.answers[i]
		for _, n := range k.deletes {
			d := &k.writes[n]
			if d.inv > a.done {
				break // they are in the order of their calls
			}
			back := slices.ContainsFunc(k.seen(a), func(s int32) bool { return s >= 0 && d.past(&k.writes[s]) })
			if d.effective() && !back && !d.in(a.down) {
				a.down = a.down.union(d.down)
			}
		}
	}
	return &out
}
