package node

import (
	"context"

	"cartwheel/store/storage"
	"cartwheel/store/transport"
)

var _ transport.Backuper = inspector{}

// Backup copies all that the node holds, while it serves.
func (i inspector) Backup(ctx context.Context, name string) (storage.Backup, error) {
	b, err := i.n.disk.Backup(ctx, name)
	if err == nil {
		i.n.log.Info("made a backup", "dir", b.Dir, "bytes", b.SizeBytes)
	}
	return b, err
}
