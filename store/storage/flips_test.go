package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cartwheel/store"
	"cartwheel/store/merkle"
)

// A flipper is a disk from which bits go wrong on the way; what is on it stays right.
type flipper struct {
	KV
	chance *float64
	rnd    *rand.Rand
}

func (k flipper) flip(b []byte) []byte {
	if len(b) == 0 || k.rnd.Float64() >= *k.chance {
		return b
	}
	b = bytes.Clone(b)
	b[k.rnd.IntN(len(b))] ^= 1 << k.rnd.IntN(8)
	return b
}

func (k flipper) Get(key []byte) ([]byte, bool, error) {
	b, ok, err := k.KV.Get(key)
	return k.flip(b), ok, err
}

func (k flipper) Scan(lo, hi []byte, fn func(key, value []byte) bool) error {
	return k.KV.Scan(lo, hi, func(key, value []byte) bool { return fn(key, k.flip(value)) })
}

// Reads that bring wrong bits must not get into the sums of hash trees: these would differ from other owners' until
// the next check of all records.
func TestWrongBitsStayOutOfTheTrees(t *testing.T) {
	for _, chance := range []float64{0.1, 0.5, 1} {
		t.Run(fmt.Sprint(chance), func(t *testing.T) {
			ctx, d, now := t.Context(), newDisk("a"), 0.0
			d.wrap = func(kv KV) KV { return flipper{kv, &now, rand.New(rand.NewPCG(1, 2))} }
			r := open(t, d)
			other := open(t, newDisk("b"))
			keys := []store.Key{"a", "b", "bb", "ccc"}
			for n := range 100 {
				key := keys[n%len(keys)]
				s := mustPut(t, other, key, "", 2*n, nil)
				now = chance
				if _, err := r.Merge(ctx, part(key), key, "", s); err != nil && !errors.Is(err, store.ErrCorrupt) {
					t.Fatal(err)
				}
				if n%3 == 0 {
					if _, err := r.Restore(ctx, part(key), key, "b", []store.NodeID{"b"}); err != nil {
						t.Fatal(err)
					}
				}
				now = 0
				// With every read wrong two reads that cannot tell leave the sums to the check.
				if c := mustCheck(t, r); chance < 1 && c.Drift() > 0 {
					t.Fatalf("after merge %d the check found %+v", n, c)
				}
			}
			if r.Stats().Damaged == 0 {
				t.Error("no read was wrong")
			}
		})
	}
}

// A record whose bytes can be read after all leaves quarantine, unless it was written since.
func TestARecordThatReadsWellAgainIsTakenBack(t *testing.T) {
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written %v", written), func(t *testing.T) {
			d, chance := newDisk("a"), 0.0
			d.wrap = func(kv KV) KV { return flipper{kv, &chance, rand.New(rand.NewPCG(1, 2))} }
			r := open(t, d)
			mustPut(t, r, "a", "", 1, nil)
			want := r.TreeRoots(everything)
			chance = 1
			if _, err := r.Get(t.Context(), part("a"), "a"); !errors.Is(err, store.ErrCorrupt) || r.Stats().SetAside != 1 {
				t.Fatalf("got %v", err)
			}
			if written {
				mustPut(t, r, "a", "", 2, nil)
			}
			chance = 0
			d.crash(t, r)
			r = open(t, d)
			got, err := r.Get(t.Context(), part("a"), "a")
			if written {
				if !errors.Is(err, store.ErrCorrupt) || r.Stats().SetAside != 1 {
					t.Errorf("a record of which a part is missing was read: %v, %v", got, err)
				}
				return
			}
			if err != nil || !got.HasWrite(writeID(1)) || r.Stats().SetAside != 0 {
				t.Errorf("got %v, %v", got, err)
			}
			if roots := r.TreeRoots(everything); !slices.Equal(roots, want) {
				t.Errorf("roots %v, want %v", roots, want)
			}
			if c := mustCheck(t, r); c.Drift()+c.Damaged > 0 {
				t.Errorf("check: %+v", c)
			}
		})
	}
}

// A leaf that has gone bad on disk is written anew from its record by whoever comes upon it: a change of
// the record, one that changes nothing, a peer that lists leaves, and the start of the node.
func TestADamagedLeafIsThatOfItsRecordAgain(t *testing.T) {
	ctx := context.Background()
	for name, meet := range map[string]func(t *testing.T, d *disk, r *Replica) *Replica{
		"put": func(t *testing.T, _ *disk, r *Replica) *Replica { mustPut(t, r, "a", "", 2, nil); return r },
		"merge": func(t *testing.T, _ *disk, r *Replica) *Replica {
			mustMerge(t, r, "a", "", mustRecord(t, r, "a"))
			return r
		},
		"drop": func(t *testing.T, _ *disk, r *Replica) *Replica {
			leaf := merkle.Leaf{Key: "a", Sum: merkle.Sum(mustRecord(t, r, "a").Fingerprint("a"))}
			if n, err := r.DropAll(ctx, part("a"), []merkle.Leaf{leaf}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			return r
		},
		"list": func(t *testing.T, _ *disk, r *Replica) *Replica {
			want := merkle.Leaf{Key: "a", Sum: merkle.Sum(mustRecord(t, r, "a").Fingerprint("a"))}
			got, _, err := r.TreeLeaves(ctx, part("a"), merkle.SegmentOf("a"), "", 10)
			if err != nil || !slices.Contains(got, want) {
				t.Errorf("listed %v, %v, want %v", got, err, want)
			}
			return r
		},
		"crash": func(t *testing.T, d *disk, r *Replica) *Replica {
			d.crash(t, r)
			return d.open(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk("a")
			r := d.open(t)
			mustPut(t, r, "a", "", 1, nil)
			mustPut(t, r, "bb", "", 1, nil)
			damage(t, r.data, leafKey(part("a"), "a"))
			r = meet(t, d, r)
			defer func() { closeReplica(t, r) }()
			if name != "crash" { // which sums it right, and leaves the bytes to the check
				if _, err := r.leaf(part("a"), "a"); err != nil {
					t.Error(err)
				}
			}
			if c := mustCheck(t, r); c.Trees+c.Orphans > 0 {
				t.Errorf("check: %+v", c)
			}
			if r.Stats().Drift == 0 {
				t.Error("the damage was not counted")
			}
		})
	}
}
