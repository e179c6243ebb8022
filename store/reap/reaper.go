package reap

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"time"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
)

// LeavesMax bounds the leaves of one step.
const LeavesMax = 1024

// A Reaper collects the tombstones of the partitions whose first owner this node is, and takes the steps that
// others ask of it. It is safe for concurrent use.
type Reaper struct {
	opts   Options
	log    *slog.Logger
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// What was confirmed and waits for a sweep to settle; the loop's alone.
	held  []batch
	base  history.Version // by which it was
	polls int             // looks at it since

	mu    sync.Mutex // guards stats
	stats Stats
}

// patience is after how many looks it is told that tombstones wait, and for what.
const patience = 60

// A batch is tombstones of one partition that all owners have.
type batch struct {
	partition ring.Partition
	owners    []store.NodeID
	leaves    []merkle.Leaf
}

// Stats are counts since Start, and what is going on.
type Stats struct {
	Confirmed uint64 // tombstones that all owners were found to have
	Held      int    // of them, those that wait
	Collected uint64 // records that this node has deleted, for itself or another
	Looks     uint64 // that came to their end: all partitions were looked through, and what was confirmed has been dropped
	Waits     string // why nothing goes on; empty: nothing waits
}

// Start begins to look for tombstones, if the interval says so.
func Start(o Options) (*Reaper, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Reaper{opts: o, log: o.Logger.With("component", "reap")}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	if o.Interval > 0 {
		r.wg.Go(func() { r.loop(ctx) })
	}
	return r, nil
}

// Close ends the step under way. What was confirmed is forgotten, and found again by the next life.
func (r *Reaper) Close() error {
	r.cancel()
	r.wg.Wait()
	return nil
}

// Stats returns the counts.
func (r *Reaper) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

func (r *Reaper) note(change func(*Stats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.stats)
}

func (r *Reaper) loop(ctx context.Context) {
	for round := uint64(0); ; round++ {
		wait := time.NewTimer(r.pause(round))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		var err error
		looked := true
		if len(r.held) == 0 {
			r.polls = 0
			looked, err = r.gather(ctx)
		} else {
			r.polls, err = r.polls+1, r.collect(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		waits := ""
		if err != nil {
			waits = err.Error()
		}
		if told := r.Stats().Waits; waits != "" && told == "" && r.polls > patience {
			r.log.Info("tombstones wait to be collected", "for", waits)
		} else if waits != "" && r.polls <= patience {
			waits = "" // it would be told of every sweep
		}
		r.note(func(s *Stats) {
			s.Waits, s.Held = waits, 0
			if looked && err == nil && len(r.held) == 0 {
				s.Looks++
			}
			for _, b := range r.held {
				s.Held += len(b.leaves)
			}
		})
	}
}

func (r *Reaper) pause(round uint64) time.Duration {
	if len(r.held) > 0 {
		return r.opts.Poll
	}
	name := fnv.New64a()
	name.Write([]byte("reap: pause"))
	return r.opts.Interval + time.Duration(r.opts.Rand(name.Sum64(), round)%uint64(r.opts.Interval/4+1))
}

// gather confirms tombstones with all their owners and asks for a sweep. It tells whether it looked at all.
func (r *Reaper) gather(ctx context.Context) (looked bool, err error) {
	h := r.opts.Placement.Now()
	if !h.Joined() || !h.Settled() || !h.Coordinates(r.opts.Self) {
		return false, nil // another time
	}
	l, left := h.Oldest().Layout, r.opts.KeysMax
	latest := r.opts.Clock.Now().Add(-r.opts.Grace).UnixNano()
	var held []batch
	var errs []error
	for p := range ring.Partition(l.Partitions()) {
		owners := l.Owners(p)
		if len(owners) == 0 || owners[0] != r.opts.Self {
			continue
		}
		var after store.Key
		for more := true; more && left > 0; {
			var leaves []merkle.Leaf
			var next store.Key
			err := r.opts.Admit(ctx, 0)
			if err == nil {
				leaves, next, err = r.opts.Local.Tombstones(ctx, p, latest, after, min(left, r.opts.Page))
			}
			if err == nil {
				leaves, err = r.confirmed(ctx, h, p, owners, leaves)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("partition %d: %w", p, err))
				break
			}
			if len(leaves) > 0 {
				left -= len(leaves)
				held = append(held, batch{p, owners, leaves})
				r.note(func(s *Stats) { s.Confirmed += uint64(len(leaves)) })
			}
			after, more = next, next != ""
		}
	}
	// What was found under a layout that was not to stay says nothing: a new owner may have none of it.
	if now := r.opts.Placement.Now(); now.Newest().ID != h.Newest().ID {
		return true, fmt.Errorf("version %d of the layout came in between", now.Newest().Number)
	}
	r.held, r.base = held, h.Oldest()
	if len(held) > 0 {
		errs = append(errs, r.sweep(ctx))
	}
	return true, errors.Join(errs...)
}

// confirmed returns those leaves that all owners have.
func (r *Reaper) confirmed(ctx context.Context, h history.History, p ring.Partition, owners []store.NodeID, leaves []merkle.Leaf) ([]merkle.Leaf, error) {
	for _, o := range owners {
		if len(leaves) == 0 {
			return nil, nil
		}
		var equal []bool
		var err error
		if o == r.opts.Self {
			equal, err = r.opts.Local.Confirm(ctx, p, leaves)
		} else {
			equal, err = r.opts.Peers.Confirm(ctx, h.Stamp(), o, p, leaves)
		}
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", o, err)
		}
		var both []merkle.Leaf
		for i, l := range leaves {
			if equal[i] {
				both = append(both, l)
			}
		}
		leaves = both
	}
	return leaves, nil
}

