package storage

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

func everything(ring.Partition) bool { return true }

func mustCheck(t tb, r *Replica) TreeCheck {
	t.Helper()
	c, err := r.CheckTrees(context.Background())
	if err != nil {
		t.Fatalf("check trees: %v", err)
	}
	return c
}

// leavesOf lists all leaves of a partition, in pages of limit.
func leavesOf(t tb, r *Replica, p ring.Partition, limit int) (all []merkle.Leaf) {
	t.Helper()
	for g := range merkle.Fanout {
		sums := r.TreeSegments(p, g)
		for i, sum := range sums {
			if sum.IsZero() {
				continue
			}
			var after store.Key
			for more := true; more; {
				var page []merkle.Leaf
				var err error
				page, more, err = r.TreeLeaves(context.Background(), p, merkle.Segment(g*merkle.Fanout+i), after, limit)
				if err != nil || len(page) > limit || more && len(page) < limit {
					t.Fatalf("page of %d with limit %d, more %v, %v", len(page), limit, more, err)
				}
				if len(page) > 0 {
					after = page[len(page)-1].Key
				}
				all = append(all, page...)
			}
		}
	}
	return all
}

// A pairing counts batches that change a record without its leaf: a crash could part them.
type pairing struct {
	KV
	alone *int
}

func (k pairing) Apply(b *Batch, sync bool) error {
	records, leaves := 0, 0
	b.Changes(func(key, _ []byte, _ bool) {
		switch {
		case bytes.HasPrefix(key, dataPrefix):
			records++
		case bytes.HasPrefix(key, leafPrefix):
			leaves++
		}
	})
	if records > leaves {
		*k.alone++
	}
	return k.KV.Apply(b, sync)
}

// Whatever is written, and however the node is restarted, the trees are those of its records: built anew
// they are the same, each leaf is the fingerprint of its record, and they never differ by a crash.
func TestTreesAreThoseOfTheRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, alone := newDisk("a"), 0
		d.wrap = func(kv KV) KV { return pairing{kv, &alone} }
		r := d.open(t)
		r.pageKeys = 2
		defer func() { closeReplica(t, r) }()
		other := newDisk("b").open(t)
		defer closeReplica(t, other)
		states := map[store.Key]version.Set{}
		all := []store.Key{"\x00", "a", "b", "bb", "ccc", "\xff\xff"}
		key := rapid.SampledFrom(all)
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k := key.Draw(t, "key")
				n++
				var past version.Vector
				if rapid.Bool().Draw(t, "over") {
					past = states[k].Vector
				}
				mustPut(t, r, k, "", n, past)
				states[k] = mustRecord(t, r, k)
			},
			"merge": func(t *rapid.T) {
				k := key.Draw(t, "key")
				n++
				mustMerge(t, r, k, "", mustPut(t, other, k, "", n, nil))
				states[k] = mustRecord(t, r, k)
			},
			"merge all": func(t *rapid.T) {
				p := part(key.Draw(t, "of the partition of"))
				var batch []State
				for _, k := range all {
					if n++; part(k) == p {
						batch = append(batch, State{Key: k, Set: mustPut(t, other, k, "", n, nil)})
					}
				}
				if _, err := r.MergeAll(t.Context(), p, batch); err != nil {
					t.Fatal(err)
				}
				for _, s := range batch {
					states[s.Key] = mustRecord(t, r, s.Key)
				}
			},
			"drop all": func(t *rapid.T) {
				p := part(key.Draw(t, "of the partition of"))
				var known []merkle.Leaf
				want := 0
				for _, k := range all {
					if s, held := states[k]; part(k) == p {
						l := merkle.Leaf{Key: k, Sum: merkle.Sum(s.Fingerprint(k))}
						if l.Sum[0] ^= byte(rapid.IntRange(0, 1).Draw(t, "has changed")); held && l.Sum == merkle.Sum(s.Fingerprint(k)) {
							delete(states, k)
							want++
						}
						known = append(known, l)
					}
				}
				if got, err := r.DropAll(t.Context(), p, known); got != want || err != nil {
					t.Fatalf("dropped %d records, want %d, %v", got, want, err)
				}
			},
			"hint": func(t *rapid.T) {
				n++
				mustPut(t, r, key.Draw(t, "key"), "b", n, nil)
			},
			"restart": func(t *rapid.T) {
				if rapid.Bool().Draw(t, "crash") {
					d.crash(t, r)
				} else {
					closeReplica(t, r)
				}
				r = d.open(t)
			},
			"": func(t *rapid.T) { treesAre(t, r, states) },
		})
		leaves := map[merkle.Leaf]bool{}
		for k, s := range states {
			leaves[merkle.Leaf{Key: k, Sum: merkle.Sum(s.Fingerprint(k))}] = true
		}
		for _, tree := range r.Trees(everything) {
			for _, l := range leavesOf(t, r, tree.Partition, rapid.IntRange(1, 3).Draw(t, "limit")) {
				if !leaves[l] {
					t.Fatalf("leaf %+v is not of a record or comes twice", l)
				}
				delete(leaves, l)
			}
		}
		if len(leaves) > 0 {
			t.Fatalf("not listed: %v", leaves)
		}
		if c := mustCheck(t, r); c != (TreeCheck{Keys: len(states)}) {
			t.Fatalf("check: got %+v, want nothing but %d keys", c, len(states))
		}
		if alone > 0 {
			t.Fatalf("%d batches changed a record without its leaf", alone)
		}
	})
}

