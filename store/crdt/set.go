package crdt

import (
	"slices"

	"cartwheel/store/version"
)

// A Set is a set of strings in which a removal takes away the adds that its author had
// seen, and no others: an add that is concurrent to it survives (an observed-remove set).
// The zero Set is empty.
type Set struct{ s version.Set }

// DecodeSet joins encoded sets; of none it makes the empty one. The error wraps
// store.ErrInvalid if a value is no set, and store.ErrCorrupt if it is damaged.
func DecodeSet(values ...[]byte) (Set, error) {
	s, err := decode(kindSet, values, func(version.Version) bool { return true })
	return Set{s}, err
}

// Encode returns the canonical bytes: equal sets have equal bytes.
func (s Set) Encode() []byte { return encode(kindSet, s.s) }

// Merge joins two copies.
func (s Set) Merge(t Set) Set { return Set{version.Merge(s.s, t.s)} }

// Knows reports whether the author may go on changing this copy; see [Author].
func (s Set) Knows(a Author) bool { return knows(s.s, a) }

// Add returns s with the elements.
func (s Set) Add(by *Author, elements ...string) Set {
	s = s.Remove(elements...) // the new add stands for those seen, so that a set grows with its elements only
	for _, e := range elements {
		s.s = s.s.Put(nil, version.Version{Dot: by.next(), Value: []byte(e)})
	}
	return s
}

// Remove returns s without the elements. It needs no author.
func (s Set) Remove(elements ...string) Set {
	return Set{without(s.s, func(v version.Version) bool { return slices.Contains(elements, string(v.Value)) })}
}

// Has reports whether an element is in the set.
func (s Set) Has(element string) bool {
	return slices.ContainsFunc(s.s.Versions, func(v version.Version) bool { return string(v.Value) == element })
}

// Elements returns the elements, sorted, each once.
func (s Set) Elements() []string {
	var out []string
	for _, v := range s.s.Versions {
		out = append(out, string(v.Value))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
