package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
)

// HandOver returns nil when the owners of v have all that this node holds of the partitions that it gives up by v, and,
// if it leaves, when it holds no hints either. It comes after Sync of all: what it finds has arrived since then.
func (t *Transfers) HandOver(ctx context.Context, h history.History, v history.Version) (err error) {
	if err := t.enter(ctx); err != nil {
		return err
	}
	defer t.leave()
	defer func() { t.rest(err) }()
	var jobs []job
	for p := range ring.Partition(v.Layout.Partitions()) {
		if h.Oldest().Layout.Owns(t.opts.Self, p) && !v.Layout.Owns(t.opts.Self, p) {
			jobs = append(jobs, t.owners(h, v, p)...)
		}
	}
	for i, j := range jobs {
		t.show(Work{Kind: "hand over", Version: v.Number, Done: i, All: len(jobs), Partition: j.partition, Peer: j.peer})
		w := t.walk(v, j)
		segments, err := w.Segments(ctx)
		if err != nil {
			return fmt.Errorf("hand over partition %d: %w", j.partition, err)
		}
		for chunk := range slices.Chunk(segments, segmentsAtOnce) {
			if err := t.hand(ctx, v, j, chunk); err != nil {
				return fmt.Errorf("hand over partition %d: %w", j.partition, err)
			}
		}
	}
	if _, stays := v.Layout.Member(t.opts.Self); stays {
		return nil
	}
	stats, err := t.opts.Local.HintTargets(ctx)
	for _, s := range stats {
		err = errors.Join(err, fmt.Errorf("%d hints for %s wait on this node, which leaves", s.Hints, s.Target))
	}
	return err
}

// owners are those whom a partition is handed to.
func (t *Transfers) owners(h history.History, v history.Version, p ring.Partition) (out []job) {
	for _, o := range v.Layout.Owners(p) {
		if o != t.opts.Self && !h.Fenced(o) {
			out = append(out, job{p, o})
		}
	}
	return out
}

// hand sends a node what it lacks of some segments.
func (t *Transfers) hand(ctx context.Context, v history.Version, j job, segments []merkle.Segment) error {
	differences, err := t.walk(v, j).Leaves(ctx, segments)
	if err != nil {
		return err
	}
	var keys []store.Key
	for _, d := range differences {
		if !d.Local.IsZero() {
			keys = append(keys, d.Key)
		}
	}
	slices.Sort(keys)
	for batch := range slices.Chunk(keys, t.opts.Batch) {
		var states []storage.State
		for _, k := range batch {
			state, err := t.opts.Local.State(ctx, j.partition, k)
			if errors.Is(err, store.ErrCorrupt) {
				t.log.Error("a record that another node owns cannot be read; it stays here", "key", string(k), "err", err)
				continue
			}
			if err != nil {
				return err
			}
			if !state.Set.IsZero() {
				states = append(states, state)
			}
		}
		if err := t.send(ctx, j, states); err != nil {
			return err
		}
	}
	return nil
}

// sizeBytesMax bounds the states of one message, unless a single one is larger.
const sizeBytesMax = 1 << 20

// send hands states to a node, in messages of a limited size.
func (t *Transfers) send(ctx context.Context, j job, states []storage.State) error {
	for len(states) > 0 {
		count, size := 0, 0
		for count < len(states) && (count == 0 || size < sizeBytesMax) {
			size += len(states[count].Key) + len(states[count].Set.Encode())
			count++
		}
		rctx, cancel := context.WithTimeout(ctx, t.opts.Timeout)
		err := t.opts.Peers.HandOver(rctx, j.peer, j.partition, states[:count])
		cancel()
		if err != nil {
			return fmt.Errorf("to %s: %w", j.peer, err)
		}
		t.handed.Add(uint64(count))
		states = states[count:]
		if err := t.throttle(ctx, size); err != nil {
			return err
		}
	}
	return nil
}

// clear drops the records of partitions that others own, once these have them.
func (t *Transfers) clear(ctx context.Context) (err error) {
	h := t.opts.Placement.Now()
	if !h.Joined() || !h.Settled() {
		return nil
	}
	if h.Fenced(t.opts.Self) {
		return t.handHints(ctx, h)
	}
	trees := t.Foreign()
	if len(trees) == 0 {
		return nil
	}
	defer func() { t.rest(err) }()
	var errs []error
	for i, tree := range trees {
		t.show(Work{Kind: "drop", Version: h.Oldest().Number, Done: i, All: len(trees), Partition: tree.Partition})
		switch err := t.drop(ctx, tree.Partition); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errBusy):
			return nil
		case err != nil:
			errs = append(errs, fmt.Errorf("drop partition %d: %w", tree.Partition, err))
		}
	}
	return errors.Join(errs...)
}

