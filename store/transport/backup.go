package transport

import (
	"context"
	"fmt"
	"math"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
)

// A Backuper is an Inspector whose node can be backed up while it serves.
type Backuper interface {
	// Backup copies all that the node holds to a directory of its own machine, named by name, which must be new.
	Backup(ctx context.Context, name string) (storage.Backup, error)
	// Archive copies what the node holds of a partition to a file in a directory of that name.
	Archive(ctx context.Context, name string, p ring.Partition) (storage.Archive, error)
	// Restore joins such a file into what the node holds, and returns how many keys it has, and how many of the node's have changed.
	Restore(ctx context.Context, name string, p ring.Partition) (keys, changed int, err error)
}

func (s *Server) backuper() (Backuper, error) {
	node, ok := s.Inspector.(Backuper)
	if !ok {
		return nil, fmt.Errorf("%s cannot be backed up: %w", s.Self, store.ErrInvalid)
	}
	return node, nil
}

func (a adminServer) Backup(ctx context.Context, r *storepb.BackupRequest) (*storepb.BackupReply, error) {
	return handle(a.s, func() (*storepb.BackupReply, error) {
		node, err := a.s.backuper()
		if err != nil {
			return nil, err
		}
		if r.Partition != nil {
			c, err := node.Archive(ctx, r.GetName(), partitionFrom(r.GetPartition()))
			if err != nil {
				return nil, err
			}
			return &storepb.BackupReply{Node: string(a.s.Self), Dir: c.File, Bytes: uint64(c.SizeBytes), Keys: uint64(c.Keys), LeftOut: uint64(c.LeftOut)}, nil
		}
		b, err := node.Backup(ctx, r.GetName())
		if err != nil {
			return nil, err
		}
		return &storepb.BackupReply{Node: string(a.s.Self), Dir: b.Dir, Bytes: uint64(b.SizeBytes)}, nil
	})
}

func (a adminServer) Restore(ctx context.Context, r *storepb.RestoreRequest) (*storepb.RestoreReply, error) {
	return handle(a.s, func() (*storepb.RestoreReply, error) {
		node, err := a.s.backuper()
		if err != nil {
			return nil, err
		}
		keys, changed, err := node.Restore(ctx, r.GetName(), partitionFrom(r.GetPartition()))
		if err != nil {
			return nil, err
		}
		return &storepb.RestoreReply{Node: string(a.s.Self), Keys: uint64(keys), Changed: uint64(changed)}, nil
	})
}

// partitionFrom keeps a number that no ring has.
func partitionFrom(p uint32) ring.Partition { return ring.Partition(min(p, math.MaxUint16)) }

// BackupOf translates a reply of Backup.
func BackupOf(r *storepb.BackupReply) storage.Backup {
	return storage.Backup{Dir: r.GetDir(), SizeBytes: int64(r.GetBytes())}
}

// ArchiveOf translates a reply of Backup of one partition.
func ArchiveOf(r *storepb.BackupReply) storage.Archive {
	return storage.Archive{File: r.GetDir(), Keys: int(r.GetKeys()), LeftOut: int(r.GetLeftOut()), SizeBytes: int64(r.GetBytes())}
}
