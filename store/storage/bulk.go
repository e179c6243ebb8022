package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

// A State is what a node holds of a key.
type State struct {
	Key    store.Key
	Set    version.Set
	Pruned version.Vector // entries that were pruned from the set's vector: who takes the record over remembers them, too
}

// State returns all that is in this node's own record of a key, without hints.
func (r *Replica) State(ctx context.Context, p ring.Partition, key store.Key) (State, error) {
	c, err := r.look(ctx, "read record", p, key, r.loadOwn)
	if err != nil {
		return State{}, err
	}
	return State{Key: key, Set: c.own.set, Pruned: c.own.pruned}, nil
}

// MergeAll joins states of one partition into the node's own records, as [Replica.Merge] does, all in one
// batch: one wait for the disk instead of many. The keys must ascend. It returns how many records changed; they are on disk.
func (r *Replica) MergeAll(ctx context.Context, p ring.Partition, states []State) (changed int, err error) {
	keys := make([]store.Key, len(states))
	for i, s := range states {
		keys[i] = s.Key
	}
	leave, err := r.enterAll(ctx, p, keys)
	if err != nil {
		return 0, fmt.Errorf("merge %d keys of partition %d: %w", len(states), p, err)
	}
	defer leave()
	if changed, err = r.mergeAll(ctx, p, states); err != nil {
		return 0, fmt.Errorf("merge %d keys of partition %d: %w", len(states), p, err)
	}
	return changed, nil
}

func (r *Replica) mergeAll(ctx context.Context, p ring.Partition, states []State) (changed int, err error) {
	if err := r.Healthy(); err != nil {
		return 0, err
	}
	var b Batch
	var leaves []newLeaf
	var begun []func()
	for _, s := range states {
		held, err := r.loadOwn(p, s.Key)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", s.Key, err)
		}
		rec := held.own
		if err := r.witness(ctx, s.Key, rec, s.Set.Vector); err != nil {
			return 0, fmt.Errorf("%q: %w", s.Key, err)
		}
		before := rec.set
		remembers := rec.pruned.Includes(s.Pruned)
		rec.pruned = rec.pruned.Join(s.Pruned)
		if rec.set = rec.merge(s.Set); rec.set.Equal(before) && (remembers || before.IsZero()) {
			if err := r.rehash(p, s.Key, rec); err != nil {
				return 0, fmt.Errorf("%q: %w", s.Key, err)
			}
			continue
		}
		at := dataKey(p, s.Key)
		b.Set(at, rec.encode(at))
		begin, err := r.beginAnew(&b, p, s.Key)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", s.Key, err)
		}
		begun = append(begun, begin)
		leaves = append(leaves, newLeaf{key: s.Key, sum: sumOf(s.Key, rec)})
		r.warnSiblings(s.Key, before, rec.set)
	}
	if len(leaves) == 0 {
		return 0, r.settle(false) // what it holds already may be in memory only
	}
	if err := r.writeWithLeaves(&b, p, leaves); err != nil {
		return 0, err
	}
	for _, done := range begun {
		done()
	}
	return len(leaves), nil
}

// DropAll deletes the node's own records of keys whose leaves are still those given: what was joined in since they were
// looked at may be nowhere else. The leaves go in the same batch. The keys must ascend. It returns how many went.
func (r *Replica) DropAll(ctx context.Context, p ring.Partition, known []merkle.Leaf) (dropped int, err error) {
	keys := make([]store.Key, len(known))
	for i, l := range known {
		keys[i] = l.Key
	}
	leave, err := r.enterAll(ctx, p, keys)
	if err != nil {
		return 0, fmt.Errorf("drop %d keys of partition %d: %w", len(known), p, err)
	}
	defer leave()
	if dropped, err = r.dropAll(p, known); err != nil {
		return 0, fmt.Errorf("drop %d keys of partition %d: %w", len(known), p, err)
	}
	return dropped, nil
}

func (r *Replica) dropAll(p ring.Partition, known []merkle.Leaf) (dropped int, err error) {
	var b Batch
	var leaves []newLeaf
	for _, l := range known {
		// The record itself is asked, not its leaf: one that is damaged stays, and so does one whose leaf is wrong.
		sum, damaged, err := r.recordSum(p, l.Key)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", l.Key, err)
		}
		if damaged || sum.IsZero() || sum != l.Sum {
			continue
		}
		b.Delete(dataKey(p, l.Key))
		leaves = append(leaves, newLeaf{key: l.Key})
	}
	return len(leaves), r.writeWithLeaves(&b, p, leaves)
}

// enterAll begins an operation on several keys of a partition. They must ascend: whoever takes
// several locks takes them in one order, so that no two wait for each other.
func (r *Replica) enterAll(ctx context.Context, p ring.Partition, keys []store.Key) (leave func(), err error) {
	var left []func()
	leave = func() {
		for _, l := range left {
			l()
		}
	}
	for i, key := range keys {
		if i > 0 && key <= keys[i-1] {
			leave()
			return nil, fmt.Errorf("%q behind %q: want keys that ascend: %w", key, keys[i-1], store.ErrInvalid)
		}
		l, err := r.enter(ctx, p, key, "")
		if err != nil {
			leave()
			return nil, err
		}
		left = append(left, l)
	}
	return leave, nil
}

// A newLeaf is what the leaf of a changed record becomes; the zero sum if the record goes. The leaf of a record in
// quarantine stays as it is, unless the change turns that.
type newLeaf struct {
	key   store.Key
	sum   merkle.Sum
	turns bool // the record comes into quarantine or out of it
}

// writeWithLeaves applies changes of the node's own records and their leaves in one batch. The caller has
// locked the keys.
func (r *Replica) writeWithLeaves(b *Batch, p ring.Partition, leaves []newLeaf) error {
	if len(leaves) == 0 {
		return nil
	}
	before, known := make([]merkle.Sum, len(leaves)), make([]bool, len(leaves))
	var errs []error
	for i, l := range leaves {
		var err error
		before[i], known[i], err = r.leafBefore(p, l.key)
		errs = append(errs, err)
		if !l.turns && r.quarantine.has(p, l.key) {
			l.sum = r.damagedSum(p, l.key)
			leaves[i] = l
		}
		at := leafKey(p, l.key)
		if l.sum.IsZero() {
			b.Delete(at)
		} else {
			b.Set(at, encodeLeaf(at, l.sum))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	end := r.forest.begin(p)
	if err := r.write(r.data, b); err != nil {
		end()
		return err
	}
	for i, l := range leaves {
		if known[i] {
			r.forest.replace(p, l.key, before[i], l.sum)
		}
	}
	end()
	if !slices.Contains(known, false) {
		return nil
	}
	// Neither the old leaf nor the old record could be read: what to take out of the sums is not known.
	if _, done, err := r.resum(context.Background(), p); err != nil || !done {
		r.log.Error("could not sum the leaves of a partition anew, the next check of the trees does", "partition", p, "err", err)
	}
	return nil
}
