package transfer

import (
	"context"
	"fmt"
	"slices"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
)

const (
	// segmentsAtOnce is of how many segments that differ the leaves are listed at a time.
	segmentsAtOnce = 16
	// passesMax bounds how often a partition is compared with one owner. What differs after that is written at
	// this moment, and reaches this node by itself.
	passesMax = 4
)

// Sync returns nil when this node has all that the owners of h.Oldest hold of the partitions that it gets by v. Those that were
// removed by force are not asked. If a node cannot be reached the others are asked all the same, and the next call goes on
// where this one has failed.
func (t *Transfers) Sync(ctx context.Context, h history.History, v history.Version) (err error) {
	if err := t.enter(ctx); err != nil {
		return err
	}
	defer t.leave()
	defer func() { t.rest(err) }()
	if t.finished != v.ID {
		t.finished, t.done = v.ID, map[job]bool{}
	}
	var jobs []job
	for _, m := range ring.Moves(h.Oldest().Layout, v.Layout) {
		for _, from := range m.From {
			if m.To == t.opts.Self && from != t.opts.Self && !h.Fenced(from) {
				jobs = append(jobs, job{m.Partition, from})
			}
		}
	}
	var errs []error
	for i, j := range jobs {
		if t.done[j] {
			continue
		}
		t.show(Work{Kind: "copy", Version: v.Number, Done: i, All: len(jobs), Partition: j.partition, Peer: j.peer})
		err := t.copy(ctx, v, j)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("copy partition %d: %w", j.partition, err))
			continue
		}
		t.done[j] = true
	}
	if len(errs) > 0 {
		return fmt.Errorf("%d of %d copies have failed, the first: %w", len(errs), len(jobs), errs[0])
	}
	return nil
}

// copy brings what one node has of a partition, and compares until there is nothing left to bring.
func (t *Transfers) copy(ctx context.Context, v history.Version, j job) error {
	for pass := range passesMax {
		changed, err := t.pass(ctx, v, j)
		if err != nil {
			return err
		}
		if changed == 0 {
			return nil
		}
		if pass == passesMax-1 {
			t.log.Info("a partition is written to while it is compared", "partition", j.partition, "peer", j.peer, "keys", changed)
		}
	}
	return nil
}

// pass compares once and merges what the other node has. It returns how many records changed by that.
func (t *Transfers) pass(ctx context.Context, v history.Version, j job) (changed int, err error) {
	w := t.walk(v, j)
	segments, err := w.Segments(ctx)
	if err != nil {
		return 0, err
	}
	for chunk := range slices.Chunk(segments, segmentsAtOnce) {
		differences, err := w.Leaves(ctx, chunk)
		if err != nil {
			return changed, err
		}
		var keys []store.Key
		for _, d := range differences {
			if !d.Remote.IsZero() {
				keys = append(keys, d.Key)
			}
		}
		slices.Sort(keys)
		for batch := range slices.Chunk(keys, t.opts.Batch) {
			n, err := t.bring(ctx, j, batch)
			if changed += n; err != nil {
				return changed, err
			}
		}
	}
	return changed, nil
}

// bring fetches and merges some keys.
func (t *Transfers) bring(ctx context.Context, j job, keys []store.Key) (changed int, err error) {
	for len(keys) > 0 {
		rctx, cancel := context.WithTimeout(ctx, t.opts.Timeout)
		fetched, err := t.opts.Peers.Fetch(rctx, j.peer, j.partition, keys)
		cancel()
		if err != nil {
			return changed, fmt.Errorf("fetch from %s: %w", j.peer, err)
		}
		if len(fetched) < 1 || len(fetched) > len(keys) {
			return changed, fmt.Errorf("%s answers for %d keys of %d: %w", j.peer, len(fetched), len(keys), store.ErrInvalid)
		}
		var states []storage.State
		size := 0
		for i, f := range fetched {
			if f.Damaged {
				t.damaged.Add(1)
				t.log.Error("a record cannot be copied because its owner cannot read it; the other owners are asked, too", "key", string(keys[i]), "peer", j.peer)
			}
			if size += f.SizeBytes; !f.Set.IsZero() {
				states = append(states, storage.State{Key: keys[i], Set: f.Set, Pruned: f.Pruned})
			}
		}
		n, err := t.opts.Local.MergeAll(ctx, j.partition, states)
		if err != nil {
			return changed, err
		}
		changed += n
		t.copied.Add(uint64(n))
		t.copiedBytes.Add(uint64(size))
		keys = keys[len(fetched):]
		if err := t.throttle(ctx, size); err != nil {
			return changed, err
		}
	}
	return changed, nil
}
