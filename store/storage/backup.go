package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
)

// backupTries is how often the files are copied anew because the history of layouts has changed meanwhile. A change
// of it takes longer than a copy, which mostly links.
const backupTries = 5

// backupsDir is where backups are, in Options.Dir.
const backupsDir = "backups"

var backupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// A Backup is a copy of all that a node holds, as of a moment.
type Backup struct {
	Dir       string // on the node's machine
	SizeBytes int64  // as if nothing of it were shared with the node's own files
}

// Backup makes a copy in a directory of that name below backups/ in Options.Dir, while the node goes
// on serving. Files that the engine will not change are linked, not copied, as long as both are on one file
// system. The name must be new, and is of letters, digits, dots, dashes and underscores.
//
// Hints come first: one that is delivered meanwhile is delivered once more after a restore, which
// changes nothing. That holds as long as nobody collects the tombstones of what the hint has: a history of layouts that
// says so must not stand beside older hints, or a member that is given this backup would not be kept out. So
// both are copied anew when the history has changed meanwhile; one that changes again and again is
// an error, store.ErrWrongRing, and no backup.
func (r *Replica) Backup(ctx context.Context, name string) (b Backup, err error) {
	if !backupName.MatchString(name) {
		return b, fmt.Errorf("backup %q: want a name of letters, digits, dots, dashes and underscores: %w", name, store.ErrInvalid)
	}
	if !r.gate.enter() {
		return b, closedError()
	}
	defer r.gate.leave()
	if err := ctx.Err(); err != nil {
		return b, err
	}
	fs := r.opts.FS
	b.Dir = path.Join(r.opts.Dir, backupsDir, name)
	if _, err := fs.Stat(b.Dir); err == nil {
		return b, fmt.Errorf("backup %q is there already: %w", name, store.ErrInvalid)
	}
	if err := fs.MkdirAll(b.Dir, 0o755); err != nil {
		return b, fmt.Errorf("backup %q: %w", name, err)
	}
	if err := r.copyEngines(ctx, b.Dir); err != nil {
		return b, fmt.Errorf("backup %q: %w", name, errors.Join(err, fs.RemoveAll(b.Dir)))
	}
	err = eachFile(fs, b.Dir, func(file string, size int64) error {
		b.SizeBytes += size
		return nil
	})
	return b, err
}

// copyEngines copies the hints and then the data to a directory, with one history of layouts all the while.
func (r *Replica) copyEngines(ctx context.Context, dir string) error {
	dbs := []string{"hints", "data"}
	for range backupTries {
		before, err := r.History(ctx)
		if err != nil {
			return err
		}
		for _, db := range dbs {
			if err := r.engines[db].checkpoint(path.Join(dir, db)); err != nil {
				return fmt.Errorf("%s: %w", db, err)
			}
		}
		after, err := r.History(ctx)
		if err != nil || bytes.Equal(before, after) {
			return err
		}
		for _, db := range dbs {
			if err := r.opts.FS.RemoveAll(path.Join(dir, db)); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("the layout changed each of %d times that it was copied, try again: %w", backupTries, store.ErrWrongRing)
}

func (k *pebbleKV) checkpoint(dir string) error {
	return k.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

// RestoreBackup copies a backup to a directory, which must not hold a node's data yet. The node that opens it
// is another one to all version vectors: since the backup was made its node has issued numbers that the
// backup knows nothing of, and a number that is issued twice loses writes. It is behind by
// whatever was written since, until anti-entropy has compared it with the other owners.
func RestoreBackup(fs vfs.FS, from, to string) error {
	if _, err := fs.Stat(path.Join(to, "data")); err == nil {
		return fmt.Errorf("restore %s to %s: there are data already: %w", from, to, store.ErrInvalid)
	}
	if _, err := fs.Stat(path.Join(from, "data")); err != nil {
		return fmt.Errorf("restore %s: it holds no backup: %w", from, err)
	}
	// The data are renamed into place last: a restore that was cut short can be made again.
	partial := path.Join(to, "restoring")
	if err := errors.Join(fs.RemoveAll(partial), fs.RemoveAll(path.Join(to, "hints"))); err != nil {
		return fmt.Errorf("restore %s: %w", from, err)
	}
	for _, db := range []struct{ from, to string }{{"hints", path.Join(to, "hints")}, {"data", partial}} {
		if err := copyDir(fs, path.Join(from, db.from), db.to); err != nil {
			return fmt.Errorf("restore %s: %w", from, err)
		}
	}
	kv, err := OpenPebble(PebbleOptions{FS: fs, Dir: partial})
	if err != nil {
		return fmt.Errorf("restore %s: %w", from, err)
	}
	var b Batch
	b.Set(restoredKey, nil)
	b.Delete(cleanKey)
	if err := errors.Join(kv.Apply(&b, true), kv.Close()); err != nil {
		return fmt.Errorf("restore %s: %w", from, err)
	}
	if err := fs.Rename(partial, path.Join(to, "data")); err != nil {
		return fmt.Errorf("restore %s: %w", from, err)
	}
	return errors.Join(syncDir(fs, to), syncDir(fs, fs.PathDir(to)))
}

func copyDir(fs vfs.FS, from, to string) error {
	if err := fs.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := eachFile(fs, from, func(file string, _ int64) error {
		return copyFile(fs, path.Join(from, file), path.Join(to, file))
	}); err != nil {
		return err
	}
	return syncDir(fs, to)
}

func copyFile(fs vfs.FS, from, to string) (err error) {
	in, err := fs.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := fs.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// eachFile calls fn for the files below a directory, which has no more than one level of others.
func eachFile(fs vfs.FS, dir string, fn func(file string, size int64) error) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := fs.Stat(path.Join(dir, name))
		switch {
		case err != nil:
			return err
		case info.IsDir():
			err = eachFile(fs, path.Join(dir, name), func(file string, size int64) error { return fn(path.Join(name, file), size) })
		default:
			err = fn(name, info.Size())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
