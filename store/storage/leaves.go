package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
)

// leafFormat is how leaves are stored: 1 had no checksum.
const leafFormat = 2

// leavesMark is stored when all records have their leaves.
var leavesMark = []byte{merkle.Format, leafFormat}

// encodeLeaf returns the bytes of a leaf that will be stored under dbKey. The checksum covers the key too. A
// wrong sum would go unnoticed into the sums above it, and equal owners would differ for ever.
func encodeLeaf(dbKey []byte, sum merkle.Sum) []byte {
	b := append([]byte{merkle.Format}, sum[:]...)
	return binary.BigEndian.AppendUint32(b, recordSum(dbKey, b))
}

// decodeLeaf reads what encodeLeaf wrote. Anything else gives an error that wraps store.ErrCorrupt.
func decodeLeaf(dbKey, b []byte) (merkle.Sum, error) {
	const size = 1 + len(merkle.Sum{})
	if len(b) != size+4 || b[0] != merkle.Format {
		return merkle.Sum{}, fmt.Errorf("leaf %x, want %d bytes of format %d: %w", b, size+4, merkle.Format, store.ErrCorrupt)
	}
	if got, want := binary.BigEndian.Uint32(b[size:]), recordSum(dbKey, b[:size]); got != want {
		return merkle.Sum{}, fmt.Errorf("leaf with checksum %08x, want %08x: %w", got, want, store.ErrCorrupt)
	}
	return merkle.Sum(b[1:size]), nil
}

// segmentOf begins the leaves of a segment, and of no other.
func segmentOf(p ring.Partition, seg merkle.Segment) []byte {
	b := binary.BigEndian.AppendUint16([]byte("t/"), uint16(p))
	return binary.BigEndian.AppendUint16(b, uint16(seg))
}

func leafKey(p ring.Partition, key store.Key) []byte {
	return append(segmentOf(p, merkle.SegmentOf(key)), key...)
}

// parseLeafKey is the inverse of leafKey.
func parseLeafKey(b []byte) (p ring.Partition, key store.Key, err error) {
	const head = 2 + partSizeBytes + 2
	if len(b) <= head {
		return 0, "", fmt.Errorf("leaf key %x: %w", b, store.ErrCorrupt)
	}
	p, key = ring.Partition(binary.BigEndian.Uint16(b[2:])), store.Key(b[head:])
	if merkle.Segment(binary.BigEndian.Uint16(b[4:])) != merkle.SegmentOf(key) || p >= ring.PartitionsMax {
		return 0, "", fmt.Errorf("leaf key %x: in another segment than its key: %w", b, store.ErrCorrupt)
	}
	return p, key, nil
}

// leaf returns the sum on disk for a key, zero if there is none. Like a record it is read again before it counts
// as damaged.
func (r *Replica) leaf(p ring.Partition, key store.Key) (sum merkle.Sum, err error) {
	for range readsMax {
		if sum, err = r.leafOnce(p, key); !errors.Is(err, store.ErrCorrupt) {
			break
		}
	}
	return sum, err
}

func (r *Replica) leafOnce(p ring.Partition, key store.Key) (merkle.Sum, error) {
	b, ok, err := r.data.Get(leafKey(p, key))
	if err != nil || !ok {
		return merkle.Sum{}, err
	}
	return decodeLeaf(leafKey(p, key), b)
}

// leafBefore returns what the sums in memory have of a key that is about to change, and whether that is
// known. Where the leaf cannot be read it is that of the record, which is still the old one.
func (r *Replica) leafBefore(p ring.Partition, key store.Key) (sum merkle.Sum, known bool, err error) {
	if sum, err = r.leaf(p, key); err == nil || !errors.Is(err, store.ErrCorrupt) {
		return sum, err == nil, err
	}
	r.damagedLeaf(p, key, err)
	if r.quarantine.has(p, key) {
		return r.damagedSum(p, key), true, nil
	}
	// A record that is only now found to be damaged is in the sums with what it was.
	sum, damaged, err := r.recordSum(p, key)
	return sum, err == nil && !damaged, err
}

func (r *Replica) damagedLeaf(p ring.Partition, key store.Key, err error) {
	r.drift.Add(1)
	r.log.Error("read a damaged leaf of a hash tree", "partition", p, "key", string(key), "err", err)
}

