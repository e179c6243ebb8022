package reap

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// A fleet is four nodes with real disks, three of which own a key, beside what each would hold had nothing ever been pruned. Clients,
// messages, hints, crashes and the steps of a collection come in any order.
type fleet struct {
	*rand.Rand
	t         *testing.T
	h         history.History
	nodes     []store.NodeID // the owners, the one that collects first, and a stand-in
	disks     map[store.NodeID]*vfs.MemFS
	on        map[store.NodeID]*machine
	clear     map[place]version.Set // what was never pruned
	flight    []message
	seen      []version.Vector // contexts that clients hold
	reaper    *Reaper
	unasked   bool // every owner prunes by itself
	impatient bool // hints are not waited for, though they stay
	puts      int
	wrong     string // the first difference that was found
}

// A machine is a node's disk, whoever opened it last.
type machine struct{ *storage.Replica }

// A place is a record: of the node itself, or the hint that it holds for another.
type place struct{ node, hintFor store.NodeID }

// A message is a state on its way, and what it would be.
type message struct {
	to         place
	set, clear version.Set
	at         uint64 // the version of the layout by which it was sent
}

const pruneKey = store.Key("k")

func newFleet(t *testing.T, seed uint64) *fleet {
	t.Helper()
	f := &fleet{
		Rand: rand.New(rand.NewPCG(seed, 0)), t: t,
		disks: map[store.NodeID]*vfs.MemFS{}, on: map[store.NodeID]*machine{}, clear: map[place]version.Set{},
	}
	var members []store.Member
	for _, n := range []store.NodeID{"n1", "n2", "n3", "n4"} {
		members = append(members, store.Member{ID: n, Address: string(n) + ":1"})
	}
	l, err := ring.New(ring.Options{Members: members, Partitions: 1, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	f.h, f.nodes = history.New(l), l.PreferenceList(0)
	for _, n := range f.nodes {
		f.disks[n], f.on[n] = vfs.NewCrashableMem(), &machine{}
		f.open(n, 0)
	}
	f.reaper, err = Start(Options{
		Self: f.nodes[0], Placement: f, Keeper: f, Local: f.on[f.nodes[0]], Peers: wires{nil, f},
		Clock: tomorrow{}, Rand: func(...uint64) uint64 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

type tomorrow struct{}

func (tomorrow) Now() time.Time { return time.Unix(86400, 0) }

type today struct{}

func (today) Now() time.Time { return time.Unix(0, 0) }

func (f *fleet) open(n store.NodeID, life uint64) {
	r, err := storage.Open(storage.Options{FS: f.disks[n], Dir: "d", Self: n, Clock: today{}, Rand: func(names ...uint64) uint64 {
		h := fnv.New64a()
		fmt.Fprint(h, n, life, names)
		return h.Sum64()
	}})
	if err != nil {
		f.t.Fatal(err)
	}
	f.on[n].Replica = r
}

func (f *fleet) close() {
	for _, n := range f.nodes {
		if f.on[n].Stats().Amnesia > 0 {
			f.t.Errorf("%s takes itself for one that has forgotten", n)
		}
		f.must(f.on[n].Close())
	}
	f.must(f.reaper.Close())
}

func (f *fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) Now() history.History                              { return f.h }
func (f *fleet) JoinsEnded(context.Context, history.Version) error { return nil }

func (f *fleet) Change(_ context.Context, change func(history.History) (history.History, error)) (history.History, error) {
	h, err := change(f.h)
	if err == nil {
		f.h = h
	}
	return h, err
}

// wires reach the disks of the others. Nothing is ever deleted.
type wires struct {
	Peers
	*fleet
}

func (w wires) ConfirmRetired(ctx context.Context, _ history.Stamp, of store.NodeID, p ring.Partition, asked []storage.Retired) ([]storage.Retired, error) {
	return w.on[of].ConfirmRetired(ctx, p, asked)
}

func (w wires) Prune(ctx context.Context, _ history.Stamp, on store.NodeID, p ring.Partition, known []storage.Retired) (int, error) {
	if w.IntN(4) == 0 {
		return 0, errors.New("lost")
	}
	return w.on[on].Prune(ctx, p, known)
}

func (w wires) Ready(_ context.Context, _ history.Stamp, is store.NodeID) (string, error) {
	if w.on[is].HintsHeld() > 0 && !w.impatient {
		return "hints", nil
	}
	return "", nil
}

// record returns what is stored in a place.
func (f *fleet) record(at place) (s version.Set) {
	f.t.Helper()
	if at.hintFor == "" {
		s, err := f.on[at.node].Record(f.t.Context(), 0, pruneKey)
		f.must(err)
		return s
	}
	hints, err := f.on[at.node].Hints(f.t.Context(), 0, pruneKey)
	f.must(err)
	for _, h := range hints {
		if h.Target == at.hintFor {
			return h.Set
		}
	}
	return version.Set{}
}

func (f *fleet) merge(to place, set, clear version.Set) {
	_, err := f.on[to.node].Merge(f.t.Context(), 0, pruneKey, to.hintFor, set)
	f.must(err)
	f.clear[to] = version.Merge(f.clear[to], clear)
}

// put is a client's write: mostly of one who has read all, sometimes of one who has not, or long ago.
func (f *fleet) put() {
	at := place{node: f.nodes[f.IntN(3)]}
	if f.IntN(4) == 0 {
		at = place{node: f.nodes[3], hintFor: at.node}
	}
	var past version.Vector
	switch n := f.IntN(8); {
	case n > 2:
		past = f.clear[at].Vector
		if n > 5 {
			past = f.record(at).Vector
		}
	case n > 0 && len(f.seen) > 0:
		past = f.seen[f.IntN(len(f.seen))]
	}
	f.puts++
	id := store.WriteID{byte(f.puts), byte(f.puts >> 8), 1}
	_, err := f.on[at.node].Put(f.t.Context(), 0, pruneKey, at.hintFor, storage.Write{Past: past, Value: []byte("v"), WriteID: id})
	if errors.Is(err, store.ErrSiblings) {
		return
	}
	f.must(err)
	now := f.record(at)
	i := slices.IndexFunc(now.Versions, func(v version.Version) bool { return v.WriteID == id })
	f.clear[at] = f.clear[at].Put(past, now.Versions[i])
	for _, o := range f.nodes[:3] {
		to := place{node: o}
		if f.IntN(4) == 0 && at.hintFor == "" {
			to = place{f.nodes[3], o}
		}
		if o != at.node && o != at.hintFor {
			f.flight = append(f.flight, message{to, now, f.clear[at], f.h.Newest().Number})
		}
	}
}

func (f *fleet) act() {
	a, b := f.nodes[f.IntN(3)], f.nodes[f.IntN(3)]
	switch n := f.IntN(20); {
	case n < 5:
		f.put()
	case n < 9 && len(f.flight) > 0:
		i := f.IntN(len(f.flight))
		if m := f.flight[i]; f.IntN(4) > 0 {
			f.merge(m.to, m.set, m.clear)
		}
		f.flight = slices.Delete(f.flight, i, i+1)
	case n < 11: // anti-entropy
		if s := f.record(place{node: a}); !s.IsZero() {
			f.merge(place{node: b}, s, f.clear[place{node: a}])
		}
	case n == 11 && !f.impatient: // a hint is delivered
		hints, err := f.on[f.nodes[3]].Hints(f.t.Context(), 0, pruneKey)
		f.must(err)
		for _, h := range hints {
			at := place{f.nodes[3], h.Target}
			f.merge(place{node: h.Target}, h.Set, f.clear[at])
			_, err := f.on[f.nodes[3]].DropHint(f.t.Context(), h)
			f.must(err)
			delete(f.clear, at) // nothing else was joined into it
		}
	case n == 12:
		n := f.nodes[f.IntN(4)]
		f.disks[n] = f.disks[n].CrashClone(vfs.CrashCloneCfg{})
		f.must(f.on[n].Close())
		f.open(n, uint64(f.puts))
	case n == 13:
		f.read(a, b)
	default:
		f.collect()
	}
}

// read is a client's, of two owners and perhaps the stand-in.
func (f *fleet) read(a, b store.NodeID) {
	var got, want version.Set
	for _, n := range []store.NodeID{a, b, f.nodes[3-f.IntN(2)]} {
		s, err := f.on[n].Get(f.t.Context(), 0, pruneKey)
		f.must(err)
		got = version.Merge(got, s)
		for at, c := range f.clear {
			if at.node == n {
				want = version.Merge(want, c)
			}
		}
	}
	f.compare("a read", got, want)
	f.seen = append(f.seen, got.Vector)
}

// collect takes the next step of a collection.
func (f *fleet) collect() {
	if f.unasked {
		n := f.nodes[f.IntN(3)]
		found, _, err := f.on[n].Retired(f.t.Context(), 0, 3, "", 10)
		f.must(err)
		_, err = f.on[n].Prune(f.t.Context(), 0, found)
		f.must(err)
		return
	}
	switch {
	case !f.h.Settled(): // what was sent before has come, or is refused
		for range 3 {
			for _, n := range f.h.Waits() {
				next := f.h.Next(n)
				f.h = f.h.Acked(n, next.Ack).Synced(n, next.Sync).SyncAcked(n, next.SyncAck)
			}
		}
		f.flight = slices.DeleteFunc(f.flight, func(m message) bool { return m.at < f.h.Oldest().Number })
	case len(f.reaper.held) == 0:
		_, err := f.reaper.gather(f.t.Context())
		f.must(err)
	default:
		_ = f.reaper.collect(f.t.Context()) // what waits, or is lost, is tried again
	}
}

func (f *fleet) compare(what string, got, want version.Set) {
	if !slices.Equal(dots(got), dots(want)) {
		f.differs("%s shows %v of %v, had nothing been pruned %v of %v", what, dots(got), got.Vector, dots(want), want.Vector)
	}
	if !want.Vector.Includes(got.Vector) {
		f.differs("%s claims %v, had nothing been pruned %v", what, got.Vector, want.Vector)
	}
}

func (f *fleet) differs(format string, args ...any) {
	if f.wrong == "" {
		f.wrong = fmt.Sprintf(format, args...)
	}
}

func dots(s version.Set) (out []version.Dot) {
	for _, v := range s.Versions {
		out = append(out, v.Dot)
	}
	return out
}

// check compares every record with what it would be, and asks for all that clients have ever seen.
func (f *fleet) check() {
	f.t.Helper()
	var recalled, clear version.Vector
	for at, want := range f.clear {
		f.compare(fmt.Sprintf("%s for %q", at.node, at.hintFor), f.record(at), want)
	}
	for _, o := range f.nodes[:3] {
		s, err := f.on[o].Recall(f.t.Context(), 0, pruneKey)
		f.must(err)
		recalled, clear = recalled.Join(s.Vector), clear.Join(f.clear[place{node: o}].Vector)
	}
	for _, floor := range f.seen {
		if got, want := recalled.Includes(floor), clear.Includes(floor); got != want {
			f.differs("a session that has seen %v: served %t, had nothing been pruned %t; recalled %v", floor, got, want, recalled)
		}
	}
}

// play returns the first difference that a seed shows, and how many entries were pruned from all vectors.
func play(t *testing.T, seed uint64, change func(f *fleet)) (wrong string, pruned uint64) {
	f := newFleet(t, seed)
	defer f.close()
	change(f)
	for i := 0; i < 250 && f.wrong == ""; i++ {
		f.act()
		f.check()
	}
	return f.wrong, f.reaper.Stats().Pruned
}

// Whatever comes between the steps, a store that prunes shows what one shows that does not, and serves the sessions that the other serves.
func TestAStoreThatPrunesShowsWhatOneShowsThatDoesNot(t *testing.T) {
	all := uint64(0)
	for _, seed := range seeds(20) {
		wrong, pruned := play(t, seed, func(*fleet) {})
		if wrong != "" {
			t.Errorf("seed %d: %s", seed, wrong)
		}
		all += pruned
	}
	t.Logf("%d entries pruned", all)
	if all < 50 {
		t.Errorf("%d entries pruned in all prove too little", all)
	}
}

// Each step of the barrier is needed: without it old versions are shown again, or sessions are refused.
func TestNoStepOfPruningIsSpare(t *testing.T) {
	for name, without := range map[string]func(*fleet){
		"nobody is asked":          func(f *fleet) { f.unasked = true },
		"hints are not waited for": func(f *fleet) { f.impatient = true },
	} {
		found := slices.ContainsFunc(seeds(60), func(seed uint64) bool {
			wrong, _ := play(t, seed, without)
			return wrong != ""
		})
		if !found {
			t.Errorf("%s: nothing differs", name)
		}
	}
}

func seeds(n int) (out []uint64) {
	for seed := range uint64(n) {
		out = append(out, seed)
	}
	return out
}
