package storage

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// identityFile holds the lease a second time, beside the engine's files and written before
// them. An engine whose log has lost its end begins without a word, with an identity of
// the past; the numbers that were issued since would be issued again, and a number that is
// issued twice loses writes.
const identityFile = "identity"

// keepIdentity writes the file, all of it or nothing, and returns when it is on disk.
func keepIdentity(fs vfs.FS, dir string, l lease) error {
	at := path.Join(dir, identityFile)
	fresh := at + ".new"
	f, err := fs.Create(fresh, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("keep the identity: %w", err)
	}
	_, err = f.Write(l.encode())
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = errors.Join(fs.Rename(fresh, at), syncDir(fs, dir))
	}
	if err != nil {
		return fmt.Errorf("keep the identity: %w", err)
	}
	return nil
}

// keptIdentity reads the file. A new node has none; one that is damaged is an error that is
// store.ErrCorrupt.
func keptIdentity(fs vfs.FS, dir string) (l lease, found bool, err error) {
	f, err := fs.Open(path.Join(dir, identityFile))
	if errors.Is(err, iofs.ErrNotExist) {
		return lease{}, false, nil
	}
	if err != nil {
		return lease{}, false, fmt.Errorf("open the kept identity: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err = errors.Join(err, f.Close()); err != nil {
		return lease{}, false, fmt.Errorf("read the kept identity: %w", err)
	}
	l, err = decodeLease(b)
	return l, err == nil, err
}

// behind reports whether a lease of the same node is newer, so that this one is of the past.
func (l lease) behind(kept lease) bool {
	return kept.Incarnation > l.Incarnation || kept.end > l.end
}
