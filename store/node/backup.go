package node

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/transport"
)

var _ transport.Backuper = inspector{}

// Backup copies all that the node holds, while it serves.
func (i inspector) Backup(ctx context.Context, name string) (storage.Backup, error) {
	if err := i.onDisk(); err != nil {
		return storage.Backup{}, err
	}
	b, err := i.n.disk.Backup(ctx, name)
	if err == nil {
		i.n.log.Info("made a backup", "dir", b.Dir, "bytes", b.SizeBytes)
	}
	return b, err
}

// Archive copies what the node holds of a partition that it owns.
func (i inspector) Archive(ctx context.Context, name string, p ring.Partition) (storage.Archive, error) {
	if err := i.onDisk(); err != nil {
		return storage.Archive{}, err
	}
	if _, err := i.owned(p); err != nil {
		return storage.Archive{}, err
	}
	a, err := i.n.disk.Archive(ctx, name, p)
	if err == nil {
		i.n.log.Info("archived a partition", "file", a.File, "partition", p, "keys", a.Keys, "left_out", a.LeftOut)
	}
	return a, err
}

// Restore joins an archive into what the node holds of a partition that it owns.
func (i inspector) Restore(ctx context.Context, name string, p ring.Partition) (keys, changed int, err error) {
	h, err := i.owned(p)
	if err != nil {
		return 0, 0, err
	}
	keys, changed, err = i.n.disk.RestoreArchive(ctx, name, p, h.Newest().Layout.Partitions())
	i.n.log.Info("restored a partition", "name", name, "partition", p, "keys", keys, "changed", changed, "err", err)
	return keys, changed, err
}

// owned returns the layouts, if the node owns the partition in one of them: what others hold here is on its way elsewhere.
func (i inspector) owned(p ring.Partition) (history.History, error) {
	h := i.n.placement.Now()
	switch {
	case !h.Joined():
		return h, fmt.Errorf("%s has not joined a cluster: %w", i.n.config.ID, store.ErrNotMember)
	case int(p) >= h.Newest().Layout.Partitions():
		return h, fmt.Errorf("partition %d: there are %d, from 0: %w", p, h.Newest().Layout.Partitions(), store.ErrInvalid)
	case !h.Owns(i.n.config.ID, p):
		return h, fmt.Errorf("partition %d: %w", p, store.ErrNotOwner)
	}
	return h, nil
}

// onDisk refuses copies that would not outlive what they are copies of.
func (i inspector) onDisk() error {
	if _, memory := i.n.config.FS.(*vfs.MemFS); memory {
		return fmt.Errorf("%s keeps its data in memory, and a copy would be there, too: %w", i.n.config.ID, store.ErrInvalid)
	}
	return nil
}
