package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/worker"
)

// A Coordinator serves requests for all keys on behalf of one node.
type Coordinator struct {
	opts  Options
	log   *slog.Logger
	stats counters

	ctx    context.Context // of all calls to replicas: they outlive their request, not the coordinator
	cancel context.CancelFunc
	work   sync.WaitGroup // requests and their work after the reply
	pool   *worker.Pool   // their goroutines
	once   sync.Once      // closes it

	mu       sync.Mutex // guards what follows, never a wait
	inFlight int
	closed   bool
}

// idleMax is how many goroutines stay for the next requests.
const idleMax = 64

// New returns a coordinator. It does nothing until it is asked.
func New(o Options) (*Coordinator, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	c := &Coordinator{opts: o, log: o.Logger.With("component", "coordinator"), pool: worker.NewPool(idleMax)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Close ends all requests and returns when nothing is left of them. Writes that some
// owner lacks are parked as hints on this node, so Local must still be open.
func (c *Coordinator) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.work.Wait()
	c.once.Do(c.pool.Close)
	return nil
}

// enter begins a request, which ends with leave, or refuses it.
func (c *Coordinator) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return fmt.Errorf("coordinator: %w", store.ErrClosed)
	case c.inFlight >= c.opts.InFlight:
		c.stats.refused.Add(1)
		return fmt.Errorf("coordinator: %d requests in flight: %w", c.inFlight, store.ErrOverloaded)
	}
	c.inFlight++
	c.work.Add(1)
	return nil
}

// start runs f behind a request that has entered and not left.
func (c *Coordinator) start(f func()) {
	c.work.Add(1)
	c.pool.Go(func() {
		defer c.work.Done()
		f()
	})
}

func (c *Coordinator) leave() {
	c.mu.Lock()
	c.inFlight--
	c.mu.Unlock()
	c.work.Done()
}

// up reports whether a node is worth asking. This node always is.
func (c *Coordinator) up(n store.NodeID) bool { return n == c.opts.Self || c.opts.Detector.Up(n) }

// writable reports whether a node may coordinate a write. This one may not while its disk takes
// none, and hands writes on as if it were down; others find out for themselves.
func (c *Coordinator) writable(n store.NodeID) bool {
	if disk, ok := c.opts.Local.(interface{ Healthy() error }); ok && n == c.opts.Self && disk.Healthy() != nil {
		return false
	}
	return c.up(n)
}

// mayCoordinate returns nil if h lets this node serve clients. One that is no member would write
// past a change of the layout, because nobody waits for its requests to end.
func (c *Coordinator) mayCoordinate(h history.History) error {
	if !h.Coordinates(c.opts.Self) {
		return fmt.Errorf("coordinator: %s has not joined, or has left: %w", c.opts.Self, store.ErrNotMember)
	}
	return nil
}

// placeWrite returns where a write of a key goes: to n owners in each live version of the layout, or to those that stand in for
// them, which are to stay.
func placeWrite(h history.History, key store.Key, n int) (ring.Partition, placement) {
	p := h.Newest().Layout.Partition(key)
	var lists [][]store.NodeID
	for _, v := range h.Live() {
		lists = append(lists, v.Layout.PreferenceList(p))
	}
	place := placed(lists, n)
	if !h.Settled() {
		place = place.staying(h.Stays)
	}
	return p, place
}

// placeRead returns where a read goes: to n owners in the version that reads go by. What it shows is
// to be held, where that is asked for, by owners in that version and those after it, by which later reads go.
func placeRead(h history.History, key store.Key, n int) (p ring.Partition, place placement, holding [][]store.NodeID) {
	by := h.Read()
	p = by.Layout.Partition(key)
	for _, v := range h.Live() {
		if v.Number >= by.Number {
			holding = append(holding, v.Layout.PreferenceList(p)[:n])
		}
	}
	return p, placed([][]store.NodeID{by.Layout.PreferenceList(p)}, n), holding
}

