package transfer

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// A world is nodes with real disks and nothing but transfers between them: no anti-entropy brings what these forget.
type world struct {
	t       *testing.T
	disks   map[store.NodeID]*storage.Replica
	engines map[store.NodeID][]storage.KV // under the disks: data, hints
	down    map[store.NodeID]bool
	h       history.History // as all know it
	fetched map[store.NodeID]int
	handed  map[store.NodeID]int
}

func (w *world) Now() history.History { return w.h }

// A line is how one node reaches others.
type line struct{ w *world }

func (l line) disk(n store.NodeID) (*storage.Replica, error) {
	if l.w.down[n] {
		return nil, store.ErrDown
	}
	return l.w.disks[n], nil
}

func (l line) TreeNodes(_ context.Context, from store.NodeID, p ring.Partition, groups []int) (out []merkle.Sums, err error) {
	d, err := l.disk(from)
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		return []merkle.Sums{d.TreeGroups(p)}, nil
	}
	for _, g := range groups {
		out = append(out, d.TreeSegments(p, g))
	}
	return out, nil
}

func (l line) TreeLeaves(ctx context.Context, from store.NodeID, p ring.Partition, segments []merkle.Segment, after store.Key, limit int) ([]merkle.Leaf, bool, error) {
	d, err := l.disk(from)
	if err != nil {
		return nil, false, err
	}
	leaves, more, err := d.TreeLeaves(ctx, p, segments[0], after, limit)
	if more || err != nil || len(segments) == 1 || len(leaves) == limit {
		return leaves, more || len(segments) > 1, err
	}
	rest, more, err := l.TreeLeaves(ctx, from, p, segments[1:], "", limit-len(leaves))
	return append(leaves, rest...), more, err
}

// Two records fill an answer.
func (l line) Fetch(ctx context.Context, from store.NodeID, p ring.Partition, keys []store.Key) (out []Fetched, err error) {
	d, err := l.disk(from)
	if err != nil {
		return nil, err
	}
	for _, k := range keys[:min(2, len(keys))] {
		s, err := d.State(ctx, p, k)
		if err != nil {
			return nil, err
		}
		l.w.fetched[from]++
		out = append(out, Fetched{Set: s.Set, Pruned: s.Pruned, SizeBytes: len(s.Set.Encode())})
	}
	return out, nil
}

func (l line) HandOver(ctx context.Context, to store.NodeID, p ring.Partition, states []storage.State) error {
	d, err := l.disk(to)
	if err != nil {
		return err
	}
	l.w.handed[to] += len(states)
	_, err = d.MergeAll(ctx, p, states)
	return err
}

var nodes = []store.NodeID{"n1", "n2", "n3", "n4"}

func roles(ids ...store.NodeID) (out []ring.Role) {
	for _, id := range ids {
		out = append(out, ring.Plain([]store.Member{{ID: id, Address: string(id) + ":1"}})...)
	}
	return out
}

