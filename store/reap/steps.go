package reap

import (
	"context"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
)

// settled returns what is known here if no change is pending and the stamp is that of the version in force.
func (r *Reaper) settled(at history.Stamp) (history.History, error) {
	h := r.opts.Placement.Now()
	if !h.Joined() || !h.Settled() || h.Stamp() != at {
		return h, fmt.Errorf("version %d of the layout is not settled on %s: %w", at.Number, r.opts.Self, store.ErrWrongRing)
	}
	return h, nil
}

// Confirm reports which leaves of a partition are those of this node's records on disk. The keys must ascend.
func (r *Reaper) Confirm(ctx context.Context, at history.Stamp, p ring.Partition, leaves []merkle.Leaf) (equal []bool, err error) {
	if _, err := r.settled(at); err != nil {
		return nil, err
	}
	return r.opts.Local.Confirm(ctx, p, leaves)
}

// Ready says what this node holds that was there before the version settled and could bring a deleted value back; nothing if
// there is none. What others began to store here before has been stored when it returns.
func (r *Reaper) Ready(ctx context.Context, at history.Stamp) (waitsFor string, err error) {
	h, err := r.settled(at)
	if err != nil {
		return "", err
	}
	if err := r.opts.Placement.JoinsEnded(ctx, h.Oldest()); err != nil {
		return "", fmt.Errorf("wait for what is being stored on %s: %w", r.opts.Self, err)
	}
	if n := r.opts.Local.HintsHeld(); n > 0 {
		return fmt.Sprintf("%d hints", n), nil
	}
	foreign := r.opts.Local.Trees(func(p ring.Partition) bool { return !h.Owns(r.opts.Self, p) })
	if len(foreign) > 0 {
		return fmt.Sprintf("records of %d partitions that others own", len(foreign)), nil
	}
	return "", nil
}

// Drop deletes the records of a partition that still have these leaves, and returns how many did. The keys must ascend.
func (r *Reaper) Drop(ctx context.Context, at history.Stamp, p ring.Partition, leaves []merkle.Leaf) (dropped int, err error) {
	if _, err := r.settled(at); err != nil {
		return 0, err
	}
	dropped, err = r.opts.Local.DropAll(ctx, p, leaves)
	r.note(func(s *Stats) { s.Collected += uint64(dropped) })
	return dropped, err
}

// ConfirmRetired returns of the entries of each record those that are in this node's own, on disk, and retired. The keys must ascend.
func (r *Reaper) ConfirmRetired(ctx context.Context, at history.Stamp, p ring.Partition, asked []storage.Retired) (both []storage.Retired, err error) {
	if _, err := r.settled(at); err != nil {
		return nil, err
	}
	return r.opts.Local.ConfirmRetired(ctx, p, asked)
}

// Prune takes the entries from the vectors of this node's records that still have them, and returns how many went. The keys must ascend.
func (r *Reaper) Prune(ctx context.Context, at history.Stamp, p ring.Partition, known []storage.Retired) (pruned int, err error) {
	if _, err := r.settled(at); err != nil {
		return 0, err
	}
	pruned, err = r.opts.Local.Prune(ctx, p, known)
	r.note(func(s *Stats) { s.Pruned += uint64(pruned) })
	return pruned, err
}