// treesAre compares the trees of a node with those of the states that it should hold.
func treesAre(t tb, r *Replica, states map[store.Key]version.Set) {
	t.Helper()
	want := map[ring.Partition]*merkle.Tree{}
	for k, s := range states {
		if want[part(k)] == nil {
			want[part(k)] = &merkle.Tree{}
		}
		want[part(k)].Replace(merkle.SegmentOf(k), merkle.Sum{}, merkle.Sum(s.Fingerprint(k)))
	}
	trees := r.Trees(everything)
	for _, got := range trees {
		if w := want[got.Partition]; w == nil || got.Root != w.Root() || got.Keys != w.Keys() {
			t.Fatalf("tree of partition %d: got %+v, want that of its records", got.Partition, got)
		}
	}
	if len(trees) != len(want) {
		t.Fatalf("%d trees, want %d", len(trees), len(want))
	}
}

// What can be wrong with a tree is found and mended; a damaged record is shown to other owners.
func TestACheckFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name   string
		breaks func(t *testing.T, r *Replica)
		want   TreeCheck
		mended bool
	}{
		{"a leaf that is not its record's", func(t *testing.T, r *Replica) {
			set(t, r, leafKey(part("a"), "a"), encodeLeaf(leafKey(part("a"), "a"), merkle.Sum{1}))
		}, TreeCheck{Keys: 2, Leaves: 1, Trees: 1}, true},
		{"a record without a leaf", func(t *testing.T, r *Replica) {
			var b Batch
			b.Delete(leafKey(part("a"), "a"))
			if err := r.data.Apply(&b, true); err != nil {
				t.Fatal(err)
			}
		}, TreeCheck{Keys: 2, Leaves: 1, Trees: 1}, true},
		{"a leaf without a record", func(t *testing.T, r *Replica) {
			set(t, r, leafKey(part("gone"), "gone"), encodeLeaf(leafKey(part("gone"), "gone"), merkle.Sum{1}))
		}, TreeCheck{Keys: 2, Orphans: 1, Trees: 1}, true},
		{"a damaged leaf", func(t *testing.T, r *Replica) {
			damage(t, r.data, leafKey(part("a"), "a"))
		}, TreeCheck{Keys: 2, Leaves: 1}, true},
		{"sums in memory", func(t *testing.T, r *Replica) {
			r.forest.replace(part("a"), "a", merkle.Sum{}, merkle.Sum{1})
		}, TreeCheck{Keys: 2, Trees: 1}, true},
		{"a damaged record", func(t *testing.T, r *Replica) {
			damage(t, r.data, dataKey(part("a"), "a"))
		}, TreeCheck{Keys: 2, Damaged: 1}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, newDisk("a"))
			mustPut(t, r, "a", "", 1, nil)
			mustPut(t, r, "bb", "", 2, nil)
			before := r.TreeRoots(everything)
			c.breaks(t, r)
			if got := mustCheck(t, r); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if same := slices.Equal(r.TreeRoots(everything), before); same != c.mended {
				t.Errorf("the roots are as before: %v, want %v", same, c.mended)
			}
			again := TreeCheck{Keys: 2, Damaged: c.want.Damaged}
			if got := mustCheck(t, r); got != again {
				t.Errorf("once more: got %+v, want %+v", got, again)
			}
			if drift := r.Stats().Drift; (drift > 0) != (c.want.Drift() > 0) {
				t.Errorf("counted drift: %d", drift)
			}
		})
	}
}

func set(t *testing.T, r *Replica, key, value []byte) {
	t.Helper()
	var b Batch
	b.Set(key, value)
	if err := r.data.Apply(&b, true); err != nil {
		t.Fatal(err)
	}
}

