package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
)

// loadTrees brings the trees into memory: from what a clean shutdown kept, otherwise from the
// leaves. A disk without leaves of this format, one of an older version, gets them from its records.
func (r *Replica) loadTrees(clean bool) error {
	format, ok, err := r.data.Get(leavesKey)
	if err != nil {
		return fmt.Errorf("load hash trees: %w", err)
	}
	if !ok || !bytes.Equal(format, leavesMark) {
		r.log.Info("building hash trees from records")
		if err := r.buildLeaves(); err != nil {
			return fmt.Errorf("build hash trees: %w", err)
		}
	}
	kept, err := r.keptTrees()
	if err != nil {
		return fmt.Errorf("load hash trees: %w", err)
	}
	if clean && kept != nil {
		r.forest.trees, r.forest.wrote = kept, map[ring.Partition]uint64{}
		return nil
	}
	err = r.sumLeaves()
	if errors.Is(err, store.ErrCorrupt) {
		r.drift.Add(1)
		r.log.Error("could not read the leaves, building hash trees from records", "err", err)
		r.forest.trees, r.forest.wrote = nil, nil
		err = errors.Join(r.buildLeaves(), r.sumLeaves())
	}
	if err != nil {
		return fmt.Errorf("load hash trees: %w", err)
	}
	return nil
}

// keptTrees takes from the disk what the last shutdown kept, so that no later life finds it
// outdated. It returns nil if something of it cannot be read.
func (r *Replica) keptTrees() (map[ring.Partition]*merkle.Tree, error) {
	trees := map[ring.Partition]*merkle.Tree{}
	var b Batch
	err := r.data.Scan(treePrefix, prefixEnd(treePrefix), func(at, value []byte) bool {
		b.Delete(append([]byte(nil), at...))
		t, err := merkle.Decode(value)
		if err != nil || len(at) != len(treePrefix)+partSizeBytes {
			r.log.Warn("could not read a hash tree that was kept, building it from leaves", "at", fmt.Sprintf("%q", at), "err", err)
			trees = nil
		} else if trees != nil {
			trees[ring.Partition(binary.BigEndian.Uint16(at[len(treePrefix):]))] = t
		}
		return true
	})
	if err != nil || b.Len() == 0 {
		return nil, err
	}
	return trees, r.write(r.data, &b)
}

// keepTrees adds the trees to the last batch of a clean shutdown.
func (r *Replica) keepTrees(b *Batch) {
	for _, p := range r.forest.partitions() {
		r.forest.look(p, func(t *merkle.Tree, _ uint64) {
			b.Set(binary.BigEndian.AppendUint16(append([]byte(nil), treePrefix...), uint16(p)), t.Encode())
		})
	}
}

// sumLeaves builds the trees from the leaves.
func (r *Replica) sumLeaves() error {
	return r.eachLeaf(leafPrefix, func(p ring.Partition, key store.Key, sum merkle.Sum) {
		r.forest.replace(p, key, merkle.Sum{}, sum)
	})
}

// buildLeaves writes the leaves of all records anew. The mark that they are there comes
// last: a crash before it begins again.
func (r *Replica) buildLeaves() error {
	if err := r.eachKey(leafPrefix, func(page [][]byte) error {
		var b Batch
		for _, at := range page {
			b.Delete(at)
		}
		return r.write(r.data, &b)
	}); err != nil {
		return err
	}
	if err := r.eachKey(dataPrefix, func(page [][]byte) error {
		var b Batch
		for _, at := range page {
			p, key, err := parseCursor(at[len(dataPrefix):])
			if err != nil {
				return fmt.Errorf("data key %x: %w", at, store.ErrCorrupt)
			}
			sum, _, err := r.recordSum(p, key)
			if err != nil {
				return err
			}
			b.Set(leafKey(p, key), encodeLeaf(leafKey(p, key), sum))
		}
		return r.write(r.data, &b)
	}); err != nil {
		return err
	}
	var b Batch
	b.Set(leavesKey, leavesMark)
	return r.write(r.data, &b)
}

// eachKey calls fn with the keys of the data that have the prefix, a page at a time. fn may use
// the database and keep the slices.
func (r *Replica) eachKey(prefix []byte, fn func(page [][]byte) error) error {
	for lo := prefix; lo != nil; {
		var page [][]byte
		if err := r.data.Scan(lo, prefixEnd(prefix), func(at, _ []byte) bool {
			page = append(page, append([]byte(nil), at...))
			return len(page) < r.pageKeys
		}); err != nil {
			return err
		}
		lo = nil
		if len(page) == r.pageKeys {
			lo = append(append([]byte(nil), page[r.pageKeys-1]...), 0)
		}
		if len(page) == 0 {
			return nil
		}
		if err := fn(page); err != nil {
			return err
		}
	}
	return nil
}
