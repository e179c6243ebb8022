package repair

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/placement"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// A network is replicas that reach each other, save those that are cut off.
type network struct {
	t        testing.TB
	layout   *ring.Layout
	replicas map[store.NodeID]*storage.Replica
	began    time.Time
	takes    time.Duration // of each call

	mu     sync.Mutex
	down   map[store.NodeID]bool // as believed by all
	cut    map[store.NodeID]bool
	asked  []store.NodeID // in each comparison
	at     time.Duration  // of the last of these
	listed int            // pages of leaves
	bad    map[store.Key]error
	slow   map[store.Key]bool         // sending it takes longer than a request may
	rots   map[store.NodeID]store.Key // what goes bad on a disk
	keys   int                        // mended in a round; 0: the default
}

func newNetwork(t testing.TB, nodes int) *network {
	t.Helper()
	w := &network{
		t: t, replicas: map[store.NodeID]*storage.Replica{}, began: time.Now(), takes: 5 * time.Millisecond,
		down: map[store.NodeID]bool{}, cut: map[store.NodeID]bool{}, bad: map[store.Key]error{}, slow: map[store.Key]bool{},
	}
	var members []store.Member
	for i := range nodes {
		id := store.NodeID(fmt.Sprint("n", i+1))
		members = append(members, store.Member{ID: id})
		r, err := storage.Open(storage.Options{
			FS: vfs.NewMem(), Dir: "node", Self: id, Rand: named,
			Wrap: func(kv storage.KV) storage.KV { return &rotten{KV: kv, w: w, on: id} },
		})
		if err != nil {
			t.Fatal(err)
		}
		w.replicas[id] = r
	}
	var err error
	if w.layout, err = ring.New(ring.Options{Members: members, Partitions: 16}); err != nil {
		t.Fatal(err)
	}
	return w
}

func named(names ...uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, names)
	return h.Sum64()
}

func (w *network) now() time.Duration { return time.Since(w.began) }