// A repair that finds nothing to do to the record mends the leaf, or it would be asked for again and again.
func TestAMergeThatChangesNothingMendsTheLeaf(t *testing.T) {
	r := open(t, newDisk("a"))
	s := mustPut(t, r, "a", "", 1, nil)
	want := r.TreeRoots(everything)
	for name, leaf := range map[string]merkle.Sum{"wrong": {1}, "right": merkle.Sum(s.Fingerprint("a"))} {
		if err := r.writeWithLeaf(&Batch{}, part("a"), "a", leaf); err != nil {
			t.Fatal(err)
		}
		if mustMerge(t, r, "a", "", s) {
			t.Errorf("%s leaf: the merge changed the record", name)
		}
		if got := r.TreeRoots(everything); !slices.Equal(got, want) {
			t.Errorf("%s leaf: root %v after the merge, want %v", name, got, want)
		}
	}
	if err := r.writeWithLeaf(&Batch{}, part("gone"), "gone", merkle.Sum{1}); err != nil {
		t.Fatal(err)
	}
	if mustMerge(t, r, "gone", "", version.Set{}) || !slices.Equal(r.TreeRoots(everything), want) {
		t.Error("a merge of nothing did not remove the leaf of no record")
	}
}

// A disk of an older version, or one that bytes went bad on, gets its trees from the records.
func TestTreesAreBuiltWhereTheyCannotBeRead(t *testing.T) {
	for name, change := range map[string]func(b *Batch, r *Replica){
		"no leaves yet":              func(b *Batch, r *Replica) { b.Delete(leavesKey); b.Delete(leafKey(part("k7"), "k7")) },
		"leaves of another format":   func(b *Batch, r *Replica) { b.Set(leavesKey, []byte{merkle.Format + 1}) },
		"an old leaf of no record":   func(b *Batch, r *Replica) { b.Delete(leavesKey); b.Set(leafKey(part("x"), "x"), []byte{0}) },
		"a damaged leaf":             func(b *Batch, r *Replica) { b.Set(leafKey(part("k7"), "k7"), []byte("bad")) },
		"a damaged tree":             func(b *Batch, r *Replica) { b.Set(append(slices.Clone(treePrefix), 0, 2), []byte("bad")) },
		"a tree of another format":   func(b *Batch, r *Replica) { b.Set(append(slices.Clone(treePrefix), 0, 2), []byte{99, 0, 0, 0, 0, 0}) },
		"a tree that is not its own": func(b *Batch, r *Replica) { b.Set(append(slices.Clone(treePrefix), 9), []byte("bad")) },
	} {
		for _, clean := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, clean shutdown %v", name, clean), func(t *testing.T) {
				d := newDisk("a")
				r := d.open(t)
				for n := range 30 {
					mustPut(t, r, store.Key(fmt.Sprint("k", n)), "", n, nil)
				}
				want := r.TreeRoots(everything)
				closeReplica(t, r)
				kv, err := OpenPebble(PebbleOptions{FS: d.fs, Dir: "node/data"})
				if err != nil {
					t.Fatal(err)
				}
				var b Batch
				change(&b, r)
				if !clean {
					b.Delete(cleanKey)
				}
				if err := kv.Apply(&b, true); err != nil {
					t.Fatal(err)
				}
				if err := kv.Close(); err != nil {
					t.Fatal(err)
				}
				r = open(t, d)
				if got := r.TreeRoots(everything); !slices.Equal(got, want) && (name != "a damaged leaf" || !clean) {
					t.Errorf("got %v, want %v", got, want)
				}
				if c := mustCheck(t, r); name != "a damaged leaf" && c.Drift() > 0 {
					t.Errorf("check: got %+v, want no drift", c)
				}
				if got := r.TreeRoots(everything); !slices.Equal(got, want) {
					t.Errorf("after the check: got %v, want %v", got, want)
				}
			})
		}
	}
}

// What a clean shutdown keeps is used once: a life that ends otherwise leaves nothing outdated behind.
func TestKeptTreesAreUsedOnce(t *testing.T) {
	d := newDisk("a")
	r := d.open(t)
	mustPut(t, r, "a", "", 1, nil)
	closeReplica(t, r)
	r = d.open(t)
	mustPut(t, r, "a", "", 2, nil)
	want := r.TreeRoots(everything)
	d.crash(t, r)
	r = open(t, d)
	if got := r.TreeRoots(everything); !slices.Equal(got, want) {
		t.Errorf("after a crash: got %v, want %v", got, want)
	}
	kept := 0
	if err := r.data.Scan(treePrefix, prefixEnd(treePrefix), func(_, _ []byte) bool { kept++; return true }); err != nil || kept > 0 {
		t.Errorf("%d outdated trees on disk, %v", kept, err)
	}
}
