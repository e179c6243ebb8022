package client

import (
	"context"

	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
	"cartwheel/store/transport"
)

// Backup makes the node copy all that it holds to a directory of its own machine, below backups/ in
// its data directory, and returns which that is. The name must be new. It takes as long as its files take
// to copy: give it a timeout to match.
func (a *Admin) Backup(ctx context.Context, name string) (dir string, sizeBytes int64, err error) {
	err = a.call(ctx, func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.Backup(ctx, &storepb.BackupRequest{Name: name})
		if err != nil {
			return err
		}
		b := transport.BackupOf(reply)
		dir, sizeBytes = b.Dir, b.SizeBytes
		return nil
	})
	if err != nil {
		return "", 0, &Error{Op: "backup", Err: err, definite: true}
	}
	return dir, sizeBytes, nil
}

// An Archive is a file with what a node holds of one partition.
type Archive = storage.Archive

// Archive makes the node copy what it holds of a partition to a file of its own machine, below backups/ in its data directory. The
// partition must be one that it owns (store.ErrNotOwner), and the file new.
func (a *Admin) Archive(ctx context.Context, name string, p ring.Partition) (file Archive, err error) {
	err = a.call(ctx, func(ctx context.Context, admin storepb.AdminClient) error {
		number := uint32(p)
		reply, err := admin.Backup(ctx, &storepb.BackupRequest{Name: name, Partition: &number})
		if err != nil {
			return err
		}
		file = transport.ArchiveOf(reply)
		return nil
	})
	if err != nil {
		return Archive{}, &Error{Op: "archive", Err: err, definite: true}
	}
	return file, nil
}

// Restore makes the node join such a file into what it holds: what is newer stays. It returns how many keys the file has and of how many
// the node now holds more. After an error some may have been joined in; to repeat it does no harm.
func (a *Admin) Restore(ctx context.Context, name string, p ring.Partition) (keys, changed int, err error) {
	err = a.call(ctx, func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.Restore(ctx, &storepb.RestoreRequest{Name: name, Partition: uint32(p)})
		keys, changed = int(reply.GetKeys()), int(reply.GetChanged())
		return err
	})
	if err != nil {
		return 0, 0, &Error{Op: "restore", Err: err, definite: true}
	}
	return keys, changed, nil
}
