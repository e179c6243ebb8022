package detector

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cartwheel/store"
)

// Options of a detector.
type Options struct {
	Self          store.NodeID                              // this node; always up
	Peers         []store.NodeID                            // the others at first, see Watch; Self among them is ignored
	Ping          func(context.Context, store.NodeID) error // a round trip to a peer; required. It must not report to the detector itself
	Now           func() time.Duration                      // a clock that only rises and does not stop while the process is stopped; required
	Rand          store.Rand                                // spreads the probes; required
	Failures      int                                       // failures in a row that bring a peer down; default 2
	ProbeInterval time.Duration                             // between probes of a peer that is down; default 500ms
	ProbeTimeout  time.Duration                             // of one probe; default 400ms
	IdleInterval  time.Duration                             // silence after which a peer that is up is probed; default 2s
	OnUp          func(store.NodeID)                        // called when a peer has come up; must not block; default none
	Logger        *slog.Logger                              // default discards
}

func (o Options) withDefaults() Options {
	if o.Failures == 0 {
		o.Failures = 2
	}
	if o.ProbeInterval == 0 {
		o.ProbeInterval = 500 * time.Millisecond
	}
	if o.ProbeTimeout == 0 {
		o.ProbeTimeout = 400 * time.Millisecond
	}
	if o.IdleInterval == 0 {
		o.IdleInterval = 2 * time.Second
	}
	if o.OnUp == nil {
		o.OnUp = func(store.NodeID) {}
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
			errs = append(errs, fmt.Errorf("detector: %s: %w", text, store.ErrInvalid))
		}
	}
	complain(o.Ping == nil, "no Ping")
	complain(o.Now == nil, "no Now")
	complain(o.Rand == nil, "no Rand")
	complain(o.Failures < 1, "want Failures of at least 1")
	complain(o.ProbeInterval < 0 || o.ProbeTimeout < 0 || o.IdleInterval < 0, "want no negative durations")
	return errors.Join(errs...)
}

// A Detector watches the peers of one node.
type Detector struct {
	opts Options
	log  *slog.Logger

	mu sync.Mutex // guards t; never held over a wait or a callback
	t  *tracker

	cancel context.CancelFunc
	wg     sync.WaitGroup

	probes, downs, ups, stalls atomic.Uint64
}

// Start returns a detector that believes every peer to be up, and probes until Close.
func Start(o Options) (*Detector, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	d := &Detector{opts: o, log: o.Logger.With("component", "detector")}
	d.t = newTracker(o, o.Now(), d.jitter)
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.wg.Go(func() { d.loop(ctx) })
	return d, nil
}

// jitter returns up to a quarter of the probe interval, so that nodes do not probe in step.
func (d *Detector) jitter(n store.NodeID, attempt uint64) time.Duration {
	return time.Duration(d.opts.Rand(name("detector: probe of "), name(string(n)), attempt) % uint64(d.opts.ProbeInterval/4+1))
}

func name(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// Up reports whether the node is believed to be up. Self always is; a node that is not
// a peer never is.
func (d *Detector) Up(n store.NodeID) bool {
	if n == d.opts.Self {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.t.up(n)
}

// Watch makes nodes the peers from now on; Self among them is ignored. A new one is believed to be up.
func (d *Detector) Watch(nodes []store.NodeID) {
	now := d.opts.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.t.watch(d.opts.Self, nodes, now)
}

// Succeeded notes that a peer answered a request of ours, with whatever answer.
func (d *Detector) Succeeded(n store.NodeID) {
	now := d.opts.Now()
	d.mu.Lock()
	cameUp := d.t.succeeded(n, now)
	d.mu.Unlock()
	if cameUp {
		d.ups.Add(1)
		d.log.Info("peer came up", "peer", n)
		d.opts.OnUp(n)
	}
}

// Failed notes that a request of ours to a peer was not answered.
func (d *Detector) Failed(n store.NodeID) {
	now := d.opts.Now()
	d.mu.Lock()
	wentDown := d.t.failed(n, now)
	d.mu.Unlock()
	if wentDown {
		d.downs.Add(1)
		d.log.Info("peer went down", "peer", n)
	}
}

// loop beats twice a probe interval, so that a stall is told from a wait.
func (d *Detector) loop(ctx context.Context) {
	tick := time.NewTicker(max(d.opts.ProbeInterval/2, 1))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := d.opts.Now()
		d.mu.Lock()
		probes, stalled := d.t.beat(now)
		d.mu.Unlock()
		if stalled > 0 {
			d.stalls.Add(1)
			d.log.Warn("this node was stopped; failures of that time are not counted", "stopped", stalled)
		}
		for _, n := range probes {
			d.wg.Go(func() { d.ping(ctx, n) })
		}
	}
}

func (d *Detector) ping(ctx context.Context, n store.NodeID) {
	d.probes.Add(1)
	pctx, cancel := context.WithTimeout(ctx, d.opts.ProbeTimeout)
	defer cancel()
	err := d.opts.Ping(pctx, n)
	switch {
	case err == nil:
		d.Succeeded(n)
	case ctx.Err() == nil: // not our own Close
		d.Failed(n)
	}
	d.mu.Lock()
	d.t.probed(n)
	d.mu.Unlock()
}

// Stats are counts since Start.
type Stats struct {
	Probes uint64 // sent
	Downs  uint64 // times a peer went down
	Ups    uint64 // times a peer came up again
	Stalls uint64 // times this node found that it had been stopped
}

// Stats returns the counts.
func (d *Detector) Stats() Stats {
	return Stats{Probes: d.probes.Load(), Downs: d.downs.Load(), Ups: d.ups.Load(), Stalls: d.stalls.Load()}
}

// Close stops the probes and waits for those that are out. What was believed last
// stays. It may be called more than once.
func (d *Detector) Close() error {
	d.cancel()
	d.wg.Wait()
	return nil
}
