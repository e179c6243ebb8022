package coordinator_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
	"cartwheel/store/coordinator"
	"cartwheel/store/placement"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// A world is five nodes in a bubble: one coordinator, and four that are made of a map and
// a behaviour. The preference list is list: three owners and two fallbacks.
type world struct {
	t     *testing.T
	c     *coordinator.Coordinator
	list  []store.NodeID
	self  store.NodeID
	began time.Time

	placement *placement.Placement

	mu     sync.Mutex
	nodes  map[store.NodeID]*replica
	stamps []history.Stamp // that peers were sent, in the same order
	asked  []string        // what the peers were asked, in order: "put n2", "hint n4 for n2", "get n3", "forward n1"
	down   map[store.NodeID]bool

	buffered      int  // peers that may acknowledge from memory
	localBuffered bool // so may the coordinator's disk

	forward func(to store.NodeID) (store.WriteResult, error)
}

// A replica is what one node holds, by the name of the owner it is for: its own name is
// its own record.
type replica struct {
	behaviour
	records map[store.NodeID]version.Set
	pruned  version.Vector
	events  uint64
}

// A behaviour is how a node answers.
type behaviour struct {
	delay  time.Duration // before it answers
	err    error         // what it answers
	silent bool          // it never answers: the caller waits for its deadline
	taken  func()        // what happens when it has done what it was asked; nil: nothing
}

const key = store.Key("cart:1")

// inWorld runs f where self is the coordinator: a position in the preference list.
func inWorld(t *testing.T, self int, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var members []store.Member
		for i := 1; i <= 5; i++ {
			members = append(members, store.Member{ID: store.NodeID(fmt.Sprintf("n%d", i))})
			members[i-1].Address = string(members[i-1].ID) + ":1"
		}
		layout, err := ring.New(ring.Options{Members: members, Partitions: 1})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{
			t: t, list: layout.PreferenceList(0), began: time.Now(), placement: placement.New(history.New(layout)),
			nodes: map[store.NodeID]*replica{}, down: map[store.NodeID]bool{},
		}
		w.self = w.list[self]
		for i, n := range w.list {
			// Each answers a little later than the one before it, so that there is an order.
			w.nodes[n] = &replica{behaviour: behaviour{delay: time.Duration(i+1) * time.Millisecond}, records: map[store.NodeID]version.Set{}}
		}
		w.nodes[w.self].delay = 0
		w.c, err = coordinator.New(coordinator.Options{
			Self: w.self, Placement: w.placement, Replicas: layout.Replicas(), Local: local{w}, Peers: peers{w}, Detector: w, InFlight: 8, ObjectBuffer: true,
			Now: func() time.Duration { return time.Since(w.began) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := w.c.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(t, w)
	})
}

func (w *world) Up(n store.NodeID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.down[n]
}

// at returns the node at a position of the preference list.
func (w *world) at(i int) *replica { return w.nodes[w.list[i]] }

// believeDown makes the detector call nodes down; they do not answer either.
func (w *world) believeDown(positions ...int) {
	for _, i := range positions {
		w.down[w.list[i]] = true
		w.at(i).silent = true
	}
}

// who translates a record of what was asked to positions: "put 1" rather than "put n4".
func (w *world) who() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := strings.Join(w.asked, ", ")
	for i, n := range w.list {
		out = strings.ReplaceAll(out, string(n), fmt.Sprint(i))
	}
	return out
}

