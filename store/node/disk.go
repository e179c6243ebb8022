package node

import (
	"context"
	"sync/atomic"
	"time"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// A disk is the node's storage, which remembers when it last changed. Comparisons that
// began later speak for what is on it now.
type disk struct {
	*storage.Replica
	now     func() time.Duration
	changed atomic.Int64  // when
	changes atomic.Uint64 // how often
}

func newDisk(r *storage.Replica, now func() time.Duration) *disk {
	d := &disk{Replica: r, now: now}
	d.changed.Store(int64(now()))
	return d
}

// Put makes an event (see [storage.Replica.Put]).
func (d *disk) Put(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, w storage.Write) (version.Set, error) {
	defer d.note()
	return d.Replica.Put(ctx, p, key, hintFor, w)
}

// Merge joins a state (see [storage.Replica.Merge]).
func (d *disk) Merge(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (bool, error) {
	changed, err := d.Replica.Merge(ctx, p, key, hintFor, s)
	if changed || err != nil { // after an error it may have changed
		d.note()
	}
	return changed, err
}

// Buffer joins a state (see [storage.Replica.Buffer]).
func (d *disk) Buffer(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (bool, error) {
	changed, err := d.Replica.Buffer(ctx, p, key, hintFor, s)
	if changed || err != nil {
		d.note()
	}
	return changed, err
}

// MergeAll joins states (see [storage.Replica.MergeAll]).
func (d *disk) MergeAll(ctx context.Context, p ring.Partition, states []storage.State) (int, error) {
	changed, err := d.Replica.MergeAll(ctx, p, states)
	if changed > 0 || err != nil {
		d.note()
	}
	return changed, err
}

// DropAll deletes records (see [storage.Replica.DropAll]).
func (d *disk) DropAll(ctx context.Context, p ring.Partition, known []merkle.Leaf) (int, error) {
	dropped, err := d.Replica.DropAll(ctx, p, known)
	if dropped > 0 || err != nil {
		d.note()
	}
	return dropped, err
}

// Prune takes entries from vectors (see [storage.Replica.Prune]).
func (d *disk) Prune(ctx context.Context, p ring.Partition, known []storage.Retired) (int, error) {
	pruned, err := d.Replica.Prune(ctx, p, known)
	if pruned > 0 || err != nil {
		d.note()
	}
	return pruned, err
}

// note is called when a change is complete; of two at once the later moment stays.
func (d *disk) note() {
	d.changes.Add(1)
	now := int64(d.now())
	for last := d.changed.Load(); last < now && !d.changed.CompareAndSwap(last, now); last = d.changed.Load() {
	}
}

// lastChange returns when the disk last changed.
func (d *disk) lastChange() time.Duration { return time.Duration(d.changed.Load()) }
