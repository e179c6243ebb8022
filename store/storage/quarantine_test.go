package storage

import (
	"context"
	"errors"
	"slices"
	"testing"

	"cartwheel/store"
	"cartwheel/store/version"
)

// A record goes bad on disk. Until all other owners have given what they hold it is an error to
// read it, across restarts, and never "not found"; what is written meanwhile is kept.
func TestADamagedRecordIsRestoredByAllOtherOwners(t *testing.T) {
	ctx, key := context.Background(), store.Key("a")
	p, owners := part(key), []store.NodeID{"b", "c"}
	d := newDisk("a")
	r := d.open(t)
	shared := mustPut(t, r, key, "", 1, nil) // c holds it, b does not
	sum := r.TreeRoots(everything)
	damage(t, r.data, dataKey(p, key))

	unreadable := func(when string) {
		t.Helper()
		for name, read := range map[string]func() error{
			"get":    func() error { _, err := r.Get(ctx, p, key); return err },
			"record": func() error { _, err := r.Record(ctx, p, key); return err },
		} {
			if err := read(); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s: %s gave %v", when, name, err)
			}
		}
		if r.Stats().SetAside != 1 {
			t.Errorf("%s: %d records are set aside", when, r.Stats().SetAside)
		}
		if slices.Equal(r.TreeRoots(everything), sum) {
			t.Errorf("%s: the hash tree shows nothing of it", when)
		}
	}
	unreadable("after the damage")
	after := mustPut(t, r, key, "", 2, nil) // a client's write goes on
	if after.HasWrite(writeID(1)) || !after.HasWrite(writeID(2)) {
		t.Errorf("a put showed %v", after)
	}
	unreadable("after a put")
	if check := mustCheck(t, r); check.Damaged != 1 || check.Drift() > 0 {
		t.Errorf("a check found %+v", check)
	}
	restore := func(from store.NodeID, theirs version.Set) version.Set {
		t.Helper()
		mustMerge(t, r, key, "", theirs)
		got, err := r.Restore(ctx, p, key, from, owners)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	restore("b", version.Set{}) // it has never heard of the key
	unreadable("after one of two owners")
	d.crash(t, r)
	r = open(t, d)
	unreadable("after a loss of power")
	if got := restore("c", shared); !got.HasWrite(writeID(1)) || !got.HasWrite(writeID(2)) {
		t.Errorf("restored %v", got)
	}
	if got := mustGet(t, r, key); !got.HasWrite(writeID(1)) || !got.HasWrite(writeID(2)) {
		t.Errorf("read %v", got)
	}
	if s := r.Stats(); s.SetAside != 0 || s.Restored != 1 {
		t.Errorf("counted %+v", s)
	}
	if check := mustCheck(t, r); check.Damaged+check.Drift() > 0 {
		t.Errorf("a check found %+v", check)
	}
}

// A node that forgot what it issued must not issue it again: the next event of a restored
// record is another actor's, although no incarnation has passed.
func TestARestoredRecordContinuesNoTenure(t *testing.T) {
	ctx, key := context.Background(), store.Key("a")
	r := open(t, newDisk("a"))
	first := mustPut(t, r, key, "", 1, nil)
	damage(t, r.data, dataKey(part(key), key))
	mustMerge(t, r, key, "", first)
	if _, err := r.Restore(ctx, part(key), key, "b", []store.NodeID{"b"}); err != nil {
		t.Fatal(err)
	}
	second := mustPut(t, r, key, "", 2, nil)
	if len(second.Vector) != 2 || !second.HasWrite(writeID(1)) || !second.HasWrite(writeID(2)) {
		t.Errorf("got %v, want two actors and two versions", second)
	}
}

// If no other owner has anything, the damaged copy was the only one: saying "not found" would
// make its loss final and silent.
func TestTheOnlyCopyStaysInQuarantine(t *testing.T) {
	ctx, key := context.Background(), store.Key("a")
	r := open(t, newDisk("a"))
	mustPut(t, r, key, "", 1, nil)
	damage(t, r.data, dataKey(part(key), key))
	for _, from := range []store.NodeID{"b", "c"} {
		mustMerge(t, r, key, "", version.Set{})
		if _, err := r.Restore(ctx, part(key), key, from, []store.NodeID{"b", "c"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Get(ctx, part(key), key); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func FuzzNotes(f *testing.F) {
	f.Add(note{joined: []store.NodeID{"n1", "n2"}, evidence: []byte("bad")}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := decodeNote(b)
		again := decodeNote(n.encode())
		if !slices.Equal(n.joined, again.joined) || !slices.Equal(n.evidence, again.evidence) {
			t.Errorf("%x: %+v, and then %+v", b, n, again)
		}
	})
}

// A node that does not own a partition any more lets go of what is damaged there, so that the rest can
// be handed over and dropped; what was written since the damage goes with it.
func TestDamagedRecordsOfAFormerOwnerAreReleased(t *testing.T) {
	ctx := context.Background()
	d := newDisk("a")
	r := d.open(t)
	lost, since, whole := store.Key("aaaa"), store.Key("bbbb"), store.Key("cccc") // of one partition
	p := part(lost)
	for i, key := range []store.Key{lost, since, whole} {
		mustPut(t, r, key, "", 1+i, nil)
	}
	damage(t, r.data, dataKey(p, lost))
	damage(t, r.data, dataKey(p, since))
	for _, key := range []store.Key{lost, since} {
		if _, err := r.Get(ctx, p, key); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("%s: %v", key, err)
		}
	}
	mustPut(t, r, since, "", 9, nil)
	if n, err := r.Release(ctx, p+1); n != 0 || err != nil {
		t.Errorf("released %d of another partition, %v", n, err)
	}
	if n, err := r.Release(ctx, p); n != 2 || err != nil || r.Stats().SetAside != 0 {
		t.Errorf("released %d, %v; %d are still set aside", n, err, r.Stats().SetAside)
	}
	closeReplica(t, r)
	r = open(t, d)
	for key, id := range map[store.Key]int{lost: 0, since: 9, whole: 3} {
		set, err := r.Record(ctx, p, key)
		if err != nil || set.IsZero() != (id == 0) || id != 0 && !set.HasWrite(writeID(id)) {
			t.Errorf("%s: got %v, %v, want write %d", key, set, err, id)
		}
	}
	if check := mustCheck(t, r); check.Damaged != 0 || check.Drift() != 0 || r.Stats().SetAside != 0 {
		t.Errorf("a check found %+v, %d set aside", check, r.Stats().SetAside)
	}
}
