package hint

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"cartwheel/store"
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
}

// Peers reaches other nodes.
type Peers interface {
	// Merge returns when the node has joined the state into its own record (hintFor
	// is empty here) and has the result on disk.
	Merge(ctx context.Context, to store.NodeID, key store.Key, hintFor store.NodeID, s version.Set) error
}

// A Detector believes nodes to be up or down.
type Detector interface {
	Up(n store.NodeID) bool
}

// Options of a handoff.
type Options struct {
	Self        store.NodeID   // this node; required
	Targets     []store.NodeID // nodes that hints may wait for; Self among them is ignored
	Hints       Hints          // required
	Peers       Peers          // required
	Detector    Detector       // required
	Rand        store.Rand     // spreads the rounds; required
	Interval    time.Duration  // between rounds for a target; default 500ms
	Timeout     time.Duration  // of one delivery; default 1s
	Batch       int            // hints read at a time; default 64
	Concurrency int            // deliveries under way to one target; default 4
	Logger      *slog.Logger   // default discards
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
	complain(o.Interval < 0 || o.Timeout < 0, "want no negative durations")
	complain(o.Batch < 1 || o.Concurrency < 1, "want Batch and Concurrency of at least 1")
	return errors.Join(errs...)
}

// A Handoff delivers the hints of one node.
type Handoff struct {
	opts   Options
	log    *slog.Logger
	kicks  map[store.NodeID]chan struct{} // never changes
	cancel context.CancelFunc
	wg     sync.WaitGroup

	delivered, failed, kept atomic.Uint64
}

// Start begins to deliver.
func Start(o Options) (*Handoff, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	h := &Handoff{opts: o, log: o.Logger.With("component", "hint"), kicks: map[store.NodeID]chan struct{}{}}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	for _, target := range o.Targets {
		if target != o.Self {
			h.kicks[target] = make(chan struct{}, 1) // one kick waits; more would say nothing new
		}
	}
	for _, target := range slices.Sorted(maps.Keys(h.kicks)) {
		h.wg.Go(func() { h.loop(ctx, target, h.kicks[target]) })
	}
	return h, nil
}

// Kick delivers to a target at once, or as soon as the round under way has ended. It does
// not block.
func (h *Handoff) Kick(target store.NodeID) {
	select {
	case h.kicks[target] <- struct{}{}: // a nil channel, of an unknown target, is never ready
	default:
	}
}

// loop runs a target's rounds.
func (h *Handoff) loop(ctx context.Context, target store.NodeID, kick <-chan struct{}) {
	for round := uint64(0); ; round++ {
		if h.opts.Detector.Up(target) {
			h.round(ctx, target)
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

// jitter returns up to a quarter of the interval, so that nodes do not deliver in step.
func (h *Handoff) jitter(target store.NodeID, round uint64) time.Duration {
	f := fnv.New64a()
	f.Write([]byte("hint: round for " + target))
	return time.Duration(h.opts.Rand(f.Sum64(), round) % uint64(h.opts.Interval/4+1))
}

// round delivers all hints of a target, page by page, until the target is found out of reach.
func (h *Handoff) round(ctx context.Context, target store.NodeID) {
	var after []byte
	for ctx.Err() == nil {
		page, next, err := h.opts.Hints.NextHints(ctx, target, after, h.opts.Batch)
		if err != nil && ctx.Err() == nil {
			h.log.Warn("could not read all hints", "target", target, "err", err)
		}
		if !h.deliver(ctx, page) || next == nil {
			return
		}
		after = next
	}
}

// deliver sends a page, a few at a time, and reports whether to go on with the next. After
// a failure nothing further is sent, and what is under way is waited for.
func (h *Handoff) deliver(ctx context.Context, page []storage.Hint) (goOn bool) {
	var eg errgroup.Group
	eg.SetLimit(h.opts.Concurrency)
	var stop atomic.Bool
	for _, one := range page {
		eg.Go(func() error { // waits for a turn, in which the answer to another may change the mind
			if stop.Load() || ctx.Err() != nil {
				return nil
			}
			if err := h.deliverOne(ctx, one); err != nil && ctx.Err() == nil {
				h.log.Debug("hint was not delivered", "target", one.Target, "key", string(one.Key), "err", err)
				if !store.OfOneKey(err) {
					stop.Store(true)
				}
			}
			return nil
		})
	}
	_ = eg.Wait() // nil: the failures were noted above
	return !stop.Load()
}

// deliverOne sends a hint and, once it is acknowledged, drops it.
func (h *Handoff) deliverOne(ctx context.Context, one storage.Hint) error {
	rctx, cancel := context.WithTimeout(ctx, h.opts.Timeout)
	defer cancel()
	if err := h.opts.Peers.Merge(rctx, one.Target, one.Key, "", one.Set); err != nil {
		h.failed.Add(1)
		return fmt.Errorf("deliver hint of %q to %s: %w", one.Key, one.Target, err)
	}
	h.delivered.Add(1)
	dropped, err := h.opts.Hints.DropHint(ctx, one)
	if err != nil {
		return err
	}
	if !dropped {
		h.kept.Add(1) // the next round sends what was merged in
	}
	return nil
}

// Stats are counts since Start.
type Stats struct {
	Delivered uint64 // acknowledged by their owner
	Failed    uint64 // deliveries that were not acknowledged
	Kept      uint64 // delivered and kept, because they had changed meanwhile
}

// Stats returns the counts.
func (h *Handoff) Stats() Stats {
	return Stats{Delivered: h.delivered.Load(), Failed: h.failed.Load(), Kept: h.kept.Load()}
}

// Close stops the deliveries and waits for those under way. It may be called more than once.
func (h *Handoff) Close() error {
	h.cancel()
	h.wg.Wait()
	return nil
}
