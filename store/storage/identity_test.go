package storage

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/version"
)

func TestIncarnationRisesUnlessTheShutdownWasClean(t *testing.T) {
	d := newDisk("a")
	r := d.open(t)
	first := r.Identity()
	if first.Node == 0 || first.Incarnation != 1 {
		t.Fatalf("first identity: got %+v, want a node number and incarnation 1", first)
	}
	for _, step := range []struct {
		name string
		end  func(tb, *Replica)
		want uint64
	}{
		{"clean", closeReplica, 1},
		{"crash", d.crash, 2},
		{"clean after a crash", closeReplica, 2},
		{"crash", d.crash, 3},
		{"second crash", d.crash, 4}, // the clean mark of long ago does not count
	} {
		step.end(t, r)
		r = d.open(t)
		if got := r.Identity(); got.Node != first.Node || got.Incarnation != step.want {
			t.Errorf("after %s: got %+v, want node %x, incarnation %d", step.name, got, first.Node, step.want)
		}
	}
	closeReplica(t, r)
}

func TestNodesDrawDifferentNumbers(t *testing.T) {
	a, b := open(t, newDisk("a")), open(t, newDisk("b"))
	if a.Identity().Node == b.Identity().Node {
		t.Error("two nodes of one seed drew the same node number")
	}
}

// No number is issued twice, whatever ends a life, and each is below a lease that is on disk.
func TestCountersAreNeverIssuedTwice(t *testing.T) {
	d := newDisk("a")
	var last uint64
	for life := range 6 {
		r := d.open(t)
		for n := range leaseNumbers + life%2 { // to the very end of the lease, or into a second
			_, got, err := r.ids.issue(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if got <= last {
				t.Fatalf("life %d issued %d after %d", life, got, last)
			}
			last = got
			if n%1000 == 0 {
				leaseIsOnDisk(t, d, got)
			}
		}
		if life%2 == 0 {
			d.crash(t, r)
		} else {
			closeReplica(t, r)
		}
	}
}

func leaseIsOnDisk(t *testing.T, d *disk, issued uint64) {
	t.Helper()
	kv, err := OpenPebble(PebbleOptions{FS: d.fs.CrashClone(vfs.CrashCloneCfg{}), Dir: "node/data"})
	if err != nil {
		t.Fatal(err)
	}
	l, ok, err := readIdentity(kv)
	if err != nil || !ok || l.end <= issued {
		t.Fatalf("%d was issued while the lease on disk ends at %d (%v, %v)", issued, l.end, ok, err)
	}
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
}

// A disk is put back to an earlier image, clean mark and all. The node would go on to issue the
// numbers that it had issued before, until a peer shows it what it has forgotten.
func TestARolledBackDiskIsFoundOut(t *testing.T) {
	for _, c := range []struct {
		name string
		meet func(r *Replica, s version.Set) error
	}{
		{"by a merge", func(r *Replica, s version.Set) error {
			_, err := r.Merge(context.Background(), part("k"), "k", "", s)
			return err
		}},
		{"by a merge into a hint", func(r *Replica, s version.Set) error {
			_, err := r.Merge(context.Background(), part("k"), "k", "c", s)
			return err
		}},
		{"by a client's context", func(r *Replica, s version.Set) error {
			_, err := r.Put(context.Background(), part("k"), "k", "", Write{Past: s.Vector})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDisk("a")
			r := d.open(t)
			mustPut(t, r, "k", "", 1, nil)
			closeReplica(t, r)
			image := d.fs.CrashClone(vfs.CrashCloneCfg{})
			r = d.open(t)
			forgotten := mustPut(t, r, "k", "", 2, nil)
			closeReplica(t, r)

			d.fs = image
			r = open(t, d)
			id := r.Identity()
			if err := c.meet(r, forgotten); err != nil {
				t.Fatal(err)
			}
			if got := r.Stats().Amnesia; got != 1 {
				t.Errorf("amnesia: got %d alarms, want 1", got)
			}
			if got := r.Identity(); got.Node != id.Node || got.Incarnation != id.Incarnation+1 {
				t.Errorf("identity: got %+v, want incarnation %d", got, id.Incarnation+1)
			}
			after := mustPut(t, r, "k", "", 3, nil)
			dot := after.Versions[len(after.Versions)-1].Dot
			if forgotten.Vector.Covers(dot) || forgotten.Vector.At(dot.Actor) > 0 {
				t.Errorf("the next event is %v, which continues what was forgotten, %v", dot, forgotten.Vector)
			}
			if err := c.meet(r, forgotten); err != nil || r.Stats().Amnesia != 1 {
				t.Errorf("met again: %v, %d alarms, want no second one", err, r.Stats().Amnesia)
			}
		})
	}
}

// The engine's log has lost its end, and with it what the node knew of its last lives. What is kept
// beside it tells how far they went, without anybody else's help; if that is damaged too, at
// least the end of a life that was clean is not believed.
func TestALogThatLostItsEndBringsNoNumberBack(t *testing.T) {
	d := newDisk("a")
	r := d.open(t)
	mustPut(t, r, "k", "", 1, nil)
	d.crash(t, r)
	image := d.fs.CrashClone(vfs.CrashCloneCfg{})
	r = d.open(t)
	id := r.Identity()
	forgotten := mustPut(t, r, "k", "", 2, nil)
	d.crash(t, r)

	if err := d.fs.RemoveAll("node/data"); err != nil {
		t.Fatal(err)
	}
	if ok, err := vfs.Clone(image, d.fs, "node/data", "node/data", vfs.CloneSync); err != nil || !ok {
		t.Fatal(ok, err)
	}
	r = d.open(t)
	if got := r.Identity(); got.Node != id.Node || got.Incarnation <= id.Incarnation {
		t.Errorf("identity: got %+v, want an incarnation after %d", got, id.Incarnation)
	}
	after := mustPut(t, r, "k", "", 3, nil)
	if dot := after.Versions[len(after.Versions)-1].Dot; forgotten.Vector.Covers(dot) || forgotten.Vector.At(dot.Actor) > 0 {
		t.Errorf("the next event is %v, which continues what was forgotten, %v", dot, forgotten.Vector)
	}
	id = r.Identity()
	closeReplica(t, r)

	f, err := d.fs.OpenReadWrite("node/"+identityFile, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{0xff}, 5)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if got := open(t, d).Identity(); got.Node != id.Node || got.Incarnation != id.Incarnation+1 {
		t.Errorf("identity after its file was damaged: got %+v, want incarnation %d", got, id.Incarnation+1)
	}
}

// The lease may be past what was forgotten; the record itself then tells.
func TestARecordThatForgotItsOwnEventsIsFoundOut(t *testing.T) {
	r := open(t, newDisk("a"))
	s := mustPut(t, r, "k", "", 1, nil)
	mustPut(t, r, "other", "", 2, nil)
	later := s.Versions[0]
	later.Dot.Counter++ // issued, to the other key
	mustMerge(t, r, "k", "", version.Set{}.Put(nil, later))
	if got := r.Stats().Amnesia; got != 1 {
		t.Errorf("amnesia: got %d alarms, want 1", got)
	}
}

func TestACounterBeyondBeliefIsRefused(t *testing.T) {
	r := open(t, newDisk("a"))
	id := r.Identity()
	s := version.Set{}.Put(nil, version.Version{Dot: version.Dot{Actor: version.Actor{Node: id.Node, Epoch: 1}, Counter: counterMax + 1}, Tombstone: true})
	if _, err := r.Merge(context.Background(), 0, "k", "", s); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("merge: got %v, want %v", err, store.ErrInvalid)
	}
	if r.Identity() != id {
		t.Errorf("identity changed from %+v to %+v", id, r.Identity())
	}
}

