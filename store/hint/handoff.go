package hint

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// Hints are those that this node holds. They are on disk.
type Hints interface {
	// NextHints returns up to limit hints for a target behind a cursor, in a fixed order, and the
	// next cursor, nil at the end. Hints may come beside an error about others.
	NextHints(ctx context.Context, target store.NodeID, after []byte, limit int) ([]storage.Hint, []byte, error)
	// DropHint deletes a hint if it is still the given one.
	DropHint(ctx context.Context, h storage.Hint) (dropped bool, err error)
	// HintTargets returns the owners for which hints wait.
	HintTargets(ctx context.Context) ([]storage.HintStat, error)
	// Merge joins a state into this node's own record (hintFor is empty here).
	Merge(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (changed bool, err error)
}

// Peers reaches other nodes.
type Peers interface {
	// Merge returns when the node has joined the state into its own record (hintFor
	// is empty here) and has the result on disk.
	Merge(ctx context.Context, at history.Stamp, to store.NodeID, key store.Key, hintFor store.NodeID, s version.Set) error
}

// A Detector believes nodes to be up or down.
type Detector interface {
	Up(n store.NodeID) bool
}

// A Placement is what this node knows of the layouts of its cluster.
type Placement interface {
	// Write begins a write that goes by what is known now, until end is called: till then the node acks no layout that comes
	// in between. What is sent to an owner of the past only arrives before anybody copies from it.
	Write() (h history.History, end func())
}

// Options of a handoff.
type Options struct {
	Self     store.NodeID   // this node; required
	Targets  []store.NodeID // members at first, see Watch; Self among them is ignored
	Hints    Hints          // required
	Peers    Peers          // required
	Detector Detector       // required
	Rand     store.Rand     // spreads the rounds; required
	// Placement knows who owns what now. A hint for a node that does not own its partition any more goes
	// to all who do; required.
	Placement   Placement
	Now         func() time.Duration // a clock that only rises, for the rate; required
	Interval    time.Duration        // between rounds for a target; default 500ms
	Timeout     time.Duration        // of one delivery; default 1s
	Batch       int                  // hints read at a time; default 64
	Concurrency int                  // deliveries under way to one target, at most; default 4
	Rate        int                  // bytes a second to one target, at most; default 10 MiB
	// Admit waits until the node has room for a delivery of so many bytes beside its foreground, or ends with the error of its
	// context; default: at once.
	Admit  func(ctx context.Context, sizeBytes int) error
	Logger *slog.Logger // default discards
}

func (o Options) withDefaults() Options {
	if o.Interval == 0 {
		o.Interval = 500 * time.Millisecond
	}
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.Batch == 0 {
		o.Batch = 64
	}
	if o.Concurrency == 0 {
		o.Concurrency = 4
	}
	if o.Rate == 0 {
		o.Rate = 10 << 20
	}
	if o.Admit == nil {
		o.Admit = func(ctx context.Context, _ int) error { return ctx.Err() }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	complain := func(bad bool, text string) {
		if bad {
			errs = append(errs, fmt.Errorf("hinted handoff: %s: %w", text, store.ErrInvalid))
		}
	}
	complain(o.Hints == nil, "no Hints")
	complain(o.Peers == nil, "no Peers")
	complain(o.Detector == nil, "no Detector")
	complain(o.Rand == nil, "no Rand")
	complain(o.Placement == nil, "no Placement")
	complain(o.Now == nil, "no Now")
	complain(o.Interval < 0 || o.Timeout < 0, "want no negative durations")
	complain(o.Batch < 1 || o.Concurrency < 1 || o.Rate < 1, "want Batch, Concurrency and Rate of at least 1")
	return errors.Join(errs...)
}

// A Handoff delivers the hints of one node.
type Handoff struct {
	opts   Options
	log    *slog.Logger
	ctx    context.Context // of all deliveries
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows, never a wait
	targets map[store.NodeID]*watched
	atOnce  map[store.NodeID]int // deliveries under way, by target
	most    int                  // of atOnce, of one target, ever
	closed  bool

	delivered, failed, kept, rerouted, setBack, astray atomic.Uint64
}

// Start begins to deliver.
func Start(o Options) (*Handoff, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	h := &Handoff{opts: o, log: o.Logger.With("component", "hint"), targets: map[store.NodeID]*watched{}, atOnce: map[store.NodeID]int{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.Watch(o.Targets)
	h.wg.Go(func() { h.strays(h.ctx) })
	return h, nil
}

// A watched target has a loop of its own.
type watched struct {
	kick   chan struct{} // one kick waits; more would say nothing new
	cancel context.CancelFunc
}

// Watch makes nodes the members from now on, Self among them ignored. Hints for others are delivered to
// whoever owns their keys now.
func (h *Handoff) Watch(nodes []store.NodeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	for target, w := range h.targets {
		if !slices.Contains(nodes, target) {
			w.cancel()
			delete(h.targets, target)
		}
	}
	for _, target := range slices.Sorted(slices.Values(nodes)) {
		if target == h.opts.Self || h.targets[target] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(h.ctx)
		w := &watched{kick: make(chan struct{}, 1), cancel: cancel}
		h.targets[target] = w
		h.wg.Go(func() { h.loop(ctx, target, w.kick) })
	}
}

func (h *Handoff) watching(target store.NodeID) *watched {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.targets[target]
}

// Kick delivers to a target at once, or as soon as the round under way has ended. It does
// not block.
func (h *Handoff) Kick(target store.NodeID) {
	w := h.watching(target)
	if w == nil {
		return
	}
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// A line is the hints for one owner, and how far their delivery has come.
type line struct {
	target store.NodeID
	pace   *pace
	resume []byte // cursor of the hint that ended the last round; nil: it ended well
}

func (h *Handoff) newLine(target store.NodeID) *line {
	return &line{target: target, pace: newPace(h.opts.Rate, h.opts.Concurrency)}
}

// loop runs a target's rounds.
func (h *Handoff) loop(ctx context.Context, target store.NodeID, kick <-chan struct{}) {
	l := h.newLine(target)
	for round := uint64(0); ; round++ {
		if h.opts.Detector.Up(target) {
			h.round(ctx, l)
		}
		wait := time.NewTimer(h.opts.Interval + h.jitter(target, round))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-kick:
			wait.Stop()
		case <-wait.C:
		}
	}
}

// strays runs the rounds of hints whose target is no member: it has left, but what it was
// to get was acknowledged, and is the owners' of today.
func (h *Handoff) strays(ctx context.Context) {
	lines := map[store.NodeID]*line{}
	for round := uint64(0); ; round++ {
		targets, err := h.opts.Hints.HintTargets(ctx)
		if err != nil && ctx.Err() == nil {
			h.log.Warn("could not list the targets of hints", "err", err)
		}
		for _, t := range targets {
			if h.watching(t.Target) != nil {
				continue
			}
			if lines[t.Target] == nil {
				lines[t.Target] = h.newLine(t.Target)
			}
			h.round(ctx, lines[t.Target])
		}
		wait := time.NewTimer(h.opts.Interval + h.jitter("", round))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// jitter returns up to a quarter of the interval, so that nodes do not deliver in step.
func (h *Handoff) jitter(target store.NodeID, round uint64) time.Duration {
	f := fnv.New64a()
	f.Write([]byte("hint: round for " + target))
	return time.Duration(h.opts.Rand(f.Sum64(), round) % uint64(h.opts.Interval/4+1))
}

// round delivers all hints of a target, page by page, until one is not answered. The next round
// goes on behind that one and comes to it last: a hint that is too large to be sent in time
// does not hold up the others.
func (h *Handoff) round(ctx context.Context, l *line) {
	after := l.resume
	for l.resume = nil; ctx.Err() == nil; {
		page, next, err := h.opts.Hints.NextHints(ctx, l.target, after, h.opts.Batch)
		if err != nil && ctx.Err() == nil {
			h.log.Warn("could not read all hints", "target", l.target, "err", err)
		}
		if failed := h.deliver(ctx, page, l.pace); failed != nil {
			h.setBack.Add(1)
			l.pace.failed()
			l.resume = failed.Cursor()
			return
		}
		if next != nil || len(page) > 0 {
			l.pace.delivered()
		}
		if next == nil {
			return
		}
		after = next
	}
}

// deliver sends a page at the line's pace. After a failure nothing further is sent, and what is under
// way is waited for. It returns the last hint that was not answered, nil if all were.
func (h *Handoff) deliver(ctx context.Context, page []storage.Hint, p *pace) *storage.Hint {
	var eg errgroup.Group
	eg.SetLimit(p.window)
	var last atomic.Int64 // index of the last that failed, plus one
	for i, one := range page {
		if last.Load() > 0 || !h.pause(ctx, p.spend(h.opts.Now(), one.SizeBytes())) || h.opts.Admit(ctx, one.SizeBytes()) != nil {
			break
		}
		eg.Go(func() error { // waits for a turn, in which the answer to another may change the mind
			if last.Load() > 0 || ctx.Err() != nil {
				return nil
			}
			defer h.underWay(one.Target)()
			if err := h.deliverOne(ctx, one); err != nil && ctx.Err() == nil {
				h.log.Debug("hint was not delivered", "target", one.Target, "key", string(one.Key), "err", err)
				for was := last.Load(); !store.OfOneKey(err) && was <= int64(i) && !last.CompareAndSwap(was, int64(i)+1); was = last.Load() {
				}
			}
			return nil
		})
	}
	_ = eg.Wait() // nil: the failures were noted above
	if at := last.Load(); at > 0 {
		return &page[at-1]
	}
	return nil
}

// underWay counts a delivery until end is called. It does not know of the limit, so that what goes beyond it is seen.
func (h *Handoff) underWay(target store.NodeID) (end func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.atOnce[target]++
	h.most = max(h.most, h.atOnce[target])
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.atOnce[target]--
	}
}

// pause lets time pass unless the handoff ends, and reports whether to go on.
func (h *Handoff) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// deliverOne sends a hint and, once it is acknowledged, drops it.
func (h *Handoff) deliverOne(ctx context.Context, one storage.Hint) error {
	now, end := h.opts.Placement.Write()
	defer end()
	if !now.Joined() {
		return store.ErrNotMember
	}
	if !now.Newest().Layout.Owns(one.Target, one.Partition) { // it has left, or is about to
		took, err := h.reroute(ctx, now, one)
		if err != nil {
			h.failed.Add(1)
			return err
		}
		return h.drop(ctx, now, one, took...)
	}
	rctx, cancel := context.WithTimeout(ctx, h.opts.Timeout)
	defer cancel()
	if err := h.opts.Peers.Merge(rctx, now.Stamp(), one.Target, one.Key, "", one.Set); err != nil {
		h.failed.Add(1)
		return fmt.Errorf("deliver hint of %q to %s: %w", one.Key, one.Target, err)
	}
	return h.drop(ctx, now, one, one.Target)
}

// reroute sends a hint to all who own its partition, in the place of one that will not any more, and returns them. While
// the layout changes these are the owners of the old one, too: the change may be taken back.
func (h *Handoff) reroute(ctx context.Context, now history.History, one storage.Hint) (took []store.NodeID, err error) {
	for _, o := range now.Owners(one.Partition) {
		if now.Fenced(o) {
			continue
		}
		if err := h.hand(ctx, now.Stamp(), o, one); err != nil {
			return nil, fmt.Errorf("deliver hint of %q for %s, which owns it no more, to %s: %w", one.Key, one.Target, o, err)
		}
		took = append(took, o)
	}
	h.rerouted.Add(1)
	return took, nil
}

func (h *Handoff) hand(ctx context.Context, at history.Stamp, to store.NodeID, one storage.Hint) error {
	ctx, cancel := context.WithTimeout(ctx, h.opts.Timeout)
	defer cancel()
	if to == h.opts.Self {
		_, err := h.opts.Hints.Merge(ctx, one.Partition, one.Key, "", one.Set)
		return err
	}
	return h.opts.Peers.Merge(ctx, at, to, one.Key, "", one.Set)
}

// drop deletes a hint that nodes have acknowledged. It does not know how they were chosen, so that one whom the hint was
// kept from is seen.
func (h *Handoff) drop(ctx context.Context, now history.History, one storage.Hint, took ...store.NodeID) error {
	h.delivered.Add(1)
	if slices.ContainsFunc(owed(now, one), func(n store.NodeID) bool { return !slices.Contains(took, n) }) {
		h.astray.Add(1)
	}
	dropped, err := h.opts.Hints.DropHint(ctx, one)
	if err != nil {
		return err
	}
	if !dropped {
		h.kept.Add(1) // the next round sends what was merged in
	}
	return nil
}

// owed lists who must have a hint before it may go: its target, or, when that owns the partition no more by the newest layout,
// all who do and were not removed. To tell an owner of the past alone is not enough: it may have handed over what it held.
func owed(now history.History, one storage.Hint) []store.NodeID {
	l := now.Newest().Layout
	if l.Owns(one.Target, one.Partition) {
		return []store.NodeID{one.Target}
	}
	return slices.DeleteFunc(slices.Clone(l.Owners(one.Partition)), now.Fenced)
}

// Stats are counts since Start.
type Stats struct {
	Delivered uint64 // acknowledged by their owner
	Failed    uint64 // deliveries that were not acknowledged
	Kept      uint64 // delivered and kept, because they had changed meanwhile
	Rerouted  uint64 // delivered to the owners of today, because the target owns the key no more
	SetBack   uint64 // rounds that ended early and began anew slowly
	Astray    uint64 // dropped though one whom they were for had not acknowledged them: always 0

	AtOnce      uint64 // deliveries that were under way to one target at a time, at most
	AtOnceLimit uint64 // and how many may be
}

// Stats returns the counts.
func (h *Handoff) Stats() Stats {
	h.mu.Lock()
	most := h.most
	h.mu.Unlock()
	return Stats{
		AtOnce: uint64(most), AtOnceLimit: uint64(h.opts.Concurrency),
		Delivered: h.delivered.Load(), Failed: h.failed.Load(), Kept: h.kept.Load(),
		Rerouted: h.rerouted.Load(), SetBack: h.setBack.Load(), Astray: h.astray.Load(),
	}
}

// Close stops the deliveries and waits for those under way. It may be called more than once.
func (h *Handoff) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.wg.Wait()
	return nil
}
