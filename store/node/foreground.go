package node

import (
	"context"
	"time"

	"cartwheel/store"
	"cartwheel/store/admission"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// openDisk opens the storage, and the gate through which background work comes to it.
func (n *Node) openDisk() (err error) {
	c := n.config
	if c.AdmissionTarget > 0 {
		if n.admission, err = admission.New(admission.Options{Target: c.AdmissionTarget, Now: c.Now}); err != nil {
			return err
		}
	}
	replica, err := storage.Open(storage.Options{
		FS: c.FS, Dir: c.Dir, Self: c.ID, Rand: c.Rand, Clock: c.Clock, Logger: c.Logger, Wrap: c.Disk,
		MemtableSizeBytes: c.MemtableSizeBytes, CacheSizeBytes: c.CacheSizeBytes, HintSizeBytesMax: c.HintSizeBytesMax, FlushAfter: c.FlushAfter,
		Admit: n.admission.Of(admission.Rebuild), OnStall: n.admission.Stalled,
	})
	if err != nil {
		return err
	}
	n.disk = newDisk(replica, c.Now)
	return nil
}

// A foreground is the disk for what clients wait for, whoever coordinates it: how late it is decides how much else is
// admitted. What belongs to no request, as when a peer delivers a hint or mends a record, is background work of others, and does not count.
type foreground struct {
	*disk
	admission *admission.Gate
}

// observe ends an operation that began at a moment.
func (f foreground) observe(ctx context.Context, began time.Duration) {
	if store.RequestOf(ctx) != "" {
		f.admission.Observe(f.now() - began)
	}
}

// Get reads (see [storage.Replica.Get]).
func (f foreground) Get(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error) {
	defer f.observe(ctx, f.now())
	return f.disk.Get(ctx, p, key)
}

// Recall reads (see [storage.Replica.Recall]).
func (f foreground) Recall(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error) {
	defer f.observe(ctx, f.now())
	return f.disk.Recall(ctx, p, key)
}

// Put makes an event (see [storage.Replica.Put]).
func (f foreground) Put(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, w storage.Write) (version.Set, error) {
	defer f.observe(ctx, f.now())
	return f.disk.Put(ctx, p, key, hintFor, w)
}

// Merge joins a state (see [storage.Replica.Merge]).
func (f foreground) Merge(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (bool, error) {
	defer f.observe(ctx, f.now())
	return f.disk.Merge(ctx, p, key, hintFor, s)
}

// Buffer joins a state (see [storage.Replica.Buffer]).
func (f foreground) Buffer(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (bool, error) {
	defer f.observe(ctx, f.now())
	return f.disk.Buffer(ctx, p, key, hintFor, s)
}
