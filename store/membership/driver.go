package membership

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
	"cartwheel/store/ring/history"
)

// DriverOptions are the options of a [Driver].
type DriverOptions struct {
	Self   store.NodeID // this node; required
	Keeper *Keeper      // required
	// Sync returns nil when this node has what its partitions of v held before, by h. It ends early when
	// ctx does, and may be called again for the same version. Required.
	Sync func(ctx context.Context, h history.History, v history.Version) error
	// HandOver returns nil when the owners of v have all that this node holds and gives up by v. Otherwise as Sync. Required.
	HandOver func(ctx context.Context, h history.History, v history.Version) error

	Rand   store.Rand    // spreads the retries; required
	Retry  time.Duration // wait after a step that failed; default 1s
	Logger *slog.Logger  // default discards
}

func (o DriverOptions) withDefaults() DriverOptions {
	if o.Retry == 0 {
		o.Retry = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o DriverOptions) validate() error {
	if o.Self == "" || o.Keeper == nil || o.Sync == nil || o.HandOver == nil || o.Rand == nil || o.Retry < 0 {
		return fmt.Errorf("membership: want Self, Keeper, Sync, HandOver and Rand, and no negative Retry: %w", store.ErrInvalid)
	}
	return nil
}

// A Driver does one node's steps of changes, one at a time.
type Driver struct {
	opts    DriverOptions
	log     *slog.Logger
	changed chan struct{} // full when the history has changed since it was looked at
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	steps, failed atomic.Uint64
}

// StartDriver begins to drive, with whatever step the history asks for: also one that an earlier life has begun.
func StartDriver(o DriverOptions) (*Driver, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	d := &Driver{opts: o, log: o.Logger.With("component", "membership"), changed: make(chan struct{}, 1)}
	o.Keeper.Placement().Subscribe(func(history.History) {
		select {
		case d.changed <- struct{}{}:
		default:
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.wg.Go(func() { d.loop(ctx) })
	return d, nil
}

// Close ends the step under way, which the next life begins again.
func (d *Driver) Close() error {
	d.cancel()
	d.wg.Wait()
	return nil
}

// Stats are counts since StartDriver.
type Stats struct {
	Steps  uint64 // notes made
	Failed uint64 // steps that failed and are tried again
}

// Stats returns the counts.
func (d *Driver) Stats() Stats { return Stats{Steps: d.steps.Load(), Failed: d.failed.Load()} }

func (d *Driver) loop(ctx context.Context) {
	for ctx.Err() == nil {
		h := d.opts.Keeper.Now()
		s := first(h.Next(d.opts.Self))
		if s.note == nil {
			select {
			case <-d.changed:
			case <-ctx.Done():
			}
			continue
		}
		err := d.do(ctx, h, s)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errOvertaken):
		case err != nil:
			// Failures are counted, not looks at the history: two changes of it at once are one look or two.
			failures := d.failed.Add(1)
			d.log.Warn("could not take a step of a change of the layout, trying again", "step", s.name, "version", s.version.Number, "err", err)
			d.pause(ctx, failures)
		default:
			d.steps.Add(1)
			d.log.Info("took a step of a change of the layout", "step", s.name, "version", s.version.Number)
		}
	}
}

// errOvertaken ends a step that the history asks for no more.
var errOvertaken = errors.New("overtaken by another change")

// A step is one that the node may take now.
type step struct {
	name    string
	version history.Version
	note    func(h history.History, self store.NodeID, v history.Version) history.History // nil: there is none
}

// first chooses of the steps that may be taken. To ack is always first: until then the
// newer version holds up all others.
func first(s history.Step) step {
	switch {
	case s.Ack.Number > 0:
		return step{"ack", s.Ack, history.History.Acked}
	case s.SyncAck.Number > 0:
		return step{"sync-ack", s.SyncAck, history.History.SyncAcked}
	case s.Sync.Number > 0:
		return step{"sync", s.Sync, history.History.Synced}
	}
	return step{}
}

// do takes a step and notes it.
func (d *Driver) do(ctx context.Context, h history.History, s step) (err error) {
	switch s.name {
	case "ack":
		err = d.opts.Keeper.Placement().WritesEnded(ctx, s.version)
	case "sync-ack":
		if err = d.opts.Keeper.Placement().ReadsEnded(ctx, s.version); err == nil {
			err = d.work(ctx, h, s, d.opts.HandOver)
		}
	case "sync":
		err = d.work(ctx, h, s, d.opts.Sync)
	}
	if err != nil {
		if !d.opts.Keeper.Now().Knows(s.version) {
			return errOvertaken
		}
		return err
	}
	_, err = d.opts.Keeper.Change(ctx, func(h history.History) (history.History, error) {
		return s.note(h, d.opts.Self, s.version), nil
	})
	return err
}

// work does what may take long, until it is done or the history asks for another step.
func (d *Driver) work(ctx context.Context, h history.History, s step, f func(context.Context, history.History, history.Version) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { done <- f(ctx, h, s.version) })
	for {
		select {
		case err := <-done:
			return err
		case <-d.changed:
			select { // of two that are ready a select takes any: the result goes first, so that runs repeat
			case err := <-done:
				return err
			default:
			}
			now := first(d.opts.Keeper.Now().Next(d.opts.Self))
			if now.name != s.name || now.version.ID != s.version.ID {
				cancel()
				return errOvertaken
			}
		}
	}
}

// pause waits before a retry, each node and each retry a time of its own.
func (d *Driver) pause(ctx context.Context, failures uint64) {
	name := fnv.New64a()
	name.Write([]byte("membership: pause"))
	wait := time.NewTimer(d.opts.Retry + time.Duration(d.opts.Rand(name.Sum64(), failures)%uint64(d.opts.Retry/4+1)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}
