package checker

import (
	"slices"

	"cartwheel/harness"
)

// Collected is a key of which no replica knows an acknowledged delete any more whose tombstone had been seen: nothing but
// its collection takes that away, or else it is found to be lost.
func Collected() harness.Event {
	return harness.Event{
		Name: "a tombstone was collected",
		Count: func(h []harness.Op) int {
			return indexed(h, func(x *index) int { return ofKeys(x, (*keyIndex).collected) })
		},
	}
}

// Anew is a write that was acknowledged after the tombstone of the key's last value had been collected, and by a client who
// had seen nothing of either: the key began anew.
func Anew() harness.Event {
	return harness.Event{
		Name:  "a key was written anew after its tombstone was collected",
		Count: func(h []harness.Op) int { return indexed(h, func(x *index) int { return ofKeys(x, (*keyIndex).anew) }) },
	}
}

func ofKeys(x *index, n func(*keyIndex) int) (all int) {
	for _, k := range x.keys {
		all += n(k)
	}
	return all
}

// collected counts the deletes of a key that are known to have been collected.
func (k *keyIndex) collected() (n int) {
	for i := range k.writes {
		if k.forgotten(&k.writes[i]) {
			n++
		}
	}
	return n
}

// anew counts writes that are at the end there, or superseded by what is, and began after such a delete without
// knowing of it. Their client's look had shown nothing, not even a tombstone.
func (k *keyIndex) anew() (n int) {
	for i := range k.writes {
		w := &k.writes[i]
		if !w.acked() || w.tombstone || w.from != none && k.answers[w.from].shown > 0 {
			continue
		}
		if slices.ContainsFunc(k.deletes, func(d int32) bool {
			gone := &k.writes[d]
			return gone.done != none && gone.done < w.inv && k.forgotten(gone)
		}) && !slices.ContainsFunc(k.last(), func(r copyRead) bool { return r.answer == none || !k.answers[r.answer].holds(w) }) {
			n++
		}
	}
	return n
}

// forgotten reports whether a write is an acknowledged delete whose tombstone was seen, and all replicas were read at
// the end and hold nothing of it.
func (k *keyIndex) forgotten(w *write) bool {
	if !w.tombstone || !w.named || !w.acked() || len(k.last()) == 0 {
		return false
	}
	return !slices.ContainsFunc(k.last(), func(r copyRead) bool {
		return r.answer == none || k.answers[r.answer].open || k.answers[r.answer].holds(w)
	})
}
