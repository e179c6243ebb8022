package storage

import (
	"context"
	"errors"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
)

// Tombstones lists leaves of the node's own records of a partition that hold tombstones and nothing else, none stamped later than
// latest (nanoseconds since 1970), behind a key, in order, at most limit of them. It looks at every record, a page at a
// time: next is where to go on, empty at the end.
func (r *Replica) Tombstones(ctx context.Context, p ring.Partition, latest int64, after store.Key, limit int) (leaves []merkle.Leaf, next store.Key, err error) {
	next, err = r.eachRecord(ctx, p, after, func() bool { return len(leaves) >= limit }, func(key store.Key, rec record) {
		if dead(rec, latest) {
			leaves = append(leaves, merkle.Leaf{Key: key, Sum: sumOf(key, rec)})
		}
	})
	if err != nil {
		return nil, "", fmt.Errorf("list tombstones of partition %d: %w", p, err)
	}
	return leaves, next, nil
}

// eachRecord calls fn with the node's own records of a partition behind a key, in order, without those that are damaged, until full says so or
// a page of them was looked at. next is where to go on, empty at the end.
func (r *Replica) eachRecord(ctx context.Context, p ring.Partition, after store.Key, full func() bool, fn func(key store.Key, rec record)) (next store.Key, err error) {
	if !r.gate.enter() {
		return "", store.ErrClosed
	}
	defer r.gate.leave()
	if err := ctx.Err(); err != nil {
		return "", context.Cause(ctx)
	}
	lo, hi := append(dataKey(p, after), 0), prefixEnd(dataKey(p, ""))
	if after == "" {
		lo = dataKey(p, "")
	}
	seen := 0
	err = r.data.Scan(lo, hi, func(at, b []byte) bool {
		_, key, bad := parseCursor(at[len(dataPrefix):])
		if bad != nil {
			return true // reads of the key tell of it
		}
		seen, next = seen+1, key
		if rec, bad := r.decode(at, b); bad == nil && !r.quarantine.has(p, key) {
			fn(key, rec)
		}
		return seen < r.pageKeys && !full()
	})
	if err != nil {
		return "", err
	}
	if seen < r.pageKeys && !full() {
		next = ""
	}
	return next, nil
}

// HintsHeld returns how many hints the node holds, for whomever. Those that were set aside because they are damaged
// do not count: nobody will be sent them.
func (r *Replica) HintsHeld() int { return r.ledger.hints() }

// dead reports whether a record holds tombstones and nothing else, none of them later.
func dead(rec record, latest int64) bool {
	for _, v := range rec.set.Versions {
		if !v.Tombstone || v.Stamp > latest {
			return false
		}
	}
	return len(rec.set.Versions) > 0
}

// Confirm reports which of the leaves are those of the node's own records as they are on disk now: a loss of power
// does not take those back. The keys must ascend.
func (r *Replica) Confirm(ctx context.Context, p ring.Partition, leaves []merkle.Leaf) (equal []bool, err error) {
	keys := make([]store.Key, len(leaves))
	for i, l := range leaves {
		keys[i] = l.Key
	}
	leave, err := r.enterAll(ctx, p, keys)
	if err != nil {
		return nil, fmt.Errorf("confirm %d keys of partition %d: %w", len(leaves), p, err)
	}
	defer leave()
	equal = make([]bool, len(leaves))
	for i, l := range leaves {
		sum, damaged, err := r.recordSum(p, l.Key)
		if err != nil {
			return nil, fmt.Errorf("confirm %q: %w", l.Key, err)
		}
		equal[i] = !damaged && sum == l.Sum && !sum.IsZero()
	}
	if err := errors.Join(r.Healthy(), r.flushAll()); err != nil {
		return nil, fmt.Errorf("confirm %d keys of partition %d: %w", len(leaves), p, err)
	}
	return equal, nil
}
