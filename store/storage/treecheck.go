package storage

import (
	"context"
	"errors"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
)

// A TreeCheck says what a check of the hash trees found. Apart from damaged records all of
// it was mended.
type TreeCheck struct {
	Keys    int // records looked at
	Leaves  int // leaves that were not those of their records
	Orphans int // leaves without a record
	Damaged int // records that cannot be read
	Trees   int // trees whose sums were not those of their leaves

	// Tombstones is how many of the node's own records could have been collected by their age for several looks. The node counts them, not the check.
	Tombstones int
}

// checkBytes is what a key costs to be checked, in bytes that are admitted: reading it and its leaf.
const checkBytes = 1 << 10

// Drift returns how much was wrong with the trees themselves.
func (c TreeCheck) Drift() int { return c.Leaves + c.Orphans + c.Trees }

// CheckTrees rebuilds the hash trees from the records and compares. It reads everything, which
// is what finds bytes that have gone bad since they were written: a damaged record gets a leaf that
// no other node has, so that comparisons with other owners find it too.
//
// Writes go on beside it; each key is locked for a moment. A tree that is written to all
// the time is compared as far as its leaves only.
func (r *Replica) CheckTrees(ctx context.Context) (check TreeCheck, err error) {
	if !r.gate.enter() {
		return check, fmt.Errorf("storage: %w", store.ErrClosed)
	}
	defer r.gate.leave()
	if err := r.eachKey(dataPrefix, func(page [][]byte) error {
		if err := r.opts.Admit(ctx, len(page)*checkBytes); err != nil {
			return err
		}
		for _, at := range page {
			p, key, err := parseCursor(at[len(dataPrefix):])
			if err != nil {
				return fmt.Errorf("data key %x: %w", at, store.ErrCorrupt)
			}
			if err := r.checkLeaf(ctx, p, key, &check); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return check, fmt.Errorf("check hash trees: records: %w", err)
	}
	if err := r.eachKey(leafPrefix, func(page [][]byte) error {
		if err := r.opts.Admit(ctx, len(page)*checkBytes); err != nil {
			return err
		}
		for _, at := range page {
			p, key, err := parseLeafKey(at)
			if err != nil {
				return err
			}
			if err := r.checkOrphan(ctx, p, key, &check); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return check, fmt.Errorf("check hash trees: leaves: %w", err)
	}
	for _, p := range r.forest.partitions() {
		if err := r.checkSums(ctx, p, &check); err != nil {
			return check, fmt.Errorf("check hash trees: partition %d: %w", p, err)
		}
	}
	r.drift.Add(uint64(check.Drift()))
	if check.Drift() > 0 || check.Damaged > 0 {
		r.log.Error("hash trees were not those of the records", "keys", check.Keys, "leaves", check.Leaves,
			"orphans", check.Orphans, "trees", check.Trees, "damaged", check.Damaged)
	}
	return check, nil
}

// checkLeaf compares the leaf of a record with the record.
func (r *Replica) checkLeaf(ctx context.Context, p ring.Partition, key store.Key, check *TreeCheck) error {
	unlock, err := r.locks.lock(ctx, string(cursorOf(p, key)))
	if err != nil {
		return err
	}
	defer unlock()
	want, damaged, err := r.recordSum(p, key)
	if err != nil {
		return err
	}
	got, err := r.leaf(p, key)
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		return err
	}
	unread := err != nil
	check.Keys++
	if damaged {
		check.Damaged++
		if err := r.setAside(p, key, errDamaged()); err != nil {
			return err
		}
		return nil
	}
	if got == want && !unread {
		return nil
	}
	check.Leaves++
	return r.writeWithLeaf(&Batch{}, p, key, want)
}

// checkOrphan removes a leaf whose record is not there.
func (r *Replica) checkOrphan(ctx context.Context, p ring.Partition, key store.Key, check *TreeCheck) error {
	unlock, err := r.locks.lock(ctx, string(cursorOf(p, key)))
	if err != nil {
		return err
	}
	defer unlock()
	if _, ok, err := r.data.Get(dataKey(p, key)); err != nil || ok || r.quarantine.has(p, key) {
		return err
	}
	if leaf, err := r.leaf(p, key); errors.Is(err, store.ErrCorrupt) {
		r.damagedLeaf(p, key, err) // of which record it was its key says, and that one is not there
	} else if err != nil || leaf.IsZero() {
		return err // it went with its record since the leaves were listed
	}
	check.Orphans++
	return r.writeWithLeaf(&Batch{}, p, key, merkle.Sum{})
}

// checkSums compares a tree in memory with the leaves on disk.
func (r *Replica) checkSums(ctx context.Context, p ring.Partition, check *TreeCheck) error {
	if err := r.opts.Admit(ctx, 0); err != nil {
		return err
	}
	right, done, err := r.resum(ctx, p)
	if done && !right {
		check.Trees++
	}
	return err
}

// recordSum returns the leaf that a record has to have. For a damaged one it is one that no other node
// has.
func (r *Replica) recordSum(p ring.Partition, key store.Key) (sum merkle.Sum, damaged bool, err error) {
	c, err := r.readOwn(p, key)
	switch {
	case r.quarantine.has(p, key), errors.Is(err, store.ErrCorrupt):
		return r.damagedSum(p, key), true, nil
	case err != nil:
		return merkle.Sum{}, false, err
	}
	return sumOf(key, c.own), false, nil
}
