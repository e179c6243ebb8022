package storage

import (
	"context"
	"fmt"

	"cartwheel/store"
)

// sampleRecords is how many records are looked at to tell how large they are.
const sampleRecords = 1000

// MeanRecordBytes returns about how many bytes one of the node's own records takes, by the first thousand; 0 if there is none.
func (r *Replica) MeanRecordBytes(ctx context.Context) (uint64, error) {
	if !r.gate.enter() {
		return 0, fmt.Errorf("storage: %w", store.ErrClosed)
	}
	defer r.gate.leave()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var records, size uint64
	err := r.data.Scan(dataPrefix, prefixEnd(dataPrefix), func(at, b []byte) bool {
		records++
		size += uint64(len(at) + len(b))
		return records < sampleRecords
	})
	if err != nil || records == 0 {
		return 0, err
	}
	return size / records, nil
}
