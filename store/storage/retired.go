package storage

import (
	"context"
	"errors"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

// Retired are entries of a record's vector whose actors have made none of its versions and will issue no further event of the
// key, by what some nodes know.
type Retired struct {
	Key     store.Key
	Entries version.Vector
}

// Retired lists what may be pruned of the node's own records of a partition whose vectors have more than most entries, behind a key, in
// order, of at most limit records. The node's own actor of a record is none of it while it may go on. Pages are as those of Tombstones.
func (r *Replica) Retired(ctx context.Context, p ring.Partition, most int, after store.Key, limit int) (found []Retired, next store.Key, err error) {
	life := r.ids.identity()
	next, err = r.eachRecord(ctx, p, after, func() bool { return len(found) >= limit }, func(key store.Key, rec record) {
		if len(rec.set.Vector) <= most {
			return
		}
		if entries := rec.retired(life, rec.set.Vector); len(entries) > 0 {
			found = append(found, Retired{key, entries})
		}
	})
	if err != nil {
		return nil, "", fmt.Errorf("list retired actors of partition %d: %w", p, err)
	}
	return found, next, nil
}

// retired returns those of the entries that are in the record with just these counters, and retired as far as this node knows.
func (r record) retired(life Identity, entries version.Vector) version.Vector {
	_, out := r.set.Prune(entries)
	if r.tenure.valid(life) {
		own := version.Actor{Node: r.tenure.node, Epoch: r.tenure.epoch}
		out = out.Without(own)
	}
	return out
}

// ConfirmRetired returns of each of the given what is retired by the node's own record, as it is on disk now, too. The keys must
// ascend; those of which nothing is left are left out.
func (r *Replica) ConfirmRetired(ctx context.Context, p ring.Partition, asked []Retired) (both []Retired, err error) {
	leave, err := r.enterRetired(ctx, p, asked)
	if err != nil {
		return nil, fmt.Errorf("confirm retired actors of partition %d: %w", p, err)
	}
	defer leave()
	life := r.ids.identity()
	for _, a := range asked {
		c, err := r.loadOwn(p, a.Key)
		if err != nil {
			return nil, fmt.Errorf("confirm retired actors of %q: %w", a.Key, err)
		}
		if entries := c.own.retired(life, a.Entries); !c.damaged && len(entries) > 0 {
			both = append(both, Retired{a.Key, entries})
		}
	}
	if err := errors.Join(r.Healthy(), r.flushAll()); err != nil {
		return nil, fmt.Errorf("confirm retired actors of partition %d: %w", p, err)
	}
	return both, nil
}

// Prune takes the entries from the vectors of the node's own records, where they still are retired, and keeps them aside for Recall, in
// one batch with the leaves. The keys must ascend. It returns how many entries went. The caller knows that all owners had them, and
// that no older version of their actors is left anywhere (see package reap).
func (r *Replica) Prune(ctx context.Context, p ring.Partition, known []Retired) (pruned int, err error) {
	leave, err := r.enterRetired(ctx, p, known)
	if err != nil {
		return 0, fmt.Errorf("prune %d keys of partition %d: %w", len(known), p, err)
	}
	defer leave()
	if pruned, err = r.prune(p, known); err != nil {
		return 0, fmt.Errorf("prune %d keys of partition %d: %w", len(known), p, err)
	}
	return pruned, nil
}

func (r *Replica) prune(p ring.Partition, known []Retired) (pruned int, err error) {
	if err := r.Healthy(); err != nil {
		return 0, err
	}
	var b Batch
	var leaves []newLeaf
	life := r.ids.identity()
	for _, k := range known {
		c, err := r.loadOwn(p, k.Key)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", k.Key, err)
		}
		rec := c.own
		entries := rec.retired(life, k.Entries)
		if c.damaged || len(entries) == 0 {
			continue
		}
		rec.set, _ = rec.set.Prune(entries)
		rec.pruned = rec.pruned.Join(entries)
		at := dataKey(p, k.Key)
		b.Set(at, rec.encode(at))
		leaves = append(leaves, newLeaf{key: k.Key, sum: sumOf(k.Key, rec)})
		pruned += len(entries)
	}
	return pruned, r.writeWithLeaves(&b, p, leaves)
}

func (r *Replica) enterRetired(ctx context.Context, p ring.Partition, of []Retired) (leave func(), err error) {
	keys := make([]store.Key, len(of))
	for i, o := range of {
		keys[i] = o.Key
	}
	return r.enterAll(ctx, p, keys)
}
