package transport

import (
	"context"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
)

// A Backuper is an Inspector whose node can be backed up while it serves.
type Backuper interface {
	// Backup copies all that the node holds to a directory of its own machine, named by name, which must be new.
	Backup(ctx context.Context, name string) (storage.Backup, error)
}

func (a adminServer) Backup(ctx context.Context, r *storepb.BackupRequest) (*storepb.BackupReply, error) {
	return handle(a.s, func() (*storepb.BackupReply, error) {
		node, ok := a.s.Inspector.(Backuper)
		if !ok {
			return nil, fmt.Errorf("%s cannot be backed up: %w", a.s.Self, store.ErrInvalid)
		}
		b, err := node.Backup(ctx, r.GetName())
		if err != nil {
			return nil, err
		}
		return &storepb.BackupReply{Node: string(a.s.Self), Dir: b.Dir, Bytes: uint64(b.SizeBytes)}, nil
	})
}

// BackupOf translates a reply of Backup.
func BackupOf(r *storepb.BackupReply) storage.Backup {
	return storage.Backup{Dir: r.GetDir(), SizeBytes: int64(r.GetBytes())}
}