// Foreign returns the trees of partitions that this node owns in no live version.
func (t *Transfers) Foreign() []storage.TreeStat {
	h := t.opts.Placement.Now()
	return t.opts.Local.Trees(func(p ring.Partition) bool { return !h.Owns(t.opts.Self, p) })
}

// drop deletes the records of a partition, a few segments at a time.
func (t *Transfers) drop(ctx context.Context, p ring.Partition) error {
	var segments []merkle.Segment
	groups := t.opts.Local.TreeGroups(p)
	for g := range groups {
		if groups[g].IsZero() {
			continue
		}
		sums := t.opts.Local.TreeSegments(p, g)
		for i := range sums {
			if !sums[i].IsZero() {
				segments = append(segments, merkle.Segment(g*merkle.Fanout+i))
			}
		}
	}
	dropped := 0
	for chunk := range slices.Chunk(segments, segmentsAtOnce) {
		n, err := t.dropSegments(ctx, p, chunk)
		if dropped += n; err != nil {
			return err
		}
	}
	if dropped > 0 {
		t.log.Info("dropped records that others own", "partition", p, "keys", dropped)
	}
	return nil
}

// dropSegments holds the slot, so that it and a copy of the same partition, for a version that brings it back, do not meet.
func (t *Transfers) dropSegments(ctx context.Context, p ring.Partition, segments []merkle.Segment) (int, error) {
	if err := t.enter(ctx); err != nil {
		return 0, err
	}
	defer t.leave()
	h := t.opts.Placement.Now()
	if !h.Settled() || h.Fenced(t.opts.Self) || h.Owns(t.opts.Self, p) {
		return 0, errBusy
	}
	if _, err := t.opts.Local.Release(ctx, p); err != nil {
		return 0, err
	}
	// Listed first: what changes from now on is not among what may go.
	known, err := t.listed(ctx, p, segments)
	if err != nil {
		return 0, err
	}
	for _, j := range t.owners(h, h.Oldest(), p) {
		if err := t.hand(ctx, h.Oldest(), j, segments); err != nil {
			return 0, err
		}
	}
	dropped := 0
	for batch := range slices.Chunk(known, t.opts.Batch) {
		n, err := t.opts.Local.DropAll(ctx, p, batch)
		dropped += n
		t.dropped.Add(uint64(n))
		if err == nil {
			err = t.opts.Admit(ctx, 0)
		}
		if err != nil {
			return dropped, err
		}
	}
	return dropped, nil
}

// listed returns all local leaves of some segments.
func (t *Transfers) listed(ctx context.Context, p ring.Partition, segments []merkle.Segment) (all []merkle.Leaf, err error) {
	for _, seg := range segments {
		var after store.Key
		for more := true; more; {
			var page []merkle.Leaf
			if page, more, err = t.opts.Local.TreeLeaves(ctx, p, seg, after, t.opts.Page); err != nil {
				return nil, err
			}
			if len(page) > 0 {
				after = page[len(page)-1].Key
			}
			all = append(all, page...)
		}
	}
	slices.SortFunc(all, func(a, b merkle.Leaf) int { return cmp.Compare(a.Key, b.Key) })
	return all, nil
}

// errBusy ends a round that a change of the layout has overtaken.
var errBusy = errors.New("the layout is changing")

// handHints gives the hints of a node that was removed to those who own their keys: nobody takes them
// as hints from it any more.
func (t *Transfers) handHints(ctx context.Context, h history.History) error {
	targets, err := t.opts.Local.HintTargets(ctx)
	if err != nil {
		return err
	}
	for _, target := range targets {
		var after []byte
		for more := true; more; {
			hints, next, err := t.opts.Local.NextHints(ctx, target.Target, after, t.opts.Batch)
			if err != nil && !errors.Is(err, store.ErrCorrupt) {
				return err
			}
			for _, one := range hints {
				for _, j := range t.owners(h, h.Oldest(), one.Partition) {
					if err := t.send(ctx, j, []storage.State{{Key: one.Key, Set: one.Set}}); err != nil {
						return fmt.Errorf("hint of %q: %w", one.Key, err)
					}
				}
				if _, err := t.opts.Local.DropHint(ctx, one); err != nil {
					return err
				}
			}
			after, more = next, next != nil
		}
	}
	return nil
}