// mendLeaf writes a leaf that was found damaged anew, from its record, and returns it. One that can be
// read by now stays.
func (r *Replica) mendLeaf(ctx context.Context, p ring.Partition, key store.Key) (merkle.Sum, error) {
	unlock, err := r.locks.lock(ctx, string(cursorOf(p, key)))
	if err != nil {
		return merkle.Sum{}, err
	}
	defer unlock()
	sum, err := r.leaf(p, key)
	if err == nil || !errors.Is(err, store.ErrCorrupt) {
		return sum, err
	}
	if sum, _, err = r.recordSum(p, key); err != nil {
		return merkle.Sum{}, err
	}
	return sum, r.writeWithLeaf(&Batch{}, p, key, sum)
}

// rehash makes the leaf of a record right that a merge found to be complete. A leaf that is
// wrong would have the same repair done for ever. The caller has locked the key.
func (r *Replica) rehash(p ring.Partition, key store.Key, rec record) error {
	if r.quarantine.has(p, key) {
		return nil
	}
	before, err := r.leaf(p, key)
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		return err
	}
	want := sumOf(key, rec)
	if err == nil && before == want {
		return nil
	}
	if err == nil { // a damaged one is counted where it is replaced
		r.drift.Add(1)
		r.log.Error("mended a leaf of a hash tree that was not that of its record", "partition", p, "key", string(key))
	}
	return r.writeWithLeaf(&Batch{}, p, key, want)
}

// sumOf returns the leaf of a record; zero if there is none.
func sumOf(key store.Key, rec record) merkle.Sum {
	if rec.set.IsZero() {
		return merkle.Sum{}
	}
	return merkle.Sum(rec.set.Fingerprint(key))
}

// resum builds the sums of a partition anew from its leaves, and tries again a few times if it was overtaken
// by a write. It reports whether they were right already, and whether it came to an end.
func (r *Replica) resum(ctx context.Context, p ring.Partition) (right, done bool, err error) {
	for range 4 {
		if err := ctx.Err(); err != nil {
			return false, false, err
		}
		var before uint64
		r.forest.look(p, func(_ *merkle.Tree, wrote uint64) { before = wrote })
		fresh, err := r.treeOf(p)
		if err != nil {
			return false, false, err
		}
		r.forest.look(p, func(t *merkle.Tree, wrote uint64) {
			// A write that is on disk may be in the fresh sums; it would be counted twice.
			if done = wrote == before && r.forest.writing[p] == 0; !done {
				return
			}
			if right = t.Equal(fresh); !right {
				r.forest.trees[p] = fresh
			}
		})
		if done {
			return right, true, nil
		}
	}
	return false, false, nil
}

// treeOf builds the tree of a partition from its leaves, and from the records of those that are damaged.
func (r *Replica) treeOf(p ring.Partition) (*merkle.Tree, error) {
	t := &merkle.Tree{}
	prefix := binary.BigEndian.AppendUint16([]byte("t/"), uint16(p))
	err := r.eachLeaf(prefix, func(_ ring.Partition, key store.Key, sum merkle.Sum) {
		t.Replace(merkle.SegmentOf(key), merkle.Sum{}, sum)
	})
	return t, err
}

// eachLeaf calls fn with all leaves whose keys in the database have the prefix. For damaged ones, which come
// last, it has what their records say.
func (r *Replica) eachLeaf(prefix []byte, fn func(p ring.Partition, key store.Key, sum merkle.Sum)) error {
	type place struct {
		p   ring.Partition
		key store.Key
	}
	var damaged []place
	var bad error
	err := r.data.Scan(prefix, prefixEnd(prefix), func(at, b []byte) bool {
		p, key, err := parseLeafKey(at)
		if err != nil {
			bad = err
			return false
		}
		sum, err := decodeLeaf(at, b)
		if err != nil {
			damaged = append(damaged, place{p, key})
			return true
		}
		fn(p, key, sum)
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	for _, d := range damaged {
		sum, err := r.leaf(d.p, d.key)
		if errors.Is(err, store.ErrCorrupt) {
			r.damagedLeaf(d.p, d.key, err)
			sum, _, err = r.recordSum(d.p, d.key)
		}
		if err != nil {
			return err
		}
		fn(d.p, d.key, sum)
	}
	return nil
}