func (w *network) start(self store.NodeID) *AntiEntropy {
	w.t.Helper()
	a, err := Start(Options{
		Self: self, Placement: placement.New(history.New(w.layout)), Local: w.replicas[self], Peers: caller{w, self}, Detector: w,
		Rand: named, Now: w.now, Page: 3, Keys: w.keys,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *network) close() {
	for _, r := range w.replicas {
		if err := r.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

func (w *network) Up(n store.NodeID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.down[n]
}

func (w *network) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *network) reach(ctx context.Context, n store.NodeID) error {
	w.mu.Lock()
	cut := w.cut[n]
	w.mu.Unlock()
	if cut {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(w.takes)
	return nil
}

// put writes on one node alone.
func (w *network) put(on store.NodeID, key store.Key, hintFor store.NodeID) version.Set {
	w.t.Helper()
	s, err := w.replicas[on].Put(context.Background(), w.layout.Partition(key), key, hintFor, storage.Write{Value: []byte(on)})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *network) record(on store.NodeID, key store.Key) version.Set {
	w.t.Helper()
	s, err := w.replicas[on].Record(context.Background(), w.layout.Partition(key), key)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// key returns the i-th key that all the nodes own.
func (w *network) key(i int, nodes ...store.NodeID) store.Key {
	for n := 0; ; n++ {
		key := store.Key(fmt.Sprint("key", n))
		p := w.layout.Partition(key)
		if !slices.ContainsFunc(nodes, func(id store.NodeID) bool { return !w.layout.Owns(id, p) }) {
			if i--; i < 0 {
				return key
			}
		}
	}
}

// A caller is the network as one node sees it.
type caller struct {
	w    *network
	self store.NodeID
}

func (c caller) TreeRoots(ctx context.Context, from store.NodeID, sum merkle.Sum) (bool, []merkle.Root, error) {
	c.w.set(func() { c.w.asked, c.w.at = append(c.w.asked, from), c.w.now() })
	if err := c.w.reach(ctx, from); err != nil {
		return false, nil, err
	}
	both := func(p ring.Partition) bool { return c.w.layout.Owns(c.self, p) && c.w.layout.Owns(from, p) }
	roots := c.w.replicas[from].TreeRoots(both)
	return merkle.SumRoots(roots) == sum, roots, nil
}

func (c caller) TreeNodes(ctx context.Context, from store.NodeID, p ring.Partition, groups []int) ([]merkle.Sums, error) {
	if err := c.w.reach(ctx, from); err != nil {
		return nil, err
	}
	if groups == nil {
		return []merkle.Sums{c.w.replicas[from].TreeGroups(p)}, nil
	}
	var out []merkle.Sums
	for _, g := range groups {
		out = append(out, c.w.replicas[from].TreeSegments(p, g))
	}
	return out, nil
}

// TreeLeaves lists leaves as package transport does.
func (c caller) TreeLeaves(ctx context.Context, from store.NodeID, p ring.Partition, segments []merkle.Segment, after store.Key, limit int) (all []merkle.Leaf, more bool, err error) {
	if err := c.w.reach(ctx, from); err != nil {
		return nil, false, err
	}
	c.w.set(func() { c.w.listed++ })
	for i, seg := range segments {
		if i > 0 {
			after = ""
		}
		if len(all) == limit {
			return all, true, nil
		}
		var page []merkle.Leaf
		if page, more, err = c.w.replicas[from].TreeLeaves(ctx, p, seg, after, limit-len(all)); err != nil || more {
			return append(all, page...), more, err
		}
		all = append(all, page...)
	}
	return all, false, nil
}

func (c caller) Get(ctx context.Context, _ history.Stamp, from store.NodeID, key store.Key) (version.Set, error) {
	if err := c.w.reach(ctx, from); err != nil {
		return version.Set{}, err
	}
	return c.w.replicas[from].Get(ctx, c.w.layout.Partition(key), key)
}

func (c caller) Merge(ctx context.Context, _ history.Stamp, to store.NodeID, key store.Key, hintFor store.NodeID, s version.Set) error {
	if err := c.w.reach(ctx, to); err != nil {
		return err
	}
	c.w.mu.Lock()
	err, slow := c.w.bad[key], c.w.slow[key]
	c.w.mu.Unlock()
	if slow {
		<-ctx.Done()
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	_, err = c.w.replicas[to].Merge(ctx, c.w.layout.Partition(key), key, hintFor, s)
	return err
}

func closeAll(t *testing.T, closers ...*AntiEntropy) {
	t.Helper()
	for _, c := range closers {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOwnersThatDifferBecomeEqual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 5)
		defer w.close()
		var keys []store.Key
		for n := range 60 {
			key := store.Key(fmt.Sprint("key", n))
			keys = append(keys, key)
			for i, owner := range w.layout.Owners(w.layout.Partition(key)) {
				if n%7>>i&1 == 1 { // on none, some or all owners, each with a version of its own
					w.put(owner, key, "")
				}
			}
		}
		var all []*AntiEntropy
		for _, m := range w.layout.Members() {
			all = append(all, w.start(m.ID))
		}
		time.Sleep(time.Minute)
		differences, repaired := 0, uint64(0)
		for _, key := range keys {
			owners := w.layout.Owners(w.layout.Partition(key))
			for _, n := range owners {
				if !w.record(n, key).Equal(w.record(owners[0], key)) {
					differences++
				}
			}
		}
		for _, a := range all {
			s := a.Stats()
			repaired += s.Repaired
			if s.Rounds < 20 || s.Compared == 0 || s.Broken != 0 || len(a.Clean()) != 4 {
				t.Errorf("stats: got %+v, clean with %v, want whole rounds, clean with all four", s, a.Clean())
			}
		}
		if differences > 0 || repaired == 0 {
			t.Errorf("%d records differ, %d were mended, want 0 and some", differences, repaired)
		}
		closeAll(t, all...)
	})
}

// Clean is what a harness waits for: a comparison that began after the moment and found nothing.
func TestOnlyARoundWithoutADifferenceIsClean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 3)
		defer w.close()
		w.set(func() { w.down["n3"] = true })
		key := w.key(0, "n1", "n2")
		w.put("n1", key, "")
		a := w.start("n1")
		defer closeAll(t, a)
		time.Sleep(2900 * time.Millisecond) // one round
		if _, ok := a.LastClean("n2"); ok || a.Stats().Repaired != 1 || a.Stats().Rounds != 1 {
			t.Fatalf("after a round that mended: clean %v, %+v, want not clean", ok, a.Stats())
		}
		time.Sleep(3 * time.Second)
		first, ok := a.LastClean("n2")
		if !ok || first != w.at {
			t.Fatalf("after the next: clean as of %v, %v, want the start of that round, %v", first, ok, w.at)
		}
		w.set(func() { w.cut["n2"] = true })
		time.Sleep(10 * time.Second)
		if again, _ := a.LastClean("n2"); again-first > 3*time.Second || a.Stats().Broken == 0 {
			t.Errorf("with n2 cut off: clean at %v after %v, %d rounds broken off", again, first, a.Stats().Broken)
		}
		w.set(func() { w.cut["n2"] = false })
		healed := w.now()
		time.Sleep(10 * time.Second)
		if again, _ := a.LastClean("n2"); again < healed {
			t.Errorf("after the heal at %v: clean at %v, want later", healed, again)
		}
		if _, ok := a.LastClean("n3"); ok || len(a.Clean()) != 1 {
			t.Errorf("n3, which was never met, is clean: %v", a.Clean())
		}
	})
}

