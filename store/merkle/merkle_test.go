package merkle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cartwheel/store"
)

// A model is a tree beside the map that it is over.
type model struct {
	tree   Tree
	leaves map[store.Key]Sum
}

func newModel() *model { return &model{leaves: map[store.Key]Sum{}} }

func (m *model) set(key store.Key, sum Sum) {
	m.tree.Replace(SegmentOf(key), m.leaves[key], sum)
	if sum.IsZero() {
		delete(m.leaves, key)
	} else {
		m.leaves[key] = sum
	}
}

// list returns the leaves of some segments in order.
func (m *model) list(segments map[Segment]bool) (out []Leaf) {
	for key, sum := range m.leaves {
		if segments[SegmentOf(key)] {
			out = append(out, Leaf{key, sum})
		}
	}
	slices.SortFunc(out, Leaf.Compare)
	return out
}

// leaf is one of a few sums of a key, or none. As in a store the sum depends on the key: those of two
// keys in one segment never cancel out.
func leaf(key store.Key, n int) Sum {
	if n == 0 {
		return Sum{}
	}
	h := sha256.Sum256(fmt.Append(nil, key, n))
	return Sum(h[:16])
}

// differences goes down two trees as nodes do.
func differences(a, b *model) []Difference {
	if a.tree.Root() == b.tree.Root() {
		return nil
	}
	segments := map[Segment]bool{}
	x, y := a.tree.Groups(), b.tree.Groups()
	for _, g := range Differ(&x, &y) {
		x, y := a.tree.Group(g), b.tree.Group(g)
		for _, i := range Differ(&x, &y) {
			segments[Segment(g*Fanout+i)] = true
		}
	}
	return DifferLeaves(a.list(segments), b.list(segments))
}

// few keys, so that they meet in both trees, and a segment with two of them.
func keys() []store.Key {
	var out []store.Key
	for n := range 30 {
		out = append(out, store.Key(fmt.Sprint("key", n)))
	}
	for n := 0; ; n++ {
		if key := store.Key(fmt.Sprint("other", n)); SegmentOf(key) == SegmentOf("key0") {
			return append(out, key)
		}
	}
}

func drawModel(t *rapid.T, all []store.Key, label string) *model {
	m := newModel()
	for range rapid.IntRange(0, 40).Draw(t, label) {
		key := rapid.SampledFrom(all).Draw(t, "key")
		m.set(key, leaf(key, rapid.IntRange(0, 3).Draw(t, "sum")))
	}
	return m
}

// Going down the trees finds exactly what a comparison of the two maps finds.
func TestComparingFindsExactlyWhatDiffers(t *testing.T) {
	all := keys()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawModel(t, all, "changes of a"), drawModel(t, all, "changes of b")
		want := map[store.Key]Difference{}
		for _, key := range all {
			if a.leaves[key] != b.leaves[key] {
				want[key] = Difference{key, a.leaves[key], b.leaves[key]}
			}
		}
		got := map[store.Key]Difference{}
		for _, d := range differences(a, b) {
			if _, twice := got[d.Key]; twice {
				t.Fatalf("%q was found twice", d.Key)
			}
			got[d.Key] = d
		}
		if !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// A tree tells what it holds, not how it came to hold it: after any changes, removals too, it is the
// tree of its leaves, and it comes back from its encoding.
func TestATreeIsThatOfItsLeaves(t *testing.T) {
	all := keys()
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t, all, "changes")
		if rapid.Bool().Draw(t, "look between") {
			m.tree.Root()
		}
		for range rapid.IntRange(0, 10).Draw(t, "more changes") {
			key := rapid.SampledFrom(all).Draw(t, "key")
			m.set(key, leaf(key, rapid.IntRange(0, 3).Draw(t, "sum")))
		}
		fresh := newModel()
		for _, key := range slices.Sorted(maps.Keys(m.leaves)) {
			fresh.set(key, m.leaves[key])
		}
		back, err := Decode(m.tree.Encode())
		if err != nil {
			t.Fatal(err)
		}
		for name, tree := range map[string]*Tree{"fresh": &fresh.tree, "decoded": back} {
			if tree.Root() != m.tree.Root() || tree.Groups() != m.tree.Groups() || !tree.Equal(&m.tree) || tree.Keys() != len(m.leaves) {
				t.Fatalf("the %s tree of %v differs", name, m.leaves)
			}
		}
		if len(m.leaves) == 0 && !m.tree.Root().IsZero() {
			t.Fatal("an empty tree has a root")
		}
	})
}

func TestDamagedTreesNeverDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawModel(t, keys(), "changes").tree.Encode()
		i := rapid.IntRange(0, len(b)-1).Draw(t, "byte")
		b[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if _, err := Decode(b); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("byte %d flipped: got %v, want ErrCorrupt", i, err)
		}
		if _, err := Decode(b[:i]); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: got %v, want ErrCorrupt", i, err)
		}
	})
}

func TestRootsOfManyTreesAreCompared(t *testing.T) {
	one, two := Sum{1}, Sum{2}
	for _, c := range []struct {
		name string
		a, b []Root
		want []uint32
	}{
		{"both empty", nil, nil, nil},
		{"equal", []Root{{1, one}, {2, two}}, []Root{{1, one}, {2, two}}, nil},
		{"one missing on each side", []Root{{1, one}, {3, one}}, []Root{{2, one}, {3, one}}, []uint32{1, 2}},
		{"another sum", []Root{{1, one}}, []Root{{1, two}}, []uint32{1}},
		{"behind the end", []Root{{1, one}}, []Root{{1, one}, {2, two}, {3, two}}, []uint32{2, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := DifferRoots(c.a, c.b); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if got := DifferRoots(c.b, c.a); !slices.Equal(got, c.want) {
				t.Errorf("the other way round: got %v, want %v", got, c.want)
			}
			if equal := SumRoots(c.a) == SumRoots(c.b); equal != (c.want == nil) {
				t.Errorf("sums equal: %v", equal)
			}
		})
	}
}

// Keys are spread evenly: 20,480 of them leave few segments empty and none with six times its share.
func TestKeysAreSpreadOverSegments(t *testing.T) {
	held := map[Segment]int{}
	for n := range 5 * Segments {
		held[SegmentOf(store.Key(fmt.Sprint("user:", n)))]++
	}
	if most := slices.Max(slices.Collect(maps.Values(held))); most > 30 || len(held) < Segments*98/100 {
		t.Errorf("%d segments used, %d keys in one", len(held), most)
	}
}
