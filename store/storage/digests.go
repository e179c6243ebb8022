package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// A Digest is a key with a checksum of the state that a node has of it. Two nodes
// whose sums are equal have equal states.
type Digest struct {
	Partition ring.Partition
	Key       store.Key
	Sum       uint64
}

// Digests lists up to limit of the node's own records in the partitions that owned
// accepts, ordered by partition and then key, behind the cursor after (nil: from the start).
// next is the cursor to go on from, nil when there are no more; a page with a next is full.
//
// A damaged record is listed with a sum that no other node gives, so that a comparison
// finds it and goes on.
func (r *Replica) Digests(ctx context.Context, owned func(ring.Partition) bool, after []byte, limit int) (page []Digest, next []byte, err error) {
	if limit < 1 {
		return nil, nil, fmt.Errorf("digests: limit %d: %w", limit, store.ErrInvalid)
	}
	if !r.gate.enter() {
		return nil, nil, fmt.Errorf("storage: %w", store.ErrClosed)
	}
	defer r.gate.leave()
	lo := append([]byte(nil), dataPrefix...)
	if len(after) > 0 {
		lo = append(append(lo, after...), 0) // the first key behind after
	}
	for lo != nil {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		var more bool
		if page, lo, more, err = r.digestRun(owned, lo, page, limit); err != nil {
			return nil, nil, fmt.Errorf("digests: %w", err)
		}
		if more {
			last := page[len(page)-1]
			return page, cursorOf(last.Partition, last.Key), nil
		}
	}
	return page, nil, nil
}

// digestRun reads from lo to the first record of a partition that is not wanted, and
// returns where the next partition begins, so that what is not wanted is skipped, not read.
func (r *Replica) digestRun(owned func(ring.Partition) bool, lo []byte, page []Digest, limit int) (_ []Digest, resume []byte, more bool, err error) {
	var bad error
	err = r.data.Scan(lo, prefixEnd(dataPrefix), func(at, b []byte) bool {
		p, key, err := parseCursor(at[len(dataPrefix):])
		if err != nil {
			bad = fmt.Errorf("data key %x: %w", at, store.ErrCorrupt)
			return false
		}
		if !owned(p) {
			resume = binary.BigEndian.AppendUint16(append([]byte(nil), dataPrefix...), uint16(p)+1) // p < ring.PartitionsMax
			return false
		}
		if more = len(page) == limit; more {
			return false
		}
		page = append(page, Digest{Partition: p, Key: key, Sum: r.sum(at, b)})
		return true
	})
	return page, resume, more, errors.Join(err, bad)
}

func (r *Replica) sum(at, b []byte) uint64 {
	rec, err := r.decode(at, b)
	if err == nil {
		return rec.set.Digest()
	}
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64(nil, r.ids.identity().Node))
	h.Write(b)
	return h.Sum64()
}
