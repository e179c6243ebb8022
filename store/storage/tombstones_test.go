package storage

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
)

// Listed is what holds tombstones and nothing else, page by page.
func TestTombstonesAreListed(t *testing.T) {
	r := open(t, newDisk("a"))
	r.pageKeys = 3
	const p = ring.Partition(5)
	want := map[store.Key]bool{}
	for i := range 20 {
		key := store.Key(fmt.Sprintf("k%02d", i))
		put := func(past store.Key, dead bool) {
			held, err := r.Record(t.Context(), p, past)
			if err != nil {
				t.Fatal(err)
			}
			w := Write{Past: held.Vector, Tombstone: dead, Value: []byte("v")}
			if _, err := r.Put(t.Context(), p, key, "", w); err != nil {
				t.Fatal(err)
			}
		}
		switch i % 4 {
		case 0: // deleted
			put(key, false)
			put(key, true)
			want[key] = true
		case 1: // lives
			put(key, false)
		case 2: // deleted, and a sibling that was not seen
			put(key, false)
			put("none", true)
		case 3: // two deletes that did not see each other
			put("none", true)
			put("none", true)
			want[key] = true
		}
	}
	list := func(latest int64, limit int) (all []merkle.Leaf) {
		var after store.Key
		for {
			leaves, next, err := r.Tombstones(t.Context(), p, latest, after, limit)
			if err != nil || len(leaves) > limit {
				t.Fatalf("%d leaves, at most %d wanted; %v", len(leaves), limit, err)
			}
			all = append(all, leaves...)
			if next == "" {
				return all
			}
			after = next
		}
	}
	for _, limit := range []int{1, 2, 3, 100} {
		got := list(math.MaxInt64, limit)
		for _, l := range got {
			if !want[l.Key] {
				t.Errorf("%q is listed", l.Key)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d at a time: %d are listed, want %d", limit, len(got), len(want))
		}
	}
	if got := list(0, 100); len(got) != 0 {
		t.Errorf("%d are listed that are younger", len(got))
	}
	if got, next, err := r.Tombstones(t.Context(), p+1, math.MaxInt64, "", 100); len(got) > 0 || next != "" || err != nil {
		t.Errorf("of another partition: %d, %q, %v", len(got), next, err)
	}
	closeReplica(t, r)
	if _, _, err := r.Tombstones(t.Context(), p, math.MaxInt64, "", 100); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

// Confirmed is what is the same and stays so when power is lost.
func TestWhatIsConfirmedSurvivesACrash(t *testing.T) {
	d := newDisk("a")
	r := d.open(t)
	p := part("k")
	if _, err := r.Put(t.Context(), p, "k", "", Write{Tombstone: true, Buffered: true}); err != nil {
		t.Fatal(err)
	}
	leaves, _, err := r.Tombstones(t.Context(), p, math.MaxInt64, "", 10)
	if err != nil || len(leaves) != 1 {
		t.Fatalf("%d leaves, %v", len(leaves), err)
	}
	other := merkle.Leaf{Key: "l", Sum: leaves[0].Sum}
	changed := merkle.Leaf{Key: "k", Sum: merkle.Sum{1}}
	for _, tt := range []struct {
		leaf merkle.Leaf
		want bool
	}{{leaves[0], true}, {other, false}, {changed, false}} {
		if equal, err := r.Confirm(t.Context(), p, []merkle.Leaf{tt.leaf}); err != nil || equal[0] != tt.want {
			t.Errorf("%q: %v, %v, want %t", tt.leaf.Key, equal, err, tt.want)
		}
	}
	d.crash(t, r)
	r = d.open(t)
	if equal, err := r.Confirm(t.Context(), p, leaves); err != nil || !equal[0] {
		t.Errorf("after a crash: %v, %v", equal, err)
	}
	closeReplica(t, r)
}