// newWorld is a cluster of n1, n2 and n3 in which n4 is about to take n3's place. All partitions have all members as owners.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, disks: map[store.NodeID]*storage.Replica{}, engines: map[store.NodeID][]storage.KV{}, down: map[store.NodeID]bool{}, fetched: map[store.NodeID]int{}, handed: map[store.NodeID]int{},
	}
	var first []store.Member
	for _, r := range roles(nodes[:3]...) {
		first = append(first, r.Member)
	}
	l, err := ring.New(ring.Options{Members: first, Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	if w.h, err = history.New(l).Commit("n1", 2, roles("n1", "n2", "n4")); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		d, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "d", Self: n, Rand: seeded(n), Wrap: func(kv storage.KV) storage.KV {
			w.engines[n] = append(w.engines[n], kv)
			return kv
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		w.disks[n] = d
	}
	return w
}

func seeded(n store.NodeID) store.Rand {
	return func(names ...uint64) uint64 {
		h := fnv.New64a()
		fmt.Fprint(h, n, names)
		return h.Sum64()
	}
}

// start starts a life of a node's transfers, whose loop does nothing by itself.
func (w *world) start(n store.NodeID) *Transfers {
	w.t.Helper()
	t, err := Start(Options{
		Self: n, Placement: w, Local: w.disks[n], Peers: line{w}, Rand: seeded(n), Interval: time.Hour, Page: 2, Batch: 3,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := t.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return t
}

func (w *world) part(key store.Key) ring.Partition { return w.h.Newest().Layout.Partition(key) }

func (w *world) put(n store.NodeID, key store.Key, hintFor store.NodeID) {
	w.t.Helper()
	if _, err := w.disks[n].Put(w.t.Context(), w.part(key), key, hintFor, storage.Write{Value: []byte(n)}); err != nil {
		w.t.Fatal(err)
	}
}

// holds returns what a node has of a key, by the names of those who wrote it.
func (w *world) holds(n store.NodeID, key store.Key) (out []string) {
	w.t.Helper()
	set, err := w.disks[n].Record(w.t.Context(), w.part(key), key)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range set.Siblings() {
		out = append(out, string(s.Value))
	}
	slices.Sort(out)
	return out
}

func keys(prefix string, count int) (out []store.Key) {
	for i := range count {
		out = append(out, store.Key(fmt.Sprint(prefix, i)))
	}
	return out
}

func (w *world) settle() {
	for range 3 {
		for _, n := range w.h.Waits() {
			next := w.h.Next(n)
			w.h = w.h.Acked(n, next.Ack).Synced(n, next.Sync).SyncAcked(n, next.SyncAck)
		}
	}
	if !w.h.Settled() {
		w.t.Fatal("not settled")
	}
}

// Each old owner is the only one to have some writes, and the new one has some already.
func TestACopyHasWhatAnyOldOwnerHas(t *testing.T) {
	w := newWorld(t)
	for _, n := range nodes {
		for _, k := range append(keys("of "+string(n)+" ", 20), keys("of all ", 20)...) {
			w.put(n, k, "")
		}
	}
	w.down["n3"] = true
	n4, v := w.start("n4"), w.h.Newest()
	if err := n4.Sync(t.Context(), w.h, v); err == nil {
		t.Fatal("synced without one of the old owners")
	}
	before := w.fetched["n1"] + w.fetched["n2"]
	if before == 0 {
		t.Fatal("the others were not asked")
	}
	w.down["n3"] = false
	if err := n4.Sync(t.Context(), w.h, v); err != nil {
		t.Fatal(err)
	}
	if again := w.fetched["n1"] + w.fetched["n2"]; again != before {
		t.Errorf("%d records were fetched once more", again-before)
	}
	for _, n := range nodes {
		for _, k := range keys("of "+string(n)+" ", 20) {
			if got := w.holds("n4", k); !slices.Equal(got, []string{string(n)}) {
				t.Fatalf("%q: got %q", k, got)
			}
		}
	}
	for _, k := range keys("of all ", 20) {
		if got := w.holds("n4", k); !slices.Equal(got, []string{"n1", "n2", "n3", "n4"}) {
			t.Fatalf("%q: got %q, want all siblings", k, got)
		}
	}
	// Another life finds by the trees what is there. Only keys of which n4 has more are looked at again.
	clear(w.fetched)
	if err := w.start("n4").Sync(t.Context(), w.h, v); err != nil {
		t.Fatal(err)
	}
	if got := w.fetched["n1"] + w.fetched["n2"] + w.fetched["n3"]; got != 60 {
		t.Errorf("a restart fetched %d records, want the 20 that differ from each of three", got)
	}
}

// What the old owners have pruned from a vector the new one is told.
func TestANewOwnerIsToldWhatWasPruned(t *testing.T) {
	w := newWorld(t)
	w.put("n1", "k", "")
	set, err := w.disks["n1"].Record(t.Context(), w.part("k"), "k")
	if err != nil {
		t.Fatal(err)
	}
	state := storage.State{Key: "k", Set: set, Pruned: version.Vector{{Actor: version.Actor{Node: 7, Epoch: 1}, Counter: 3}}}
	for _, n := range nodes[:3] {
		if _, err := w.disks[n].MergeAll(t.Context(), w.part("k"), []storage.State{state}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.start("n4").Sync(t.Context(), w.h, w.h.Newest()); err != nil {
		t.Fatal(err)
	}
	if got, err := w.disks["n4"].State(t.Context(), w.part("k"), "k"); err != nil || !got.Pruned.Equal(state.Pruned) || !got.Set.Equal(set) {
		t.Errorf("got %v, %v, want %v", got, err, state)
	}
}

func TestANodeThatWasRemovedByForceIsNotAsked(t *testing.T) {
	w := newWorld(t)
	w.put("n1", "k", "")
	h, err := w.h.ForceRemove("n1", 3, "n3")
	if err != nil {
		t.Fatal(err)
	}
	w.h, w.down["n3"] = h, true
	if err := w.start("n4").Sync(t.Context(), h, h.Newest()); err != nil || len(w.holds("n4", "k")) != 1 {
		t.Errorf("got %q, %v", w.holds("n4", "k"), err)
	}
}

// A late hint has brought the leaving node writes that nobody else has.
func TestWhoLeavesHandsOverWhatArrivedLate(t *testing.T) {
	w := newWorld(t)
	for _, k := range keys("late ", 10) {
		w.put("n3", k, "")
	}
	w.put("n3", "hinted", "n1")
	n3, v := w.start("n3"), w.h.Newest()
	if err := n3.HandOver(t.Context(), w.h, v); err == nil {
		t.Error("it may leave with a hint")
	}
	hints, _, err := w.disks["n3"].NextHints(t.Context(), "n1", nil, 10)
	if err != nil || len(hints) != 1 {
		t.Fatalf("%d hints, %v", len(hints), err)
	}
	if _, err := w.disks["n3"].DropHint(t.Context(), hints[0]); err != nil {
		t.Fatal(err)
	}
	if err := n3.HandOver(t.Context(), w.h, v); err != nil {
		t.Fatal(err)
	}
	for _, n := range []store.NodeID{"n1", "n2", "n4"} {
		for _, k := range keys("late ", 10) {
			if got := w.holds(n, k); !slices.Equal(got, []string{"n3"}) {
				t.Fatalf("%s, %q: got %q", n, k, got)
			}
		}
	}
}

// damage makes a node's record of a key unreadable.
func (w *world) damage(n store.NodeID, key store.Key) {
	w.t.Helper()
	data, damaged := w.engines[n][0], 0
	var b storage.Batch
	if err := data.Scan([]byte("d/"), []byte("d0"), func(at, value []byte) bool {
		if bytes.HasSuffix(at, []byte(key)) {
			b.Set(bytes.Clone(at), append([]byte{^value[0]}, value[1:]...))
			damaged++
		}
		return true
	}); err != nil || damaged != 1 {
		w.t.Fatal(damaged, err)
	}
	if err := data.Apply(&b, true); err != nil {
		w.t.Fatal(err)
	}
}

// An aborted change leaves records with a node that never came to own them.
func TestRecordsAreDroppedOnceAllOwnersHaveThem(t *testing.T) {
	w := newWorld(t)
	for _, k := range keys("copied ", 20) {
		w.put("n1", k, "")
	}
	for _, k := range keys("only here ", 20) {
		w.put("n4", k, "")
	}
	n4 := w.start("n4")
	if err := n4.Sync(t.Context(), w.h, w.h.Newest()); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.h, err = w.h.Abort("n1", 3); err != nil {
		t.Fatal(err)
	}
	if err := n4.clear(t.Context()); err != nil || len(w.holds("n4", "copied 0")) == 0 {
		t.Fatalf("dropped while the change is pending, %v", err)
	}
	w.settle()
	w.down["n2"] = true
	if err := n4.clear(t.Context()); err == nil || len(w.holds("n4", "only here 0")) == 0 {
		t.Fatalf("dropped what an owner may lack, %v", err)
	}
	w.down["n2"] = false
	w.damage("n4", "copied 7") // which no owner restores for it
	for range 2 {              // the first round finds it out
		if err := n4.clear(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if held := n4.Foreign(); len(held) > 0 || n4.Stats().Dropped != 39 {
		t.Errorf("still held: %+v, %+v", held, n4.Stats())
	}
	for _, n := range nodes[:3] {
		for _, k := range append(keys("copied ", 20), keys("only here ", 20)...) {
			if len(w.holds(n, k)) != 1 && !(k == "copied 7" && n != "n1") { // n1 had it first, and n4 could tell nobody
				t.Fatalf("%s has lost %q", n, k)
			}
		}
	}
}

// Nobody takes hints from a node that was removed, so it hands them on as states.
func TestARemovedNodeHandsItsHintsOn(t *testing.T) {
	w := newWorld(t)
	w.settle()
	for _, k := range keys("hint ", 7) {
		w.put("n3", k, "n1")
	}
	n3 := w.start("n3")
	w.down["n2"] = true
	if err := n3.clear(t.Context()); err == nil {
		t.Fatal("an owner was passed over")
	}
	w.down["n2"] = false
	if err := n3.clear(t.Context()); err != nil || w.disks["n3"].Stats().Hints > 0 {
		t.Fatalf("%d hints are left, %v", w.disks["n3"].Stats().Hints, err)
	}
	for _, n := range []store.NodeID{"n1", "n2", "n4"} {
		if got := w.holds(n, "hint 6"); !slices.Equal(got, []string{"n3"}) {
			t.Errorf("%s: got %q", n, got)
		}
	}
}
