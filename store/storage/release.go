package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
)

// Release lets go of the damaged records of a partition that this node does not own any more:
// only owners restore each other's, so they would stay in quarantine, and the partition here, for ever. What was
// written to one since the damage becomes an ordinary record; the damaged bytes are kept for whoever wants to
// look, and count for nothing. It returns how many there were.
func (r *Replica) Release(ctx context.Context, p ring.Partition) (released int, err error) {
	for _, key := range r.quarantine.of(p) {
		if err := r.release(ctx, p, key); err != nil {
			return released, fmt.Errorf("release %q: %w", key, err)
		}
		released++
	}
	return released, nil
}

func (r *Replica) release(ctx context.Context, p ring.Partition, key store.Key) error {
	leave, err := r.enter(ctx, p, key, "")
	if err != nil {
		return err
	}
	defer leave()
	if !r.quarantine.has(p, key) {
		return nil
	}
	stored, _, err := r.data.Get(quarantineKey(p, key))
	if err != nil {
		return err
	}
	var b Batch
	b.Delete(quarantineKey(p, key))
	b.Set(releasedKey(p, key), decodeNote(stored).evidence)
	var sum merkle.Sum
	switch since, err := r.readOwn(p, key); {
	case errors.Is(err, store.ErrCorrupt):
		b.Delete(dataKey(p, key))
	case err != nil:
		return err
	case since.ownBytes > 0:
		sum = sumOf(key, since.own)
	}
	if err := r.writeWithLeaves(&b, p, []newLeaf{{key: key, sum: sum, turns: true}}); err != nil {
		return err
	}
	r.quarantine.remove(p, key)
	r.log.Warn("let go of a damaged record that others own", "key", string(key), "partition", p)
	return nil
}

// of lists the keys of a partition, sorted.
func (q *quarantine) of(p ring.Partition) (keys []store.Key) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for at := range q.keys {
		if in, key, err := parseCursor([]byte(at)); err == nil && in == p {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
