package reap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// A world is three nodes that hold the same tombstones in one partition.
type world struct {
	h      history.History
	have   map[store.NodeID]map[store.Key]bool
	keeps  map[store.NodeID]bool // whose actor of the record "w" is not retired
	drops  []string              // "node: keys", in order
	refuse map[store.NodeID]bool // who drops nothing
	lacks  store.NodeID          // who lacks the first key
	waits  string                // what n3 is not ready for
	during func()                // called while owners are asked
}

func (w *world) Now() history.History                              { return w.h }
func (w *world) JoinsEnded(context.Context, history.Version) error { return nil }

func (w *world) Change(_ context.Context, f func(history.History) (history.History, error)) (history.History, error) {
	h, err := f(w.h)
	if err == nil {
		w.h = h
	}
	return h, err
}

// settle takes the pending change through.
func (w *world) settle() {
	for range 3 {
		for _, n := range w.h.Waits() {
			next := w.h.Next(n)
			w.h = w.h.Acked(n, next.Ack).Synced(n, next.Sync).SyncAcked(n, next.SyncAck)
		}
	}
}

// A disk is one node's.
type disk struct {
	*world
	id store.NodeID
}

func (d disk) Tombstones(_ context.Context, p ring.Partition, _ int64, _ store.Key, _ int) (leaves []merkle.Leaf, next store.Key, err error) {
	for _, k := range []store.Key{"a", "b"} {
		if p == 0 && d.have[d.id][k] {
			leaves = append(leaves, merkle.Leaf{Key: k, Sum: merkle.Sum{1}})
		}
	}
	return leaves, "", nil
}

func (d disk) Confirm(_ context.Context, _ ring.Partition, leaves []merkle.Leaf) ([]bool, error) {
	if d.during != nil {
		d.during()
	}
	equal := make([]bool, len(leaves))
	for i, l := range leaves {
		equal[i] = d.have[d.id][l.Key] && (d.lacks != d.id || l.Key != "a")
	}
	return equal, nil
}

func (d disk) DropAll(_ context.Context, _ ring.Partition, known []merkle.Leaf) (int, error) {
	if d.refuse[d.id] {
		return 0, errors.New("sorry")
	}
	keys := ""
	for _, l := range known {
		delete(d.have[d.id], l.Key)
		keys += string(l.Key)
	}
	d.drops = append(d.drops, fmt.Sprintf("%s: %s", d.id, keys))
	return len(known), nil
}

// The record "w" has two entries more than it may, of which some may not go.
func (d disk) Retired(_ context.Context, p ring.Partition, most int, _ store.Key, _ int) (found []storage.Retired, next store.Key, err error) {
	if p == 0 && most == 3 && d.have[d.id]["w"] {
		found = append(found, storage.Retired{Key: "w", Entries: entries})
	}
	return found, "", nil
}

func (d disk) ConfirmRetired(_ context.Context, _ ring.Partition, asked []storage.Retired) (both []storage.Retired, err error) {
	for _, a := range asked {
		if d.have[d.id][a.Key] && !d.keeps[d.id] {
			both = append(both, a)
		}
	}
	return both, nil
}

func (d disk) Prune(_ context.Context, _ ring.Partition, known []storage.Retired) (int, error) {
	for _, k := range known {
		delete(d.have[d.id], k.Key)
		d.drops = append(d.drops, fmt.Sprintf("%s prunes %s", d.id, k.Key))
	}
	return len(known), nil
}

func (d disk) HintsHeld() int                                     { return 0 }
func (d disk) Trees(func(ring.Partition) bool) []storage.TreeStat { return nil }

// peers reach the disks of the others.
type peers struct{ *world }

func (p peers) Confirm(ctx context.Context, _ history.Stamp, of store.NodeID, part ring.Partition, leaves []merkle.Leaf) ([]bool, error) {
	return disk{p.world, of}.Confirm(ctx, part, leaves)
}

func (p peers) Ready(_ context.Context, _ history.Stamp, is store.NodeID) (string, error) {
	if is == "n3" {
		return p.waits, nil
	}
	return "", nil
}