// sweep has the layout get a further version, unless it has one since the leaves were confirmed.
func (r *Reaper) sweep(ctx context.Context) error {
	_, err := r.opts.Keeper.Change(ctx, func(h history.History) (history.History, error) {
		if h.Newest().Number > r.base.Number {
			return h, nil
		}
		return h.Sweep(r.opts.Self, r.base.Number+1)
	})
	return err
}

// collect drops what was confirmed if a sweep has settled and all members are ready.
func (r *Reaper) collect(ctx context.Context) error {
	h := r.opts.Placement.Now()
	switch {
	case !h.Settled():
		return fmt.Errorf("version %d of the layout is pending: all members must hear of it", h.Newest().Number)
	case h.Oldest().Number == r.base.Number:
		return r.sweep(ctx)
	}
	r.held = slices.DeleteFunc(r.held, func(b batch) bool { return !slices.Equal(b.owners, h.Oldest().Layout.Owners(b.partition)) })
	for _, m := range h.Waits() {
		var waits string
		var err error
		if m == r.opts.Self {
			waits, err = r.Ready(ctx, h.Stamp())
		} else {
			waits, err = r.opts.Peers.Ready(ctx, h.Stamp(), m)
		}
		if err != nil {
			return fmt.Errorf("ask %s: %w", m, err)
		}
		if waits != "" {
			return fmt.Errorf("%s holds %s", m, waits)
		}
	}
	held := r.held
	r.held = nil // whatever comes of it: what some cannot drop is confirmed anew
	var errs []error
	dropped := 0
	for _, b := range held {
		// Who has been given an older disk since has not what it had.
		leaves, err := r.confirmed(ctx, h, b.partition, b.owners, b.leaves)
		if err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", b.partition, err))
			continue
		}
		// This node last: as long as it has the tombstone, it finds it again.
		for _, o := range slices.Backward(b.owners) {
			n, err := 0, error(nil)
			if o == r.opts.Self {
				n, err = r.Drop(ctx, h.Stamp(), b.partition, leaves)
				dropped += n
			} else {
				_, err = r.opts.Peers.Drop(ctx, h.Stamp(), o, b.partition, leaves)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("partition %d, on %s: %w", b.partition, o, err))
				break
			}
		}
	}
	if dropped > 0 {
		r.log.Info("collected tombstones", "keys", dropped, "version", h.Oldest().Number)
	}
	return errors.Join(errs...)
}