// answer behaves as the node does, and then does what was asked.
func (w *world) answer(ctx context.Context, n store.NodeID, what string, f func(*replica)) error {
	w.mu.Lock()
	r := w.nodes[n]
	b := r.behaviour
	if n != w.self {
		w.asked = append(w.asked, what)
	}
	w.mu.Unlock()
	if b.silent {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-time.After(b.delay):
	case <-ctx.Done():
		return ctx.Err()
	}
	if b.err != nil {
		return b.err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f(r)
	if b.taken != nil {
		b.taken()
	}
	return nil
}

func (w *world) merge(ctx context.Context, n, hintFor store.NodeID, s version.Set) error {
	what, at := "put "+string(n), n
	if hintFor != "" {
		what, at = fmt.Sprintf("hint %s for %s", n, hintFor), hintFor
	}
	return w.answer(ctx, n, what, func(r *replica) { r.records[at] = version.Merge(r.records[at], s) })
}

func (w *world) get(ctx context.Context, n store.NodeID) (s version.Set, err error) {
	err = w.answer(ctx, n, "get "+string(n), func(r *replica) { s = r.joined() })
	return s, err
}

func (r *replica) joined() (s version.Set) {
	for _, record := range r.records {
		s = version.Merge(s, record)
	}
	return s
}

// give puts a value into a node's record, as a write would that only it has.
func (w *world) give(position int, value string) version.Set {
	n := w.list[position]
	r := w.nodes[n]
	r.records[n] = r.event(position, r.records[n], storage.Write{Value: []byte(value)})
	return r.records[n]
}

func (r *replica) event(position int, s version.Set, write storage.Write) version.Set {
	r.events++
	dot := version.Dot{Actor: version.Actor{Node: uint64(position + 1), Epoch: 1}, Counter: r.events}
	return s.Put(write.Past, version.Version{Dot: dot, Value: write.Value, Tombstone: write.Tombstone, WriteID: write.WriteID})
}

// holdings says what a node holds: "1:milk" for its own record as the node at position 1,
// "2:milk" as a hint for the one at 2.
func (w *world) holdings(position int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for i, owner := range w.list {
		if s := w.at(position).records[owner]; !s.IsZero() {
			out = append(out, fmt.Sprintf("%d:%s", i, strings.Join(values(s.Siblings()), "+")))
		}
	}
	return strings.Join(out, " ")
}

func values(siblings []store.Sibling) (out []string) {
	for _, s := range siblings {
		if s.Tombstone {
			out = append(out, "†")
		} else {
			out = append(out, string(s.Value))
		}
	}
	slices.Sort(out)
	return out
}

// replies renders a reply list with positions: "0:ok 3/1:ok".
func (w *world) replies(m store.Meta) string {
	var out []string
	for _, r := range m.Replies {
		name := fmt.Sprint(slices.Index(w.list, r.Node))
		if r.For != "" {
			name += fmt.Sprintf("/%d", slices.Index(w.list, r.For))
		}
		out = append(out, name+":"+r.State.String())
	}
	return strings.Join(out, " ")
}

func (w *world) put(value string, o store.WriteOptions) (store.WriteResult, error) {
	return w.c.Write(context.Background(), coordinator.Write{Key: key, Value: []byte(value), WriteID: store.WriteID{1}, Options: o})
}

// local is the coordinator's own disk.
type local struct{ *world }

func (l local) Get(ctx context.Context, _ ring.Partition, _ store.Key) (version.Set, error) {
	return l.get(ctx, l.self)
}

func (l local) Recall(ctx context.Context, _ ring.Partition, _ store.Key) (version.Set, error) {
	return l.recall(l.get(ctx, l.self))(l.self)
}

func (l local) Put(ctx context.Context, _ ring.Partition, _ store.Key, hintFor store.NodeID, write storage.Write) (s version.Set, err error) {
	at := hintFor
	if at == "" {
		at = l.self
	}
	err = l.answer(ctx, l.self, "", func(r *replica) {
		l.localBuffered = write.Buffered
		r.records[at] = r.event(slices.Index(l.list, l.self), r.records[at], write)
		s = r.joined()
	})
	return s, err
}

func (l local) Merge(ctx context.Context, _ ring.Partition, _ store.Key, hintFor store.NodeID, s version.Set) (bool, error) {
	return true, l.merge(ctx, l.self, hintFor, s)
}

// peers are the other nodes.
type peers struct{ *world }

func (p peers) Get(ctx context.Context, at history.Stamp, to store.NodeID, _ store.Key) (version.Set, error) {
	p.stamped(at)
	return p.get(ctx, to)
}

func (p peers) Recall(ctx context.Context, at history.Stamp, to store.NodeID, _ store.Key) (version.Set, error) {
	p.stamped(at)
	return p.recall(p.get(ctx, to))(to)
}

// recall adds what a replica has pruned to what it shows.
func (w *world) recall(s version.Set, err error) func(of store.NodeID) (version.Set, error) {
	return func(of store.NodeID) (version.Set, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		s.Vector = s.Vector.Join(w.nodes[of].pruned)
		return s, err
	}
}

func (p peers) Merge(ctx context.Context, at history.Stamp, to store.NodeID, _ store.Key, hintFor store.NodeID, s version.Set) error {
	p.stamped(at)
	return p.merge(ctx, to, hintFor, s)
}

func (p peers) Buffer(ctx context.Context, at history.Stamp, to store.NodeID, _ store.Key, hintFor store.NodeID, s version.Set) error {
	p.stamped(at)
	p.mu.Lock()
	p.buffered++
	p.mu.Unlock()
	return p.merge(ctx, to, hintFor, s)
}

func (w *world) stamped(at history.Stamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stamps = append(w.stamps, at)
}

func (p peers) Forward(ctx context.Context, to store.NodeID, w coordinator.Write) (res store.WriteResult, err error) {
	p.mu.Lock()
	p.asked = append(p.asked, "forward "+string(to))
	p.mu.Unlock()
	return p.world.forward(to)
}