func (p peers) Drop(ctx context.Context, _ history.Stamp, on store.NodeID, part ring.Partition, leaves []merkle.Leaf) (int, error) {
	return disk{p.world, on}.DropAll(ctx, part, leaves)
}

func (p peers) ConfirmRetired(ctx context.Context, _ history.Stamp, of store.NodeID, part ring.Partition, asked []storage.Retired) ([]storage.Retired, error) {
	return disk{p.world, of}.ConfirmRetired(ctx, part, asked)
}

func (p peers) Prune(ctx context.Context, _ history.Stamp, on store.NodeID, part ring.Partition, known []storage.Retired) (int, error) {
	return disk{p.world, on}.Prune(ctx, part, known)
}

// entries is one that is retired.
var entries = version.Vector{{Actor: version.Actor{Node: 7, Epoch: 1}, Counter: 3}}

// begin returns the world and the reaper of the first owner of partition 0, whose loop does not run.
func begin(t *testing.T) (*world, *Reaper, []store.NodeID) {
	t.Helper()
	nodes := []store.NodeID{"n1", "n2", "n3", "n4"}
	var members []store.Member
	for _, n := range nodes {
		members = append(members, store.Member{ID: n, Address: string(n) + ":1"})
	}
	l, err := ring.New(ring.Options{Members: members, Partitions: 8, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{h: history.New(l), have: map[store.NodeID]map[store.Key]bool{}, refuse: map[store.NodeID]bool{}}
	owners := l.Owners(0)
	for _, o := range owners {
		w.have[o] = map[store.Key]bool{"a": true, "b": true}
	}
	r, err := Start(Options{Self: owners[0], Placement: w, Keeper: w, Local: disk{w, owners[0]}, Peers: peers{w}, Rand: func(...uint64) uint64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return w, r, owners
}

func TestCollectionTakesItsSteps(t *testing.T) {
	w, r, owners := begin(t)
	w.lacks = owners[1]
	if _, err := r.gather(t.Context()); err != nil || w.h.Newest().Kind != history.Sweep {
		t.Fatalf("%v, newest %s", err, w.h.Newest())
	}
	if err := r.collect(t.Context()); err == nil || len(w.drops) > 0 {
		t.Errorf("a sweep that has not settled: %v, dropped %v", err, w.drops)
	}
	w.settle()
	if w.waits = "2 hints"; owners[0] != "n3" {
		if err := r.collect(t.Context()); err == nil || len(w.drops) > 0 {
			t.Errorf("a member that is not ready: %v, dropped %v", err, w.drops)
		}
	}
	w.waits = ""
	if err := r.collect(t.Context()); err != nil || len(w.drops) > 0 || w.h.Newest().Kind != history.Sweep {
		t.Errorf("all are ready, of which no disk has a note yet: %v, dropped %v, newest %s", err, w.drops, w.h.Newest())
	}
	w.settle()
	if err := r.collect(t.Context()); err != nil {
		t.Error(err)
	}
	// The key that one owner lacked stays, and the first owner is the last to drop.
	want := []string{string(owners[2]) + ": b", string(owners[1]) + ": b", string(owners[0]) + ": b"}
	if !slices.Equal(w.drops, want) {
		t.Errorf("dropped %v, want %v", w.drops, want)
	}
	if s := r.Stats(); s.Confirmed != 1 || s.Collected != 1 {
		t.Errorf("%+v", s)
	}
}

// twice collects with a sweep before and one after all are found to be ready.
func (r *Reaper) twice(t *testing.T, w *world) error {
	t.Helper()
	if err := r.collect(t.Context()); err != nil || len(w.drops) > 0 && len(r.held) == 0 {
		t.Fatalf("%v, dropped %v", err, w.drops)
	}
	w.settle()
	return r.collect(t.Context())
}

// Entries that all owners agree on go from their vectors in the same steps; an actor that one of them may go on with stays.
func TestRetiredActorsArePruned(t *testing.T) {
	w, r, owners := begin(t)
	for _, o := range owners {
		w.have[o] = map[store.Key]bool{"w": true}
	}
	w.keeps = map[store.NodeID]bool{owners[2]: true}
	if _, err := r.gather(t.Context()); err != nil || len(r.held) > 0 || !w.h.Settled() {
		t.Fatalf("%v, held %v", err, r.held)
	}
	w.keeps = nil
	if _, err := r.gather(t.Context()); err != nil || len(r.held) != 1 {
		t.Fatalf("%v, held %v", err, r.held)
	}
	w.settle()
	if err := r.twice(t, w); err != nil {
		t.Error(err)
	}
	want := []string{string(owners[2]) + " prunes w", string(owners[1]) + " prunes w", string(owners[0]) + " prunes w"}
	if !slices.Equal(w.drops, want) || r.Stats().Pruned != 1 {
		t.Errorf("%v, %+v", w.drops, r.Stats())
	}
}

// A plan that has settled ends what was on its way, as a sweep does, and leaves no note by which a disk of the past is known.
func TestAPlanIsNoNoteOfASweep(t *testing.T) {
	plan := func(w *world) {
		t.Helper()
		roles := slices.Clone(w.h.Newest().Layout.Roles())
		roles[3].Address = "elsewhere:1"
		h, err := w.h.Commit(roles[0].ID, w.h.Newest().Number+1, roles)
		if err != nil {
			t.Fatal(err)
		}
		w.h = h
	}
	for _, before := range []bool{true, false} {
		w, r, _ := begin(t)
		if _, err := r.gather(t.Context()); err != nil {
			t.Fatal(err)
		}
		if before { // it overtakes the first sweep
			plan(w)
			w.settle()
		} else { // it comes behind the second
			w.settle()
			if err := r.collect(t.Context()); err != nil {
				t.Fatal(err)
			}
			plan(w)
			w.settle()
		}
		for range 4 {
			swept := w.h.Swept()
			if err := r.collect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(w.drops) > 0 && swept <= r.ready.Number {
				t.Errorf("plan first %t: dropped at sweep %d, all were ready by version %d", before, swept, r.ready.Number)
			}
			w.settle()
		}
		if len(w.drops) == 0 {
			t.Errorf("plan first %t: nothing was dropped", before)
		}
	}
}

// What an owner could not drop is found again: the first owner keeps its tombstone until all others have dropped theirs.
func TestWhatAnOwnerCannotDropIsFoundAgain(t *testing.T) {
	w, r, owners := begin(t)
	w.refuse[owners[1]] = true
	for range 2 {
		if _, err := r.gather(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.settle()
		if err := r.twice(t, w); err == nil || !w.have[owners[0]]["a"] || !w.have[owners[1]]["a"] || w.have[owners[2]]["a"] {
			t.Fatalf("%v, left %v", err, w.have)
		}
		w.have[owners[2]] = map[store.Key]bool{"a": true, "b": true} // as the owners repair it
	}
	w.refuse = nil
	if _, err := r.gather(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if err := r.twice(t, w); err != nil || len(w.have[owners[0]])+len(w.have[owners[1]])+len(w.have[owners[2]]) > 0 {
		t.Errorf("%v, left %v", err, w.have)
	}
}

// Owners that change make what was confirmed worthless: a new one was not asked.
func TestAChangeOfOwnersIsNoSweep(t *testing.T) {
	without := func(h history.History, gone store.NodeID) history.History {
		roles := slices.DeleteFunc(slices.Clone(h.Newest().Layout.Roles()), func(r ring.Role) bool { return r.ID == gone })
		by := roles[0].ID
		h, err := h.Commit(by, h.Newest().Number+1, roles)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	t.Run("afterwards", func(t *testing.T) {
		w, r, owners := begin(t)
		if _, err := r.gather(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.h = without(w.h, owners[2])
		w.settle()
		if err := r.collect(t.Context()); err != nil || len(w.drops) > 0 {
			t.Errorf("%v, dropped %v", err, w.drops)
		}
	})
	t.Run("meanwhile", func(t *testing.T) {
		w, r, owners := begin(t)
		w.during = func() {
			w.during = nil
			w.h = without(w.h, owners[2])
		}
		if _, err := r.gather(t.Context()); err == nil || len(r.held) > 0 {
			t.Errorf("%v, held %v", err, r.held)
		}
	})
}

func TestWrongOptionsAreRefused(t *testing.T) {
	for _, o := range []Options{{}, {Self: "n1", Interval: -1}} {
		if _, err := Start(o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
