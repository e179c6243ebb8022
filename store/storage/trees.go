package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
)

// A forest is the hash trees of the node's own records, by partition. Each record has a leaf
// on disk, written in the same batch; the sums above are in memory.
type forest struct {
	mu    sync.Mutex // held for moments, never across the disk
	trees map[ring.Partition]*merkle.Tree
	wrote map[ring.Partition]uint64 // leaves replaced, so that a check knows that it was overtaken
}

// replace follows a change of a leaf that is on disk.
func (f *forest) replace(p ring.Partition, key store.Key, before, after merkle.Sum) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tree(p).Replace(merkle.SegmentOf(key), before, after)
	f.wrote[p]++
}

// tree returns the tree of a partition; the caller holds the lock.
func (f *forest) tree(p ring.Partition) *merkle.Tree {
	if f.trees == nil {
		f.trees, f.wrote = map[ring.Partition]*merkle.Tree{}, map[ring.Partition]uint64{}
	}
	if f.trees[p] == nil {
		f.trees[p] = &merkle.Tree{}
	}
	return f.trees[p]
}

// partitions returns those that ever held a key in this life, sorted.
func (f *forest) partitions() []ring.Partition {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]ring.Partition, 0, len(f.trees))
	for p := range f.trees {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// look calls fn with the tree of a partition, which fn must not keep.
func (f *forest) look(p ring.Partition, fn func(t *merkle.Tree, wrote uint64)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tree(p)
	fn(t, f.wrote[p])
}

// A TreeStat describes the tree of a partition.
type TreeStat struct {
	Partition ring.Partition
	Root      merkle.Sum
	Keys      int
}

// Trees describes the trees that hold a key in the partitions that owned accepts, by partition.
func (r *Replica) Trees(owned func(ring.Partition) bool) []TreeStat {
	var out []TreeStat
	for _, p := range r.forest.partitions() {
		if !owned(p) {
			continue
		}
		r.forest.look(p, func(t *merkle.Tree, _ uint64) {
			if !t.Root().IsZero() {
				out = append(out, TreeStat{Partition: p, Root: t.Root(), Keys: t.Keys()})
			}
		})
	}
	return out
}

// TreeRoots lists the roots of the trees that hold a key in the partitions that owned accepts,
// by partition. A root shows every change that was acknowledged before the call.
func (r *Replica) TreeRoots(owned func(ring.Partition) bool) []merkle.Root {
	var out []merkle.Root
	for _, t := range r.Trees(owned) {
		out = append(out, merkle.Root{Tree: uint32(t.Partition), Sum: t.Root})
	}
	return out
}

// TreeGroups returns the sums of the groups of a partition's tree.
func (r *Replica) TreeGroups(p ring.Partition) (sums merkle.Sums) {
	r.forest.look(p, func(t *merkle.Tree, _ uint64) { sums = t.Groups() })
	return sums
}

// TreeSegments returns the sums of the segments of a group, 0 to merkle.Fanout-1.
func (r *Replica) TreeSegments(p ring.Partition, group int) (sums merkle.Sums) {
	r.forest.look(p, func(t *merkle.Tree, _ uint64) { sums = t.Group(group) })
	return sums
}

// TreeLeaves lists up to limit leaves of a segment behind the key after (empty: from the start),
// in order, and whether there are more.
func (r *Replica) TreeLeaves(ctx context.Context, p ring.Partition, seg merkle.Segment, after store.Key, limit int) (leaves []merkle.Leaf, more bool, err error) {
	if limit < 1 || p >= ring.PartitionsMax || seg >= merkle.Segments {
		return nil, false, fmt.Errorf("leaves of segment %d of partition %d: limit %d: %w", seg, p, limit, store.ErrInvalid)
	}
	if !r.gate.enter() {
		return nil, false, fmt.Errorf("storage: %w", store.ErrClosed)
	}
	defer r.gate.leave()
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	prefix := segmentOf(p, seg)
	lo := slices.Clone(prefix)
	if after != "" {
		lo = append(append(lo, after...), 0)
	}
	var bad error
	err = r.data.Scan(lo, prefixEnd(prefix), func(at, b []byte) bool {
		if more = len(leaves) == limit; more {
			return false
		}
		var sum merkle.Sum
		if sum, bad = decodeLeaf(b); bad != nil {
			return false
		}
		leaves = append(leaves, merkle.Leaf{Key: store.Key(at[len(prefix):]), Sum: sum})
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, false, fmt.Errorf("leaves of segment %d of partition %d: %w", seg, p, err)
	}
	return leaves, more, nil
}

// leaf returns the sum on disk for a key, zero if there is none. A damaged one counts as none:
// it is about to be written anew, and the check of the trees mends the sums above it.
func (r *Replica) leaf(p ring.Partition, key store.Key) (merkle.Sum, error) {
	b, ok, err := r.data.Get(leafKey(p, key))
	if err != nil || !ok {
		return merkle.Sum{}, err
	}
	sum, err := decodeLeaf(b)
	if err != nil {
		r.drift.Add(1)
		r.log.Error("read a damaged leaf of a hash tree", "key", string(key), "err", err)
		return merkle.Sum{}, nil
	}
	return sum, nil
}

// writeWithLeaf applies a change of the node's own record, whose sum is after from then on; zero if
// the record goes. The caller has locked the key. Leaf and record are one batch: after a crash
// there are both or neither.
func (r *Replica) writeWithLeaf(b *Batch, p ring.Partition, key store.Key, after merkle.Sum) error {
	return r.writeWithLeaves(b, p, []newLeaf{{key, after}})
}

// rehash makes the leaf of a record right that a merge found to be complete. A leaf that is
// wrong would have the same repair done for ever. The caller has locked the key.
func (r *Replica) rehash(p ring.Partition, key store.Key, rec record) error {
	if r.quarantine.has(p, key) {
		return nil
	}
	before, err := r.leaf(p, key)
	if err != nil {
		return err
	}
	want := sumOf(key, rec)
	if before == want {
		return nil
	}
	r.drift.Add(1)
	r.log.Error("mended a leaf of a hash tree that was not that of its record", "partition", p, "key", string(key))
	return r.writeWithLeaf(&Batch{}, p, key, want)
}

// sumOf returns the leaf of a record; zero if there is none.
func sumOf(key store.Key, rec record) merkle.Sum {
	if rec.set.IsZero() {
		return merkle.Sum{}
	}
	return merkle.Sum(rec.set.Fingerprint(key))
}

// encodeLeaf returns the bytes of a leaf. The engine's own checksums guard them.
func encodeLeaf(sum merkle.Sum) []byte { return append([]byte{merkle.Format}, sum[:]...) }

func decodeLeaf(b []byte) (merkle.Sum, error) {
	if len(b) != 1+len(merkle.Sum{}) || b[0] != merkle.Format {
		return merkle.Sum{}, fmt.Errorf("leaf %x, want %d bytes of format %d: %w", b, 1+len(merkle.Sum{}), merkle.Format, store.ErrCorrupt)
	}
	return merkle.Sum(b[1:]), nil
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
