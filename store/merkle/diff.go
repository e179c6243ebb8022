package merkle

import (
	"cmp"

	"cartwheel/store"
)

// DifferRoots returns the trees whose roots differ. Both lists are sorted by tree; a tree
// that is missing in one is empty there.
func DifferRoots(a, b []Root) (trees []uint32) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Tree < b[0].Tree:
			trees, a = append(trees, a[0].Tree), a[1:]
		case len(a) == 0 || b[0].Tree < a[0].Tree:
			trees, b = append(trees, b[0].Tree), b[1:]
		default:
			if a[0].Sum != b[0].Sum {
				trees = append(trees, a[0].Tree)
			}
			a, b = a[1:], b[1:]
		}
	}
	return trees
}

// Differ returns the children whose sums differ, in ascending order.
func Differ(a, b *Sums) (children []int) {
	for i := range a {
		if a[i] != b[i] {
			children = append(children, i)
		}
	}
	return children
}

// A Leaf is a key with the hash of its state.
type Leaf struct {
	Key store.Key
	Sum Sum
}

// Compare orders leaves as in a tree: by segment, then by key.
func (l Leaf) Compare(m Leaf) int {
	return cmp.Or(cmp.Compare(SegmentOf(l.Key), SegmentOf(m.Key)), cmp.Compare(l.Key, m.Key))
}

// A Difference is a key of which two trees have different leaves. The zero Sum: it has none.
type Difference struct {
	Key           store.Key
	Local, Remote Sum
}

// DifferLeaves returns the keys whose leaves differ, in the order of [Leaf.Compare], in which
// both lists must be.
func DifferLeaves(local, remote []Leaf) (out []Difference) {
	for len(local) > 0 || len(remote) > 0 {
		order := 0
		switch {
		case len(remote) == 0:
			order = -1
		case len(local) == 0:
			order = 1
		default:
			order = local[0].Compare(remote[0])
		}
		switch {
		case order < 0:
			out = append(out, Difference{Key: local[0].Key, Local: local[0].Sum})
			local = local[1:]
		case order > 0:
			out = append(out, Difference{Key: remote[0].Key, Remote: remote[0].Sum})
			remote = remote[1:]
		default:
			if local[0].Sum != remote[0].Sum {
				out = append(out, Difference{Key: local[0].Key, Local: local[0].Sum, Remote: remote[0].Sum})
			}
			local, remote = local[1:], remote[1:]
		}
	}
	return out
}
