package storage

import (
	"context"
	"fmt"

	"cartwheel/store"
)

// History returns what KeepHistory kept last; nil if it never did. The caller owns the slice.
func (r *Replica) History(ctx context.Context) ([]byte, error) {
	if !r.gate.enter() {
		return nil, fmt.Errorf("storage: %w", store.ErrClosed)
	}
	defer r.gate.leave()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, _, err := r.data.Get(historyKey)
	if err != nil {
		return nil, fmt.Errorf("read the history of layouts: %w", err)
	}
	return b, nil
}

// KeepHistory replaces the bytes of the node's history of layouts. They are on disk when it returns; after an
// error they may be. The caller sees to it that calls come one after the other.
func (r *Replica) KeepHistory(ctx context.Context, b []byte) error {
	if !r.gate.enter() {
		return fmt.Errorf("storage: %w", store.ErrClosed)
	}
	defer r.gate.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	var batch Batch
	batch.Set(historyKey, b)
	if err := r.write(r.data, &batch); err != nil {
		return fmt.Errorf("keep the history of layouts: %w", err)
	}
	return nil
}