// Which actor an event continues: the rule of tenure, case by case.
func TestTenure(t *testing.T) {
	actors := func(s version.Set) (out []version.Actor) {
		for _, d := range s.Vector {
			out = append(out, d.Actor)
		}
		return out
	}
	t.Run("a record of one's own is continued", func(t *testing.T) {
		d := newDisk("a")
		r := d.open(t)
		first := mustPut(t, r, "k", "", 1, nil)
		closeReplica(t, r)
		r = open(t, d)
		if got := mustPut(t, r, "k", "", 2, nil); !slices.Equal(actors(got), actors(first)) {
			t.Errorf("after a clean restart: actors %v, want %v", actors(got), actors(first))
		}
	})
	t.Run("a crash ends it", func(t *testing.T) {
		d := newDisk("a")
		r := d.open(t)
		mustPut(t, r, "k", "", 1, nil)
		d.crash(t, r)
		r = open(t, d)
		if got := mustPut(t, r, "k", "", 2, nil); len(actors(got)) != 2 {
			t.Errorf("actors %v, want 2", actors(got))
		}
	})
	t.Run("a merge does not give one", func(t *testing.T) {
		r := open(t, newDisk("a"))
		hint := mustPut(t, r, "k", "b", 1, nil)
		mustMerge(t, r, "k", "", hint) // its own event, back from elsewhere
		mustPut(t, r, "k", "", 2, nil)
		if got := mustRecord(t, r, "k"); len(actors(got)) != 2 {
			t.Errorf("actors %v, want 2", actors(got))
		}
	})
	t.Run("each hint has its own, which dies with it", func(t *testing.T) {
		r := open(t, newDisk("a"))
		mustPut(t, r, "k", "", 1, nil)
		mustPut(t, r, "k", "b", 2, nil)
		first := allHints(t, r, "b")[0]
		if dropped, err := r.DropHint(context.Background(), first); err != nil || !dropped {
			t.Fatalf("drop: %v, %v", dropped, err)
		}
		mustPut(t, r, "k", "b", 3, nil)
		second := allHints(t, r, "b")[0]
		own := mustRecord(t, r, "k")
		all := slices.Concat(actors(first.Set), actors(second.Set), actors(own))
		if len(all) != 3 || all[0] == all[1] || all[0] == all[2] || all[1] == all[2] {
			t.Errorf("actors %v, want three different ones", all)
		}
	})
}
