package storage

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
)

func TestTheHistoryOfLayoutsSurvivesACrash(t *testing.T) {
	d := newDisk("a")
	r := d.open(t)
	if b, err := r.History(t.Context()); b != nil || err != nil {
		t.Fatalf("of a new disk: %q, %v", b, err)
	}
	for _, text := range []string{"one", "another"} {
		if err := r.KeepHistory(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
		d.crash(t, r)
		r = d.open(t)
		if b, err := r.History(t.Context()); string(b) != text || err != nil {
			t.Errorf("got %q, want %q, %v", b, text, err)
		}
	}
	closeReplica(t, r)
	if err := r.KeepHistory(t.Context(), nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("kept after close: %v", err)
	}
}

// A batch is all or nothing, and it is one wait for the disk.
func TestManyStatesAreOneBatch(t *testing.T) {
	d, batches := newDisk("a"), 0
	d.wrap = func(kv KV) KV { return counting{kv, &batches} }
	r, other := open(t, d), open(t, newDisk("b"))
	var states []State
	for n, k := range []store.Key{"a", "b", "c"} {
		states = append(states, State{Key: k, Set: mustPut(t, other, k, "", n, nil)})
	}
	before := batches
	if changed, err := r.MergeAll(t.Context(), part("a"), states); changed != 3 || err != nil {
		t.Fatalf("%d changed, %v", changed, err)
	}
	if changed, err := r.MergeAll(t.Context(), part("a"), states); changed != 0 || err != nil {
		t.Fatalf("again: %d changed, %v", changed, err)
	}
	if batches-before != 1 {
		t.Errorf("%d batches, want 1", batches-before)
	}
	states[0], states[1] = states[1], states[0]
	if _, err := r.MergeAll(t.Context(), part("a"), states); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("keys that do not ascend: %v", err)
	}
}

type counting struct {
	KV
	batches *int
}

func (k counting) Apply(b *Batch, sync bool) error {
	*k.batches++
	return k.KV.Apply(b, sync)
}

// What cannot be read is not dropped: it is for an operator to see.
func TestADamagedRecordIsNotDropped(t *testing.T) {
	r := open(t, newDisk("a"))
	mustPut(t, r, "k", "", 1, nil)
	var b Batch
	at := dataKey(part("k"), "k")
	stored, _, err := r.data.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	b.Set(at, append(bytes.Clone(stored), 0))
	if err := r.write(r.data, &b); err != nil {
		t.Fatal(err)
	}
	sum, damaged, err := r.recordSum(part("k"), "k")
	if !damaged || err != nil {
		t.Fatalf("damaged %v, %v", damaged, err)
	}
	if n, err := r.DropAll(t.Context(), part("k"), []merkle.Leaf{{Key: "k", Sum: sum}}); n != 0 || err != nil {
		t.Errorf("dropped %d, %v", n, err)
	}
}

// Batches that overlap, and single writes between them, all end: locks are taken in one order.
func TestOverlappingBatchesDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, other := newDisk("a").open(t), newDisk("b").open(t)
		defer closeReplica(t, r)
		defer closeReplica(t, other)
		var states []State
		for n, k := range []store.Key{"a", "b", "c", "d"} {
			states = append(states, State{Key: k, Set: mustPut(t, other, k, "", n, nil)})
		}
		var work sync.WaitGroup
		for i := range 4 {
			work.Go(func() {
				for range 20 {
					if _, err := r.MergeAll(context.Background(), ring.Partition(1), states[i:]); err != nil {
						t.Error(err)
					}
					if _, err := r.DropAll(context.Background(), 1, []merkle.Leaf{{Key: "a"}, {Key: "d"}}); err != nil {
						t.Error(err)
					}
					mustMerge(t, r, "c", "", states[2].Set)
				}
			})
		}
		work.Wait()
	})
}
