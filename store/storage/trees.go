package storage

import (
	"context"
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
	// What tells a check that it was overtaken: leaves replaced, and writes that may be on disk and
	// are not in the sums yet.
	wrote   map[ring.Partition]uint64
	writing map[ring.Partition]int
}

// begin announces a write of leaves; whoever calls it calls the function that it returns when the sums
// have followed.
func (f *forest) begin(p ring.Partition) (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writing == nil {
		f.writing = map[ring.Partition]int{}
	}
	f.writing[p]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.writing[p]--
	}
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
	var damaged []int
	err = r.data.Scan(lo, prefixEnd(prefix), func(at, b []byte) bool {
		if more = len(leaves) == limit; more {
			return false
		}
		sum, err := decodeLeaf(at, b)
		if err != nil {
			damaged = append(damaged, len(leaves))
		}
		leaves = append(leaves, merkle.Leaf{Key: store.Key(at[len(prefix):]), Sum: sum})
		return true
	})
	for _, i := range damaged {
		if err == nil {
			leaves[i].Sum, err = r.mendLeaf(ctx, p, leaves[i].Key)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("leaves of segment %d of partition %d: %w", seg, p, err)
	}
	return leaves, more, nil
}

// writeWithLeaf applies a change of the node's own record, whose sum is after from then on; zero if
// the record goes. The caller has locked the key. Leaf and record are one batch: after a crash
// there are both or neither.
func (r *Replica) writeWithLeaf(b *Batch, p ring.Partition, key store.Key, after merkle.Sum) error {
	return r.writeWithLeaves(b, p, []newLeaf{{key: key, sum: after}})
}
