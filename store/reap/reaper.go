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
	"cartwheel/store/storage"
)

// LeavesMax bounds the leaves of one step.
const LeavesMax = 1024

// A Reaper collects the tombstones and retired actors of the partitions whose first owner this node is, and takes the steps that
// others ask of it. It is safe for concurrent use.
type Reaper struct {
	opts   Options
	log    *slog.Logger
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// What was confirmed and waits for a sweep to settle; the loop's alone.
	held  []batch
	base  history.Version // by which it was
	ready history.Version // by which all members were ready; number 0: they were not yet
	polls int             // quarters of Options.Poll since

	mu    sync.Mutex // guards stats
	stats Stats
}

// patience is after how many quarters of Options.Poll it is told that tombstones wait, and for what.
const patience = 240

// A batch is tombstones, or retired actors, of one partition that all owners have.
type batch struct {
	partition ring.Partition
	owners    []store.NodeID
	leaves    []merkle.Leaf
	retired   []storage.Retired
}

// Stats are counts since Start, and what is going on.
type Stats struct {
	Confirmed uint64 // tombstones that all owners were found to have
	Held      int    // of them, and of records with retired actors, those that wait
	Collected uint64 // records that this node has deleted, for itself or another
	Pruned    uint64 // entries that this node has pruned from vectors, likewise
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
			err = r.collect(ctx)
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
				s.Held += len(b.leaves) + len(b.retired)
			}
		})
	}
}

func (r *Reaper) pause(round uint64) time.Duration {
	switch {
	case len(r.held) == 0:
	case r.opts.Placement.Now().Settled(): // members are asked for more than this node knows
		r.polls += 4
		return r.opts.Poll
	default:
		r.polls++
		return r.opts.Poll / 4
	}
	name := fnv.New64a()
	name.Write([]byte("reap: pause"))
	return r.opts.Interval + time.Duration(r.opts.Rand(name.Sum64(), round)%uint64(r.opts.Interval/4+1))
}

// gather confirms tombstones and retired actors with all owners and asks for a sweep. It tells whether it looked at all.
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
		for _, page := range []page{
			func(after store.Key, limit int) (b batch, next store.Key, err error) {
				leaves, next, err := r.opts.Local.Tombstones(ctx, p, latest, after, limit)
				if err == nil {
					leaves, err = r.confirmed(ctx, h, p, owners, leaves)
				}
				return batch{p, owners, leaves, nil}, next, err
			},
			func(after store.Key, limit int) (b batch, next store.Key, err error) {
				retired, next, err := r.opts.Local.Retired(ctx, p, len(owners), after, limit)
				if err == nil {
					retired, err = r.agreed(ctx, h, p, owners, retired)
				}
				return batch{p, owners, nil, retired}, next, err
			},
		} {
			found, err := r.pages(ctx, &left, page)
			held = append(held, found...)
			if err != nil {
				errs = append(errs, fmt.Errorf("partition %d: %w", p, err))
			}
		}
	}
	// What was found under a layout that was not to stay says nothing: a new owner may have none of it.
	if now := r.opts.Placement.Now(); now.Newest().ID != h.Newest().ID {
		return true, fmt.Errorf("version %d of the layout came in between", now.Newest().Number)
	}
	r.held, r.base, r.ready = held, h.Oldest(), history.Version{}
	if len(held) > 0 {
		errs = append(errs, r.sweep(ctx, r.base.Number))
	}
	return true, errors.Join(errs...)
}

// A page looks at the records behind a key and returns of at most limit of them what all owners agree on, and where to go on.
type page func(after store.Key, limit int) (found batch, next store.Key, err error)

