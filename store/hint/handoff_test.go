package hint

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
	"cartwheel/store/placement"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// Owners stands for all other nodes: what they hold, and how they are reached.
type owners struct {
	mu       sync.Mutex
	down     map[store.NodeID]bool  // as believed
	cut      map[store.NodeID]bool  // requests are lost
	refuse   map[store.Key]error    // requests are answered with this
	held     map[string]version.Set // by node and key
	under    map[store.NodeID]int
	underMax int
	calls    int
	onMerge  func(to store.NodeID, key store.Key)
	slow     map[store.Key]bool // requests take longer than they may
	owners   []store.NodeID     // of every partition
}

func newOwners() *owners {
	return &owners{
		down: map[store.NodeID]bool{}, cut: map[store.NodeID]bool{}, refuse: map[store.Key]error{},
		held: map[string]version.Set{}, under: map[store.NodeID]int{}, slow: map[store.Key]bool{},
		owners: []store.NodeID{"n1", "n2", "n3"},
	}
}

// history is of a settled layout in which the owners own everything.
func (o *owners) history(t *testing.T) history.History {
	t.Helper()
	var members []store.Member
	for _, n := range o.owners {
		members = append(members, store.Member{ID: n, Address: string(n) + ":1"})
	}
	l, err := ring.New(ring.Options{Members: members, Partitions: 32, Replicas: len(members)})
	if err != nil {
		t.Fatal(err)
	}
	return history.New(l)
}

func (o *owners) Up(n store.NodeID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.down[n]
}

func (o *owners) setUp(n store.NodeID, up bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down[n] = !up
}

func (o *owners) setCut(n store.NodeID, cut bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cut[n] = cut
}

// Merge takes 10ms and waits for the deadline where the link is cut.
func (o *owners) Merge(ctx context.Context, _ history.Stamp, to store.NodeID, key store.Key, hintFor store.NodeID, s version.Set) error {
	o.mu.Lock()
	o.calls++
	o.under[to]++
	o.underMax = max(o.underMax, o.under[to])
	cut, refusal, onMerge := o.cut[to] || o.slow[key], o.refuse[key], o.onMerge
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		o.under[to]--
		o.mu.Unlock()
	}()
	if cut {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(10 * time.Millisecond)
	if refusal != nil {
		return refusal
	}
	if onMerge != nil {
		onMerge(to, key)
	}
	if hintFor != "" {
		return fmt.Errorf("%w: a hint was delivered as a hint", store.ErrInvalid)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	at := string(to) + "/" + string(key)
	o.held[at] = version.Merge(o.held[at], s)
	return nil
}

func (o *owners) has(to store.NodeID, key store.Key, s version.Set) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held[string(to)+"/"+string(key)].Equal(s)
}

func (o *owners) requests() (calls, underMax int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls, o.underMax
}

func named(names ...uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, names)
	return h.Sum64()
}