// defaults returns what a request for the key gets that does not say.
func (c *Coordinator) defaults(key store.Key) defaults {
	return defaults{bucket: c.opts.Buckets.Of(key), n: c.opts.Replicas, r: c.opts.R, w: c.opts.W, durability: c.opts.Durability, objectBuffer: c.opts.ObjectBuffer}
}

// newReport begins the report of a request that wants so many acknowledgements.
func (c *Coordinator) newReport(op string, p ring.Partition, place placement, need int) report {
	return report{
		op: op, place: place, need: need, began: c.opts.Now(), now: c.opts.Now,
		meta: store.Meta{Coordinator: c.opts.Self, Partition: uint32(p), N: place.n, Need: need},
	}
}

// within gives a request the time that its options allow, if they do not leave it to its caller.
func within(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

// localContext is for work on this node's disk that must not be cut short by Close: it
// is what saves a write whose replicas were not reached.
func (c *Coordinator) localContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.ctx), c.opts.ReplicaTimeout)
}

// A waiting ask is one whose silence will be noticed.
type waiting struct {
	ask
	timer *time.Timer
}

// A watch notices silence. All its asks may be silent for equally long, so they wait in
// line and only the first needs to be looked at.
type watch struct {
	patience time.Duration
	line     []waiting
}

func (w *watch) add(a ask) { w.line = append(w.line, waiting{a, time.NewTimer(w.patience)}) }

// answered takes an ask out of the line, if it still stands there.
func (w *watch) answered(a ask) {
	for i, q := range w.line {
		if q.ask == a {
			q.timer.Stop()
			w.line = append(w.line[:i:i], w.line[i+1:]...)
			return
		}
	}
}

// silent is ready when the first of the line has been silent for too long; then pop it.
func (w *watch) silent() <-chan time.Time {
	if len(w.line) == 0 {
		return nil
	}
	return w.line[0].timer.C
}

func (w *watch) pop() ask {
	a := w.line[0].ask
	w.line = w.line[1:]
	return a
}

func (w *watch) stop() {
	for _, q := range w.line {
		q.timer.Stop()
	}
	w.line = nil
}

type counters struct {
	versions                                                                             [VersionsCounted]atomic.Uint64
	gets, writes, forwarded, refused, failed, hinted, readRepairs, degraded, unsatisfied atomic.Uint64
}

// Stats are counts since New.
type Stats struct {
	Gets        uint64 // reads coordinated here
	Writes      uint64 // puts and deletes coordinated here
	Forwarded   uint64 // writes handed to another coordinator
	Refused     uint64 // requests refused because too many were in flight
	Failed      uint64 // requests that missed their quorum
	Hinted      uint64 // states parked for an owner, here or elsewhere
	ReadRepairs uint64 // replicas written back to by reads
	Degraded    uint64 // requests for which fallbacks made up the number
	Unsatisfied uint64 // reads of sessions that could not show what these had seen
	InFlight    uint64 // requests now, those at work after their reply included

	Versions [VersionsCounted]uint64 // gets answered, by how many versions they showed; the last: so many or more
}

// VersionsCounted bounds how finely gets are counted by the versions that they showed (section 6.3).
const VersionsCounted = 6

// Stats returns the counts.
func (c *Coordinator) Stats() Stats {
	c.mu.Lock()
	inFlight := c.inFlight
	c.mu.Unlock()
	s := &c.stats
	var versions [VersionsCounted]uint64
	for i := range versions {
		versions[i] = s.versions[i].Load()
	}
	return Stats{
		Versions: versions,
		Gets:     s.gets.Load(), Writes: s.writes.Load(), Forwarded: s.forwarded.Load(), Refused: s.refused.Load(),
		Failed: s.failed.Load(), Hinted: s.hinted.Load(), ReadRepairs: s.readRepairs.Load(), Degraded: s.degraded.Load(),
		Unsatisfied: s.unsatisfied.Load(),
		InFlight:    uint64(inFlight),
	}
}
