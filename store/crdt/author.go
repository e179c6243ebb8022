package crdt

import (
	"fmt"
	"slices"

	"cartwheel/store"
	"cartwheel/store/version"
)

// An Author is one source of changes to one value. It claims to have seen all of its own
// changes, so it may change a value only if the value knows it ([Set.Knows]), and may not
// be used after a write of its own whose outcome is unknown: someone who cannot be sure
// goes on as a new author. Every author that ever added something costs each copy about
// 20 bytes for ever.
type Author struct {
	ID   version.Actor // drawn at random, at least 64 bits of it
	Made uint64        // changes made so far
}

// next names the author's next change.
func (a *Author) next() version.Dot {
	a.Made++
	return version.Dot{Actor: a.ID, Counter: a.Made}
}

// knows reports whether a state has all changes of the author, and has any.
func knows(s version.Set, a Author) bool { return a.Made > 0 && s.Vector.At(a.ID) == a.Made }

// A kind opens every encoded value, so that a cart is not taken for a counter.
type kind byte

const (
	kindSet      kind = 'S'
	kindCart     kind = 'C'
	kindCounter  kind = 'N'
	kindRegister kind = 'R'
)

func (k kind) String() string {
	return map[kind]string{kindSet: "set", kindCart: "cart", kindCounter: "counter", kindRegister: "register"}[k]
}

func encode(k kind, s version.Set) []byte { return append([]byte{byte(k)}, s.Encode()...) }

// decode joins encoded values of one kind. A value that is none of it is an error and not
// left out: whoever writes next would erase it.
func decode(k kind, values [][]byte, valid func(version.Version) bool) (joined version.Set, err error) {
	for _, b := range values {
		if len(b) < 2 || kind(b[0]) != k {
			return version.Set{}, fmt.Errorf("value of %d bytes is no %v: %w", len(b), k, store.ErrInvalid)
		}
		s, err := version.DecodeSet(b[1:])
		if err != nil {
			return version.Set{}, fmt.Errorf("%v: %w", k, err)
		}
		if slices.ContainsFunc(s.Versions, func(v version.Version) bool { return v.Tombstone || !valid(v) }) {
			return version.Set{}, fmt.Errorf("%v with a part that is none of its: %w", k, store.ErrCorrupt)
		}
		joined = version.Merge(joined, s)
	}
	return joined, nil
}

// without returns s less the versions that drop names. Their events stay known, which is
// what keeps them from coming back.
func without(s version.Set, drop func(version.Version) bool) version.Set {
	return version.Set{Vector: s.Vector, Versions: slices.DeleteFunc(slices.Clone(s.Versions), drop)}
}