func TestPeersTakeTurnsAndThoseDownArePassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 5)
		defer w.close()
		w.set(func() { w.down["n4"] = true })
		a := w.start("n1")
		time.Sleep(40 * time.Second)
		closeAll(t, a)
		if len(w.asked) < 12 {
			t.Fatalf("%d rounds in 40s, want at least 12", len(w.asked))
		}
		for i := 0; i+3 <= len(w.asked); i += 3 {
			cycle := slices.Sorted(slices.Values(w.asked[i : i+3]))
			if !slices.Equal(cycle, []store.NodeID{"n2", "n3", "n5"}) {
				t.Errorf("cycle %d asked %v, want n2, n3 and n5 once each", i/3, w.asked[i:i+3])
			}
		}
	})
}

// A peer answers a fetch with its hints too. That it showed a state does not mean that its own
// record has it, and the record is what has to become equal.
func TestAPeersHintsDoNotPassForItsRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 3)
		defer w.close()
		w.set(func() { w.down["n3"] = true })
		key := w.key(0, "n1", "n2")
		w.put("n2", key, "")
		w.put("n2", key, "n1")
		a := w.start("n1")
		defer closeAll(t, a)
		time.Sleep(2900 * time.Millisecond)
		if mine, theirs := w.record("n1", key), w.record("n2", key); len(mine.Versions) != 2 || !mine.Equal(theirs) {
			t.Errorf("n1 holds %v, n2 %v, want both writes on both", mine, theirs)
		}
	})
}

func TestAKeyThatCannotBeMendedDoesNotHoldUpTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 3)
		defer w.close()
		w.set(func() { w.down["n3"] = true })
		var keys []store.Key
		for i := range 10 {
			keys = append(keys, w.key(i, "n1", "n2"))
			w.put("n1", keys[i], "")
		}
		w.set(func() { w.bad[keys[0]] = fmt.Errorf("damaged over there: %w", store.ErrCorrupt) })
		a := w.start("n1")
		defer closeAll(t, a)
		time.Sleep(10 * time.Second)
		for _, key := range keys[1:] {
			if !w.record("n2", key).Equal(w.record("n1", key)) {
				t.Errorf("%q was not mended", key)
			}
		}
		if _, ok := a.LastClean("n2"); ok || a.Stats().Repaired != 9 {
			t.Errorf("clean %v, %+v, want never clean and nine mended", ok, a.Stats())
		}
	})
}

