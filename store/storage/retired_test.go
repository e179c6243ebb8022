package storage

import (
	"fmt"
	"testing"

	"cartwheel/store"
	"cartwheel/store/version"
)

// retiredOf returns what may be pruned of the records of a partition with more than most entries.
func retiredOf(t *testing.T, r *Replica, key store.Key, most int) (all []Retired) {
	t.Helper()
	var after store.Key
	for {
		found, next, err := r.Retired(t.Context(), part(key), most, after, 2)
		if err != nil || len(found) > 2 {
			t.Fatalf("%d found, %v", len(found), err)
		}
		if all = append(all, found...); next == "" {
			return all
		}
		after = next
	}
}

// worn is a record to which a node came back four times without its end of the log, each time to supersede what was there. It returns the node
// in its last life, and what a client was shown in each.
func worn(t *testing.T, key store.Key) (r *Replica, seen []version.Set) {
	t.Helper()
	d := newDisk("a")
	var last version.Set
	for n := range 4 {
		r = d.open(t)
		last = mustPut(t, r, key, "", n, last.Vector)
		if seen = append(seen, last); n < 3 {
			d.crash(t, r)
		}
	}
	t.Cleanup(func() { closeReplica(t, r) })
	return r, seen
}

// What is retired are all lives but the one that may go on, of records that are worn enough.
func TestRetiredActorsAreListed(t *testing.T) {
	r, seen := worn(t, "k")
	want := seen[2].Vector
	if got := retiredOf(t, r, "k", 3); len(got) != 1 || got[0].Key != "k" || !got[0].Entries.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := retiredOf(t, r, "k", 4); len(got) != 0 {
		t.Errorf("a vector of four entries has more than four: %v", got)
	}
	for i := range 5 { // pages
		key := store.Key(fmt.Sprint(i))
		for n := range 3 {
			s := version.Set{}.Put(seen[0].Vector, version.Version{Dot: version.Dot{Actor: version.Actor{Node: 1, Epoch: uint64(n + 1)}, Counter: uint64(n + 1)}, Value: []byte("v")})
			mustMerge(t, r, key, "", s)
		}
	}
	if got := retiredOf(t, r, "k", 3); len(got) != 6 {
		t.Errorf("%d records are listed, want 6", len(got))
	}
	// Siblings keep their actors, and so does whoever may go on.
	last := mustPut(t, r, "k", "", 9, nil)
	if got := retiredOf(t, r, "k", 3); len(got) != 6 || !got[5].Entries.Equal(want) {
		t.Errorf("got %v of %v, want %v", got, last, want)
	}
}

// Another owner agrees to what its record has just so, and prunes no more than that.
func TestRetiredActorsAreConfirmedAndPruned(t *testing.T) {
	r, seen := worn(t, "k")
	p, last := part("k"), seen[3]
	d := newDisk("b")
	other := d.open(t)
	defer func() { closeReplica(t, other) }()
	asked := retiredOf(t, r, "k", 3)
	if both, err := other.ConfirmRetired(t.Context(), p, asked); err != nil || len(both) != 0 {
		t.Errorf("an owner without the record agrees to %v, %v", both, err)
	}
	mustMerge(t, other, "k", "", seen[1])
	if both, err := other.ConfirmRetired(t.Context(), p, asked); err != nil || len(both) != 1 || !both[0].Entries.Equal(seen[0].Vector) {
		t.Errorf("an owner that is behind agrees to %v, %v, want %v", both, err, seen[0].Vector)
	}
	mustMerge(t, other, "k", "", last)
	mine := mustPut(t, other, "k", "", 20, last.Vector)
	with := []Retired{{"k", mine.Vector}}
	both, err := other.ConfirmRetired(t.Context(), p, with)
	if err != nil || len(both) != 1 || !both[0].Entries.Equal(last.Vector) {
		t.Errorf("an owner whose own actor may go on agrees to %v, %v, want %v", both, err, last.Vector)
	}
	if n, err := other.Prune(t.Context(), p, asked); n != 3 || err != nil {
		t.Errorf("%d entries pruned, %v", n, err)
	}
	if n, err := other.Prune(t.Context(), p, asked); n != 0 || err != nil {
		t.Errorf("%d entries pruned again, %v", n, err)
	}
	d.crash(t, other)
	other = d.open(t)
	if got := mustGet(t, other, "k"); len(got.Vector) != 2 || len(got.Versions) != 1 {
		t.Errorf("what is left is %v", got)
	}
	if got, err := other.Recall(t.Context(), p, "k"); err != nil || !got.Vector.Equal(mine.Vector) {
		t.Errorf("recalled %v, %v, want %v", got.Vector, err, mine.Vector)
	}
	if found, err := other.CheckTrees(t.Context()); err != nil || found.Drift() != 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

// A context from before brings nothing back; neither does a state from before, as that of an archive, whose entries come back and supersede
// it wherever it went.
func TestWhatWasPrunedStaysSuperseded(t *testing.T) {
	r, seen := worn(t, "k")
	p, last := part("k"), seen[3]
	if _, err := r.Prune(t.Context(), p, retiredOf(t, r, "k", 3)); err != nil {
		t.Fatal(err)
	}
	next := mustPut(t, r, "k", "", 10, last.Vector)
	if len(next.Vector) != 1 || len(next.Versions) != 1 {
		t.Errorf("a context from before: %v", next)
	}
	mustMerge(t, r, "k", "", seen[1])
	back := mustGet(t, r, "k")
	if len(back.Versions) != 1 || !back.Vector.Includes(seen[1].Vector) {
		t.Errorf("a state from before: %v", back)
	}
	if got := version.Merge(seen[1], back); len(got.Versions) != 1 {
		t.Errorf("who has such a state is not told better: %v", got)
	}
	// Who takes the record over remembers, too, also if it has the set by then.
	other := open(t, newDisk("b"))
	state, err := r.State(t.Context(), p, "k")
	if err != nil || len(state.Pruned) != 3 {
		t.Fatalf("%v, %v", state, err)
	}
	mustMerge(t, other, "k", "", state.Set)
	for range 2 {
		if _, err := other.MergeAll(t.Context(), p, []State{state}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := other.Recall(t.Context(), p, "k"); err != nil || !got.Vector.Includes(last.Vector) {
		t.Errorf("recalled %v, %v, want %v in it", got.Vector, err, last.Vector)
	}
}