func openReplica(t *testing.T, fs vfs.FS) *storage.Replica {
	t.Helper()
	r, err := storage.Open(storage.Options{FS: fs, Dir: "node", Rand: named})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// park puts a hint and returns it.
func park(t *testing.T, r *storage.Replica, target store.NodeID, key store.Key) version.Set {
	t.Helper()
	if _, err := r.Put(context.Background(), part(key), key, target, storage.Write{Value: []byte(key)}); err != nil {
		t.Fatal(err)
	}
	hints, err := r.Hints(context.Background(), part(key), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hints {
		if h.Target == target {
			return h.Set
		}
	}
	t.Fatalf("the hint of %q for %s is not there", key, target)
	return version.Set{}
}

func part(key store.Key) ring.Partition { return ring.Partition(len(key)) }

func start(t *testing.T, r *storage.Replica, o *owners) *Handoff {
	t.Helper()
	began := time.Now()
	h, err := Start(Options{
		Self: "n1", Targets: []store.NodeID{"n1", "n2", "n3"}, Hints: r, Peers: o, Detector: o, Rand: named,
		Placement: placement.New(o.history(t)), Now: func() time.Duration { return time.Since(began) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func held(r *storage.Replica) uint64 { return r.Stats().Hints }

func closeAll(t *testing.T, closers ...interface{ Close() error }) {
	t.Helper()
	for _, c := range closers {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestHintsOfAnEarlierLifeAreDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		r := openReplica(t, fs)
		want := map[store.Key]version.Set{}
		for n := range 150 { // more than two pages
			key := store.Key(fmt.Sprint("key", n))
			want[key] = park(t, r, "n2", key)
		}
		closeAll(t, r)
		r = openReplica(t, fs)
		o := newOwners()
		h := start(t, r, o)
		defer closeAll(t, h, r)
		time.Sleep(5 * time.Second)
		if got := held(r); got != 0 {
			t.Errorf("%d hints are left", got)
		}
		for key, s := range want {
			if !o.has("n2", key, s) {
				t.Errorf("n2 does not hold %q", key)
			}
		}
		if s := h.Stats(); s != (Stats{Delivered: 150, AtOnce: 4, AtOnceLimit: 4}) {
			t.Errorf("stats: got %+v, want 150 delivered, four at once", s)
		}
		if calls, under := o.requests(); calls != 150 || under > 4 {
			t.Errorf("%d requests, %d at once, want 150 and at most 4", calls, under)
		}
	})
}

func TestAnOwnerThatIsDownIsLeftAloneAndServedWhenItComesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := openReplica(t, vfs.NewMem()), newOwners()
		o.setUp("n2", false)
		h := start(t, r, o)
		defer closeAll(t, h, r)
		s, other := park(t, r, "n2", "k"), park(t, r, "n3", "k")
		time.Sleep(10 * time.Second)
		if calls, _ := o.requests(); calls != 1 || !o.has("n3", "k", other) || held(r) != 1 {
			t.Errorf("%d requests, %d hints held, want n3 alone to be served", calls, held(r))
		}
		o.setUp("n2", true)
		h.Kick("n2")
		h.Kick("n2")
		h.Kick("n9")                      // unknown: ignored
		time.Sleep(20 * time.Millisecond) // far less than an interval
		if !o.has("n2", "k", s) || held(r) != 0 {
			t.Errorf("after the kick: n2 has it %v, %d hints held", o.has("n2", "k", s), held(r))
		}
	})
}

func TestANodeThatDoesNotAnswerIsNotFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := openReplica(t, vfs.NewMem()), newOwners()
		for n := range 100 {
			park(t, r, "n2", store.Key(fmt.Sprint("key", n)))
		}
		o.setCut("n2", true)
		h := start(t, r, o)
		defer closeAll(t, h, r)
		time.Sleep(time.Second + time.Millisecond)
		if calls, _ := o.requests(); calls != 1 || held(r) != 100 || h.Stats().Failed != 1 {
			t.Errorf("first round: %d requests, %d hints held, %+v, want one request that fails and all hints kept", calls, held(r), h.Stats())
		}
		o.setCut("n2", false)
		time.Sleep(5 * time.Second)
		if held(r) != 0 {
			t.Errorf("after the heal %d hints are left", held(r))
		}
	})
}

// What is merged into a hint while it is under way reaches the owner too.
func TestAHintThatChangesUnderWayIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := openReplica(t, vfs.NewMem()), newOwners()
		park(t, r, "n2", "k")
		var latest version.Set
		var once sync.Once
		o.onMerge = func(to store.NodeID, key store.Key) { once.Do(func() { latest = park(t, r, to, key) }) }
		h := start(t, r, o)
		defer closeAll(t, h, r)
		time.Sleep(100 * time.Millisecond)
		if held(r) != 1 || h.Stats() != (Stats{Delivered: 1, Kept: 1, AtOnce: 1, AtOnceLimit: 4}) {
			t.Errorf("after the first delivery: %d hints held, %+v, want it kept", held(r), h.Stats())
		}
		time.Sleep(time.Second)
		if held(r) != 0 || !o.has("n2", "k", latest) {
			t.Errorf("after the second: %d hints held, n2 has the latest %v", held(r), o.has("n2", "k", latest))
		}
	})
}