// A key that takes too long to send ends a round, but not each round at the same place.
func TestAKeyThatIsTooSlowDoesNotHoldUpThoseBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 3)
		defer w.close()
		var keys []store.Key
		for i := range 40 {
			keys = append(keys, w.key(i, "n1", "n2"))
			w.put("n1", keys[i], "")
		}
		w.set(func() { w.down["n3"], w.slow[keys[7]], w.slow[keys[8]] = true, true, true })
		a := w.start("n1")
		defer closeAll(t, a)
		time.Sleep(15 * time.Second) // some four rounds of up to 2.5s and a timeout
		for i, key := range keys {
			if slow, mended := i == 7 || i == 8, w.record("n2", key).Equal(w.record("n1", key)); mended == slow {
				t.Errorf("key %d: mended %v, slow %v", i, mended, slow)
			}
		}
		if _, ok := a.LastClean("n2"); ok || a.Stats().Broken < 2 {
			t.Errorf("clean %v, %+v, want never clean, and rounds that broke off", ok, a.Stats())
		}
		w.set(func() { clear(w.slow) })
		time.Sleep(15 * time.Second)
		if _, ok := a.LastClean("n2"); !ok {
			t.Errorf("not clean after the keys became quick: %+v", a.Stats())
		}
	})
}

// A round mends so many keys and no more; the next goes on, and in the end all is equal.
func TestARoundMendsALimitedNumberOfKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 3)
		defer w.close()
		w.set(func() { w.down["n3"], w.keys = true, 4 })
		for i := range 18 {
			w.put("n1", w.key(i, "n1", "n2"), "")
		}
		a := w.start("n1")
		defer closeAll(t, a)
		for round := uint64(1); round <= 4; round++ {
			for a.Stats().Rounds < round {
				time.Sleep(10 * time.Millisecond)
			}
			if s := a.Stats(); s.Repaired != 4*round || s.Capped != round {
				t.Fatalf("after round %d: %+v, want four keys a round", round, s)
			}
		}
		time.Sleep(10 * time.Second)
		if _, ok := a.LastClean("n2"); !ok || a.Stats().Repaired != 18 {
			t.Errorf("clean %v, %+v, want all 18 mended", ok, a.Stats())
		}
	})
}

// Owners that are equal exchange one sum a round and list nothing.
func TestEqualOwnersListNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 3)
		defer w.close()
		for i := range 50 {
			key := w.key(i, "n1", "n2", "n3")
			s := w.put("n1", key, "")
			for _, n := range []store.NodeID{"n2", "n3"} {
				if _, err := w.replicas[n].Merge(t.Context(), w.layout.Partition(key), key, "", s); err != nil {
					t.Fatal(err)
				}
			}
		}
		a := w.start("n1")
		defer closeAll(t, a)
		time.Sleep(20 * time.Second)
		if s := a.Stats(); s.Rounds < 6 || s.Compared != 0 || len(a.Clean()) != 2 || w.listed > 0 {
			t.Errorf("%+v, clean with %v, %d lists of leaves, want rounds that list nothing", s, a.Clean(), w.listed)
		}
	})
}

func TestCloseEndsARoundUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 3)
		defer w.close()
		w.set(func() { w.cut["n2"], w.cut["n3"] = true, true })
		a := w.start("n1")
		time.Sleep(2600 * time.Millisecond) // a request is out
		began := time.Now()
		closeAll(t, a, a)
		if took := time.Since(began); took > 0 || len(w.asked) == 0 {
			t.Errorf("close took %v of virtual time after %d requests", took, len(w.asked))
		}
	})
}

func TestOptionsAreCheckedTogether(t *testing.T) {
	_, err := Start(Options{})
	var joined interface{ Unwrap() []error }
	if !errors.Is(err, store.ErrInvalid) || !errors.As(err, &joined) || len(joined.Unwrap()) != 6 {
		t.Errorf("got %v, want six problems", err)
	}
}