// pages goes through a partition until left keys were found, which it counts down.
func (r *Reaper) pages(ctx context.Context, left *int, look page) (found []batch, err error) {
	var after store.Key
	for more := true; more && *left > 0; more = after != "" {
		if err := r.opts.Admit(ctx, 0); err != nil {
			return found, err
		}
		b, next, err := look(after, min(*left, r.opts.Page))
		if err != nil {
			return found, err
		}
		if n := len(b.leaves) + len(b.retired); n > 0 {
			*left -= n
			found = append(found, b)
			r.note(func(s *Stats) { s.Confirmed += uint64(len(b.leaves)) })
		}
		after = next
	}
	return found, nil
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

// agreed returns of each record what is retired by all owners.
func (r *Reaper) agreed(ctx context.Context, h history.History, p ring.Partition, owners []store.NodeID, retired []storage.Retired) (_ []storage.Retired, err error) {
	for _, o := range owners {
		if len(retired) == 0 {
			return nil, nil
		}
		if o == r.opts.Self {
			retired, err = r.opts.Local.ConfirmRetired(ctx, p, retired)
		} else {
			retired, err = r.opts.Peers.ConfirmRetired(ctx, h.Stamp(), o, p, retired)
		}
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", o, err)
		}
	}
	return retired, nil
}

// sweep has the layout get a further version, unless it has one behind that number.
func (r *Reaper) sweep(ctx context.Context, behind uint64) error {
	_, err := r.opts.Keeper.Change(ctx, func(h history.History) (history.History, error) {
		if h.Newest().Number > behind {
			return h, nil
		}
		return h.Sweep(r.opts.Self, behind+1)
	})
	return err
}

// collect drops what was confirmed if a version has settled since, all members were ready by then, and have noted a sweep behind that.
func (r *Reaper) collect(ctx context.Context) error {
	h := r.opts.Placement.Now()
	switch {
	case !h.Settled():
		return fmt.Errorf("version %d of the layout is pending: all members must hear of it", h.Newest().Number)
	case h.Oldest().Number == r.base.Number:
		return r.sweep(ctx, r.base.Number)
	}
	r.held = slices.DeleteFunc(r.held, func(b batch) bool { return !slices.Equal(b.owners, h.Oldest().Layout.Owners(b.partition)) })
	if r.ready.Number == 0 || r.ready.Layout.Digest() != h.Oldest().Layout.Digest() { // who has joined since was not asked
		if err := r.allReady(ctx, h); err != nil {
			return err
		}
		r.ready = h.Oldest()
	}
	if h.Swept() <= r.ready.Number {
		return r.sweep(ctx, h.Oldest().Number)
	}
	held := r.held
	r.held = nil // whatever comes of it: what some cannot drop is confirmed anew
	var errs []error
	dropped, pruned := 0, 0
	for _, b := range held {
		d, p, err := r.drop(ctx, h, b)
		if dropped, pruned = dropped+d, pruned+p; err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", b.partition, err))
		}
	}
	if dropped+pruned > 0 {
		r.log.Info("collected tombstones and retired actors", "keys", dropped, "entries", pruned, "version", h.Oldest().Number)
	}
	return errors.Join(errs...)
}

// allReady returns nil if no member holds anything that was there before the version settled and could bring a deleted value back.
func (r *Reaper) allReady(ctx context.Context, h history.History) error {
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
	return nil
}

// drop has all owners delete the records of a batch, and prune the others. It returns what this node did of that.
func (r *Reaper) drop(ctx context.Context, h history.History, b batch) (dropped, pruned int, err error) {
	// Who has been given an older disk since has not what it had.
	leaves, err := r.confirmed(ctx, h, b.partition, b.owners, b.leaves)
	if err != nil {
		return 0, 0, err
	}
	retired, err := r.agreed(ctx, h, b.partition, b.owners, b.retired)
	if err != nil {
		return 0, 0, err
	}
	// This node last: as long as it has the tombstone, it finds it again.
	for _, o := range slices.Backward(b.owners) {
		local := o == r.opts.Self
		switch {
		case len(leaves) > 0 && local:
			dropped, err = r.Drop(ctx, h.Stamp(), b.partition, leaves)
		case len(leaves) > 0:
			_, err = r.opts.Peers.Drop(ctx, h.Stamp(), o, b.partition, leaves)
		case len(retired) > 0 && local:
			pruned, err = r.Prune(ctx, h.Stamp(), b.partition, retired)
		case len(retired) > 0:
			_, err = r.opts.Peers.Prune(ctx, h.Stamp(), o, b.partition, retired)
		}
		if err != nil {
			return dropped, pruned, fmt.Errorf("on %s: %w", o, err)
		}
	}
	return dropped, pruned, nil
}