func TestAHintThatItsOwnerCannotTakeDoesNotHoldUpTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := openReplica(t, vfs.NewMem()), newOwners()
		park(t, r, "n2", "a") // first in order
		s := park(t, r, "n2", "longer")
		o.refuse["a"] = fmt.Errorf("damaged over there: %w", store.ErrCorrupt)
		h := start(t, r, o)
		defer closeAll(t, h, r)
		time.Sleep(100 * time.Millisecond)
		if !o.has("n2", "longer", s) || held(r) != 1 {
			t.Errorf("n2 has the other %v, %d hints held, want true and the refused one", o.has("n2", "longer", s), held(r))
		}
	})
}

// A hint that takes too long to send, for its size or for what its owner makes of it, costs a round and not
// the hints behind it.
func TestAHintThatIsTooSlowDoesNotHoldUpThoseBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := openReplica(t, vfs.NewMem()), newOwners()
		want := map[store.Key]version.Set{}
		for n := range 10 {
			key := store.Key(fmt.Sprint("key", n))
			want[key] = park(t, r, "n2", key)
		}
		o.slow["key0"], o.slow["key3"] = true, true
		h := start(t, r, o)
		defer closeAll(t, h, r)
		time.Sleep(10 * time.Second)
		for key, s := range want {
			if slow := o.slow[key]; o.has("n2", key, s) == slow {
				t.Errorf("n2 has %q: %v, slow: %v", key, !slow, slow)
			}
		}
		if s := h.Stats(); held(r) != 2 || s.Delivered != 8 || s.SetBack < 2 {
			t.Errorf("%d hints held, %+v, want the two slow ones, and rounds that they ended", held(r), s)
		}
	})
}

// A hint whose target owns the key no more, or is no member, goes to all who own it now. What it
// carries was acknowledged.
func TestAHintForOneThatOwnsTheKeyNoMoreGoesToTheOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := openReplica(t, vfs.NewMem()), newOwners()
		o.owners = []store.NodeID{"n1", "n3"}
		left, gone := park(t, r, "n2", "a member still"), park(t, r, "n9", "unknown")
		o.setCut("n3", true)
		h := start(t, r, o)
		defer closeAll(t, h, r)
		time.Sleep(3 * time.Second)
		if held(r) != 2 || h.Stats().Delivered != 0 {
			t.Errorf("with an owner cut off: %d hints held, %+v, want both kept", held(r), h.Stats())
		}
		o.setCut("n3", false)
		time.Sleep(3 * time.Second)
		for key, s := range map[store.Key]version.Set{"a member still": left, "unknown": gone} {
			own, err := r.Record(t.Context(), part(key), key)
			if err != nil || !own.Equal(s) || !o.has("n3", key, s) || o.has("n2", key, s) || o.has("n9", key, s) {
				t.Errorf("%q: n1 has %v (%v), want it on n1 and n3 alone", key, own, err)
			}
		}
		if s := h.Stats(); held(r) != 0 || s.Rerouted != 2 {
			t.Errorf("%d hints held, %+v, want none, two rerouted", held(r), s)
		}
	})
}

// n4ForN2 begins a change by which n4 takes the place of n2.
func n4ForN2(h history.History) (history.History, error) {
	roles := h.Newest().Layout.Roles()
	n4 := ring.Role{Member: store.Member{ID: "n4", Address: "n4:1"}}
	return h.Commit("n1", 2, []ring.Role{roles[0], roles[2], n4})
}

// While a change is pending that takes the key from the target, the hint is for the owners of the old
// layout and the new: for the target too, because the change may be taken back.
func TestAHintForOneThatIsLeavingGoesToTheOwnersOfBothLayouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := openReplica(t, vfs.NewMem()), newOwners()
		parked := park(t, r, "n2", "k")
		p := placement.New(o.history(t))
		if err := p.Update(n4ForN2); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		h, err := Start(Options{
			Self: "n1", Targets: []store.NodeID{"n2", "n3", "n4"}, Hints: r, Peers: o, Detector: o, Rand: named,
			Placement: p, Now: func() time.Duration { return time.Since(began) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer closeAll(t, h, r)
		o.setCut("n4", true)
		time.Sleep(3 * time.Second)
		if held(r) != 1 {
			t.Error("the hint is gone before the new owner has it")
		}
		o.setCut("n4", false)
		time.Sleep(3 * time.Second)
		if held(r) != 0 || !o.has("n2", "k", parked) || !o.has("n3", "k", parked) || !o.has("n4", "k", parked) {
			t.Errorf("%d hints held, owners hold %v", held(r), o.held)
		}
	})
}

