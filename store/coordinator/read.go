package coordinator

import (
	"context"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/version"
)

// Get serves a read: any node may. It replies when R nodes have answered, with all
// versions that none of the answers supersedes. With store.RepairBlocking the reply waits
// until so many owners hold that result that every later quorum meets one of them.
func (c *Coordinator) Get(ctx context.Context, key store.Key, o store.ReadOptions) (store.ReadResult, error) {
	if err := c.checkRead(key, &o); err != nil {
		return store.ReadResult{}, err
	}
	if err := c.enter(); err != nil {
		return store.ReadResult{}, err
	}
	c.stats.gets.Add(1)
	r := newReading(c, key, o)
	if err := r.hopeless(); err != nil {
		defer c.leave()
		c.stats.failed.Add(1)
		return store.ReadResult{}, err
	}
	c.work.Go(func() {
		defer c.leave()
		r.run(ctx)
	})
	if err := <-r.done; err != nil {
		c.stats.failed.Add(1)
		return store.ReadResult{}, err
	}
	return r.result, nil
}

func (c *Coordinator) checkRead(key store.Key, o *store.ReadOptions) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if o.R == 0 {
		o.R = c.opts.R
	}
	switch n := c.opts.Layout.Replicas(); {
	case o.R < 1 || o.R > n:
		return fmt.Errorf("r is %d with %d replicas: %w", o.R, n, store.ErrInvalid)
	case o.Mode > store.Strict || o.Repair > store.RepairNone:
		return fmt.Errorf("mode %d, repair %d: %w", o.Mode, o.Repair, store.ErrInvalid)
	}
	return nil
}

// hopeless returns the error of a read that cannot succeed with the nodes that are up.
func (r *reading) hopeless() error {
	up := reachable(r.report.place, r.options.Mode, r.c.up)
	ownersUp := reachable(r.report.place, store.Strict, r.c.up)
	if up >= r.options.R && (r.options.Repair != store.RepairBlocking || ownersUp >= r.holdersNeeded()) {
		return nil
	}
	if up >= r.options.R {
		r.report.need = r.holdersNeeded()
	}
	r.noteSkipped()
	return fmt.Errorf("%d owners, %d nodes that count are up: %w", ownersUp, up, r.report.failure(0))
}

// holdersNeeded is how many owners must hold a result so that any R owners include one.
func (r *reading) holdersNeeded() int { return r.report.place.n - r.options.R + 1 }

func (r *reading) noteSkipped() {
	for _, o := range r.report.place.owners() {
		if !r.c.up(o) {
			r.report.skipped(o)
		}
	}
}

// conclude builds the result from what was shown so far.
func (r *reading) conclude() {
	r.merged = join(r.shown)
	for _, s := range r.shown {
		r.report.mark(s.ask, readState(s.set, r.merged), 0)
	}
}

// resultNow is the read's reply. It is taken at the moment of the reply.
func (r *reading) resultNow() store.ReadResult {
	siblings := r.merged.Siblings()
	meta := r.report.snapshot()
	meta.Siblings = len(siblings)
	meta.Repairs = r.repaired
	meta.Degraded = r.report.owners() < r.options.R
	if meta.Degraded {
		r.c.stats.degraded.Add(1)
	}
	token := version.Token{Vector: r.merged.Vector, Hint: fastest(r.report.place, meta.Replies)}
	return store.ReadResult{Siblings: siblings, Context: token.Encode(r.key), Meta: meta}
}
