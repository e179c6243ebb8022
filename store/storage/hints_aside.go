package storage

import (
	"context"
	"fmt"
)

// rereads is how often a hint is read before it counts as damaged: the wrong bit may have come with the
// read, and another read of the same hint bring it whole.
const rereads = 3

// setHintAside takes a damaged hint out of those that wait. Nobody has another copy of it as a hint, so it
// cannot be made whole, and while it waited it would hold up every request for its key here and keep the
// node from ever being settled or leaving. Its write is where else it was stored, from where
// comparisons bring it to the owner that lacks it. The bytes are kept for whoever wants to look. One that
// turns out whole, or is gone, stays as it is.
func (r *Replica) setHintAside(ctx context.Context, h Hint) error {
	leave, err := r.enter(ctx, h.Partition, h.Key, h.Target)
	if err != nil {
		return fmt.Errorf("set aside a damaged hint: %w", err)
	}
	defer leave()
	at := hintKey(h.Partition, h.Key, h.Target)
	var stored []byte
	for range rereads {
		b, ok, err := r.hints.Get(at)
		if err != nil {
			return fmt.Errorf("set aside a damaged hint: %w", err)
		}
		if _, err := decodeRecord(at, b); err == nil || !ok {
			return nil
		}
		stored = b
	}
	var b Batch
	b.Delete(at)
	b.Delete(indexKey(h.Partition, h.Key, h.Target))
	b.Set(asideKey(at), stored)
	if err := r.write(r.hints, &b); err != nil {
		return fmt.Errorf("set aside a damaged hint: %w", err)
	}
	r.ledger.add(h.Target, -1, -len(at)-len(stored))
	r.log.Error("set aside a damaged hint, its owner is left to other copies", "key", string(h.Key), "target", h.Target)
	return nil
}