// What is on its way to an owner of the old layout arrives before the node acks the new one: those who copy from that owner
// begin when all have acked, and what came later they would never see.
func TestAChangeWaitsForDeliveriesUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := openReplica(t, vfs.NewMem()), newOwners()
		parked := park(t, r, "n2", "k")
		p := placement.New(o.history(t))
		began := time.Now()
		h, err := Start(Options{
			Self: "n1", Targets: []store.NodeID{"n2", "n3"}, Hints: r, Peers: o, Detector: o, Rand: named,
			Placement: p, Now: func() time.Duration { return time.Since(began) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer closeAll(t, h, r)
		time.Sleep(5 * time.Millisecond) // half of what a delivery takes
		if err := p.Update(n4ForN2); err != nil {
			t.Fatal(err)
		}
		if calls, _ := o.requests(); calls != 1 || o.has("n2", "k", parked) {
			t.Fatalf("%d requests, want one that has not arrived", calls)
		}
		if err := p.WritesEnded(t.Context(), p.Now().Newest()); err != nil {
			t.Fatal(err)
		}
		if !o.has("n2", "k", parked) || h.Stats().Astray != 0 {
			t.Errorf("the new layout was acked with a hint on its way to an owner of the old, %+v", h.Stats())
		}
	})
}

// A hint may go when its owner has it. When that is no owner by the newest layout all must have it who are.
func TestAHintIsOwedToItsTargetOrToTheOwners(t *testing.T) {
	o := newOwners()
	was := o.history(t)
	roles := was.Newest().Layout.Roles()
	n4 := ring.Role{Member: store.Member{ID: "n4", Address: "n4:1"}}
	leaves, err := was.Commit("n1", 2, []ring.Role{roles[0], roles[2], n4})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		h    history.History
		want []store.NodeID
	}{
		{"nothing changes", was, []store.NodeID{"n2"}},
		{"the target leaves", leaves, []store.NodeID{"n1", "n3", "n4"}},
	} {
		if got := slices.Sorted(slices.Values(owed(c.h, storage.Hint{Target: "n2", Key: "k", Partition: 0}))); !slices.Equal(got, c.want) {
			t.Errorf("%s: owed to %v, want %v", c.name, got, c.want)
		}
	}
}

// Who has joined is served by a loop of its own, who has left no more.
func TestTargetsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := openReplica(t, vfs.NewMem()), newOwners()
		h := start(t, r, o)
		defer closeAll(t, r)
		h.Watch([]store.NodeID{"n1", "n3"})
		h.Watch([]store.NodeID{"n1", "n2", "n3"})
		o.setUp("n2", false)
		s := park(t, r, "n2", "k")
		time.Sleep(time.Second)
		o.setUp("n2", true)
		h.Kick("n2")
		synctest.Wait()
		time.Sleep(20 * time.Millisecond)
		if !o.has("n2", "k", s) {
			t.Error("a kick of one that came back was not heard")
		}
		closeAll(t, h)
		h.Watch([]store.NodeID{"n4"}) // harmless
	})
}

func TestCloseEndsADeliveryUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, o := openReplica(t, vfs.NewMem()), newOwners()
		park(t, r, "n2", "k")
		o.setCut("n2", true)
		h := start(t, r, o)
		synctest.Wait()
		began := time.Now()
		closeAll(t, h, h)
		if took := time.Since(began); took > 0 || o.under["n2"] != 0 {
			t.Errorf("close took %v of virtual time, %d deliveries under way", took, o.under["n2"])
		}
		if held(r) != 1 {
			t.Errorf("%d hints held, want the undelivered one", held(r))
		}
		h.Kick("n2") // harmless
		closeAll(t, r)
	})
}

func TestOptionsAreCheckedTogether(t *testing.T) {
	_, err := Start(Options{Batch: -1})
	var joined interface{ Unwrap() []error }
	if !errors.Is(err, store.ErrInvalid) || !errors.As(err, &joined) || len(joined.Unwrap()) != 7 {
		t.Errorf("got %v, want seven problems", err)
	}
}
