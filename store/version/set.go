package version

import (
	"bytes"
	"cmp"
	"slices"

	"cartwheel/store"
)

// A Version is one value of a key, or the mark of its deletion.
type Version struct {
	Dot       Dot
	Value     []byte // nil when Tombstone
	Tombstone bool
	WriteID   store.WriteID // the put that made it; a retried put has several versions of one id
	Stamp     int64         // the coordinator's wall clock, Unix nanoseconds; informs, never orders
}

func (v Version) compare(w Version) int {
	flag := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(flag(v.Tombstone), flag(w.Tombstone)),
		bytes.Compare(v.WriteID[:], w.WriteID[:]),
		cmp.Compare(v.Stamp, w.Stamp),
		bytes.Compare(v.Value, w.Value),
	)
}

// A Set is what one replica knows of one key. The zero Set is a key never heard of.
type Set struct {
	Vector   Vector    // every event known: those of Versions and those they supersede
	Versions []Version // sorted by dot; all covered by Vector
}

// IsZero reports whether the key was never heard of.
func (s Set) IsZero() bool { return len(s.Vector) == 0 }

// Put returns s after the event v.Dot wrote v with the causal past that its client
// had seen: versions in the past are superseded, all others stay beside v.
//
// The caller issues each dot once, and only while it holds every earlier event of
// the dot's actor for this key (see [Actor]).
func (s Set) Put(past Vector, v Version) Set {
	out := Set{Vector: s.Vector.Join(past).With(v.Dot)}
	for _, old := range s.Versions {
		if !past.Covers(old.Dot) {
			out.Versions = append(out.Versions, old)
		}
	}
	out.Versions = append(out.Versions, v)
	slices.SortFunc(out.Versions, func(a, b Version) int { return a.Dot.compare(b.Dot) })
	return out
}

// Merge joins two copies of a key: a version stays if both have it, or if one has
// it and the other has not heard of its event.
//
// Two copies that hold different bytes under one dot prove that a node issued the
// dot twice. Merge then keeps the greater, so that replicas at least agree.
func Merge(a, b Set) Set {
	out := Set{Vector: a.Vector.Join(b.Vector)}
	x, y := a.Versions, b.Versions
	for len(x) > 0 || len(y) > 0 {
		switch c := compareHeads(x, y); {
		case c < 0:
			if !b.Vector.Covers(x[0].Dot) {
				out.Versions = append(out.Versions, x[0])
			}
			x = x[1:]
		case c > 0:
			if !a.Vector.Covers(y[0].Dot) {
				out.Versions = append(out.Versions, y[0])
			}
			y = y[1:]
		default:
			keep := x[0]
			if keep.compare(y[0]) < 0 {
				keep = y[0]
			}
			out.Versions = append(out.Versions, keep)
			x, y = x[1:], y[1:]
		}
	}
	return out
}

func compareHeads(x, y []Version) int {
	switch {
	case len(x) == 0:
		return 1
	case len(y) == 0:
		return -1
	}
	return x[0].Dot.compare(y[0].Dot)
}

func (s Set) made(a Actor) bool {
	return slices.ContainsFunc(s.Versions, func(v Version) bool { return v.Dot.Actor == a })
}

// Prune returns s without those entries that its vector has with just these counters and that made none of its versions, and which they
// were. A copy that was pruned takes old versions of such an actor for news, so the caller knows that none is left anywhere.
// What a client's context says of it later does no harm: it claims what is so.
func (s Set) Prune(entries Vector) (out Set, pruned Vector) {
	out = Set{Versions: s.Versions}
	for _, d := range s.Vector {
		if entries.At(d.Actor) == d.Counter && !s.made(d.Actor) {
			pruned = append(pruned, d)
		} else {
			out.Vector = append(out.Vector, d)
		}
	}
	return out, pruned
}

// Equal reports whether two copies are the same to the byte.
func (s Set) Equal(t Set) bool {
	return s.Vector.Equal(t.Vector) && slices.EqualFunc(s.Versions, t.Versions, func(a, b Version) bool {
		return a.Dot == b.Dot && a.compare(b) == 0
	})
}

// Siblings returns what a reader is shown: one sibling a write, in dot order. The
// copies that a retried put left under several dots are one write; they stay apart
// in the set, because dropping one there would make Merge depend on the order.
func (s Set) Siblings() []store.Sibling {
	var out []store.Sibling
	seen := map[store.WriteID]bool{}
	for _, v := range s.Versions {
		if !v.WriteID.IsZero() && seen[v.WriteID] {
			continue
		}
		seen[v.WriteID] = true
		out = append(out, store.Sibling{Value: v.Value, Tombstone: v.Tombstone, WriteID: v.WriteID})
	}
	return out
}

// LastWritten returns what a reader of a last-write-wins bucket is shown: the one sibling
// with the latest stamp. Of equal stamps the greater dot wins, so that all replicas choose alike.
func (s Set) LastWritten() []store.Sibling {
	if len(s.Versions) == 0 {
		return nil
	}
	last := slices.MaxFunc(s.Versions, func(a, b Version) int {
		return cmp.Or(cmp.Compare(a.Stamp, b.Stamp), a.Dot.compare(b.Dot))
	})
	return []store.Sibling{{Value: last.Value, Tombstone: last.Tombstone, WriteID: last.WriteID}}
}

// HasWrite reports whether a version of this put is in the set.
func (s Set) HasWrite(id store.WriteID) bool {
	return !id.IsZero() && slices.ContainsFunc(s.Versions, func(v Version) bool { return v.WriteID == id })
}
