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
	if !r.gate.enter() {
		return nil, "", fmt.Errorf("list tombstones of partition %d: %w", p, store.ErrClosed)
	}
	defer r.gate.leave()
	if err := ctx.Err(); err != nil {
		return nil, "", fmt.Errorf("list tombstones of partition %d: %w", p, context.Cause(ctx))
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
		if rec, bad := r.decode(at, b); bad == nil && dead(rec, latest) && !r.quarantine.has(p, key) {
			leaves = append(leaves, merkle.Leaf{Key: key, Sum: sumOf(key, rec)})
		}
		return seen < r.pageKeys && len(leaves) < limit
	})
	if err != nil {
		return nil, "", fmt.Errorf("list tombstones of partition %d: %w", p, err)
	}
	if seen < r.pageKeys && len(leaves) < limit {
		next = ""
	}
	return leaves, next, nil
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
