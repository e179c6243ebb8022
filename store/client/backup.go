package client

import (
	"context"

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
