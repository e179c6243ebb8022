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
	floor, err := c.checkRead(key, &o)
	if err != nil {
		return store.ReadResult{}, err
	}
	if err := c.enter(); err != nil {
		return store.ReadResult{}, err
	}
	h, end := c.opts.Placement.Read()
	leave := func() { end(); c.leave() }
	if err := c.mayCoordinate(h); err != nil {
		leave()
		return store.ReadResult{}, err
	}
	c.stats.gets.Add(1)
	ctx, cancel := within(ctx, o.Timeout)
	defer cancel()
	r := newReading(c, h, key, o, floor)
	r.request = store.RequestOf(ctx)
	if err := r.hopeless(); err != nil {
		defer leave()
		c.stats.failed.Add(1)
		return store.ReadResult{}, err
	}
	err = r.ask(ctx)
	c.start(func() { // it changes nothing of what is looked at here
		defer leave()
		r.finish()
	})
	if err != nil {
		c.stats.failed.Add(1)
		return store.ReadResult{}, err
	}
	c.stats.versions[min(len(r.result.Siblings), VersionsCounted-1)].Add(1)
	return r.result, nil
}

// checkRead fills in defaults, refuses what no node would serve, and opens the floor.
func (c *Coordinator) checkRead(key store.Key, o *store.ReadOptions) (floor version.Vector, err error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if *o, err = c.defaults(key).read(*o); err != nil {
		return nil, err
	}
	token, err := version.DecodeToken(key, o.Floor)
	if err == nil && len(token.Vector) > 0 && o.Timeout == 0 {
		o.Timeout = 2 * c.opts.ReplicaTimeout // a wait needs an end even if its caller set none
	}
	return token.Vector, err
}

// hopeless returns the error of a read that cannot succeed with the nodes that are up.
func (r *reading) hopeless() error {
	counted, have, need := unmet(readConditions(r.options), r.report.place, r.options.Mode, r.c.up)
	for _, owners := range r.holding {
		ownersUp := countUp(owners, r.c.up)
		if need == 0 && r.options.Repair == store.RepairBlocking && ownersUp < r.holdersNeeded() {
			counted, have, need = "owners", ownersUp, r.holdersNeeded()
		}
	}
	if need == 0 {
		return nil
	}
	r.noteSkipped()
	missed := r.report.failure(0)
	missed.Counted, missed.Need = counted, need
	return fmt.Errorf("%d that count are up: %w", have, missed)
}

// holdersNeeded is how many owners must hold a result so that any R owners include one.
func (r *reading) holdersNeeded() int { return r.report.place.n - r.options.R + 1 }

// held returns how many owners hold the result, in that version of the layout in which fewest do.
func (r *reading) held() int {
	least := r.report.place.n
	for _, owners := range r.holding {
		least = min(least, countUp(owners, func(n store.NodeID) bool { return r.secured[n] }))
	}
	return least
}

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
	siblings := r.c.shown(r.key, r.merged)
	meta := r.report.snapshot()
	meta.Siblings, meta.VectorEntries = len(siblings), len(r.merged.Vector)
	meta.Repairs, meta.Rounds = r.repaired, r.rounds
	meta.Degraded = r.report.owners() < r.options.R
	if meta.Degraded {
		r.c.stats.degraded.Add(1)
	}
	token := version.Token{Vector: r.merged.Vector, Hint: fastest(r.report.place, meta.Replies)}
	return store.ReadResult{Siblings: siblings, Context: token.Encode(r.key), Meta: meta}
}

// shown returns the siblings of a state that its reader is to see: all of them, or the
// last one written where the bucket says so. The reader's context covers the others too.
func (c *Coordinator) shown(key store.Key, s version.Set) []store.Sibling {
	if c.opts.Buckets.Of(key).LastWriteWins {
		return s.LastWritten()
	}
	return s.Siblings()
}
