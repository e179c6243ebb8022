package merkle

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"cartwheel/store"
)

// Format identifies all that goes into a sum: how keys are spread, how states are hashed, how
// sums are combined. It changes with any of these.
const Format = 1

// Fanout is the number of children of the root and of each group; Segments that of segments.
const (
	Fanout   = 64
	Segments = Fanout * Fanout
)

// A Sum is a hash. The zero Sum stands for nothing.
type Sum [16]byte

// IsZero reports whether there is nothing.
func (s Sum) IsZero() bool { return s == Sum{} }

func (s *Sum) xor(t Sum) {
	for i := range s {
		s[i] ^= t[i]
	}
}

// A Segment is a part of a tree, from 0 to Segments-1.
type Segment uint16

// SegmentOf returns the segment of a key. It does not depend on how keys are spread over partitions.
func SegmentOf(key store.Key) Segment {
	sum := sha256.Sum256([]byte(key))
	return Segment(binary.BigEndian.Uint16(sum[:]) % Segments)
}

// Group returns the group of a segment, from 0 to Fanout-1.
func (s Segment) Group() int { return int(s) / Fanout }

// Sums are the sums of all children of one node of a tree.
type Sums [Fanout]Sum

// sum hashes the children of a node. level keeps a group from passing for a root.
func (s *Sums) sum(level byte) Sum {
	if *s == (Sums{}) {
		return Sum{}
	}
	b := make([]byte, 0, 2+Fanout*len(Sum{}))
	b = append(b, Format, level)
	for i := range s {
		b = append(b, s[i][:]...)
	}
	h := sha256.Sum256(b)
	return Sum(h[:16])
}

// A Tree is the hash tree of a partition. The zero Tree is that of no keys.
type Tree struct {
	segments [Fanout]*Sums // by group; nil: it never held a key
	groups   Sums          // valid where not stale
	stale    uint64        // groups that changed since they were hashed, a bit each
	root     Sum           // valid if no group is stale
	keys     int
}

// Replace notes that a leaf of the segment has changed. The zero Sum stands for no leaf: before
// a key is added, after one is removed. before must be what the tree was given last for the key.
func (t *Tree) Replace(seg Segment, before, after Sum) {
	if before == after {
		return
	}
	if before.IsZero() {
		t.keys++
	}
	if after.IsZero() {
		t.keys--
	}
	g := seg.Group()
	if t.segments[g] == nil {
		t.segments[g] = new(Sums)
	}
	s := &t.segments[g][int(seg)%Fanout]
	s.xor(before)
	s.xor(after)
	t.stale |= 1 << g
}

// Keys returns the number of leaves.
func (t *Tree) Keys() int { return t.keys }

// Root returns the sum of all leaves.
func (t *Tree) Root() Sum {
	t.refresh()
	return t.root
}

// Groups returns the sums of the groups.
func (t *Tree) Groups() Sums {
	t.refresh()
	return t.groups
}

// Group returns the sums of the segments of a group, 0 to Fanout-1.
func (t *Tree) Group(g int) Sums {
	if t.segments[g] == nil {
		return Sums{}
	}
	return *t.segments[g]
}

// refresh hashes what has changed.
func (t *Tree) refresh() {
	if t.stale == 0 {
		return
	}
	for ; t.stale != 0; t.stale &= t.stale - 1 {
		g := bits.TrailingZeros64(t.stale)
		t.groups[g] = t.segments[g].sum('g')
	}
	t.root = t.groups.sum('r')
}

// Equal reports whether two trees are over the same number of keys and have the same sums.
func (t *Tree) Equal(u *Tree) bool {
	if t.keys != u.keys {
		return false
	}
	for g := range Fanout {
		if t.Group(g) != u.Group(g) {
			return false
		}
	}
	return true
}

// A Root is the root of one tree among many, for example of a partition.
type Root struct {
	Tree uint32
	Sum  Sum
}

// SumRoots hashes many roots into one, in their order. Trees without a key must be left out.
func SumRoots(roots []Root) Sum {
	if len(roots) == 0 {
		return Sum{}
	}
	b := []byte{Format, 'f'}
	for _, r := range roots {
		b = binary.BigEndian.AppendUint32(b, r.Tree)
		b = append(b, r.Sum[:]...)
	}
	h := sha256.Sum256(b)
	return Sum(h[:16])
}
