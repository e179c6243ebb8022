package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/harness"
)

// A damage is what was done to one file while nobody used the disk.
type damage struct {
	file          string
	before, after []byte
}

// harm damages one file, of tables and logs in the order of their names.
func harm(fs vfs.FS, f harness.DiskFault) (*damage, error) {
	files, err := engineFiles(fs, "")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("there is no table and no log to damage")
	}
	x := files[min(int(f.File*float64(len(files))), len(files)-1)]
	size := len(x.before)
	if x.after = bytes.Clone(x.before); f.Truncated > 0 {
		x.after = x.after[:size-max(1, int(f.Truncated*float64(size)))]
	} else {
		at := min(int(f.Rotten*float64(size)), size-1)
		x.after[at] ^= 1 << (at % 8)
	}
	return x, put(fs, x.file, x.after)
}

// undo makes the file whole, unless it is no more as the damage left it.
func (x *damage) undo(fs vfs.FS) error {
	if x == nil {
		return nil
	}
	now, err := content(fs, x.file)
	if err != nil || !bytes.Equal(now, x.after) {
		return nil // the store has dealt with it
	}
	return put(fs, x.file, x.before)
}

// engineFiles reads all tables and logs that are not empty, in the order of their names.
func engineFiles(fs vfs.FS, dir string) (all []*damage, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", dir, err)
	}
	slices.Sort(names)
	for _, name := range names {
		at := path.Join(dir, name)
		info, err := fs.Stat(at)
		if err != nil {
			return nil, fmt.Errorf("look at %q: %w", at, err)
		}
		switch {
		case info.IsDir():
			below, err := engineFiles(fs, at)
			if err != nil {
				return nil, err
			}
			all = append(all, below...)
		case info.Size() > 0 && (strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log")):
			b, err := content(fs, at)
			if err != nil {
				return nil, err
			}
			all = append(all, &damage{file: at, before: b})
		}
	}
	return all, nil
}

func content(fs vfs.FS, file string) ([]byte, error) {
	f, err := fs.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", file, err)
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %q: %w", file, err)
	}
	return b, nil
}

// put replaces a file's content for good: a loss of power does not bring the old one back.
func put(fs vfs.FS, file string, b []byte) error {
	f, err := fs.Create(file, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("write %q: %w", file, err)
	}
	_, err = f.Write(bytes.Clone(b)) // under the race detector this file system spoils what it is given
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %q: %w", file, err)
	}
	dir, err := fs.OpenDir(path.Dir(file))
	if err != nil {
		return fmt.Errorf("open the folder of %q: %w", file, err)
	}
	if err = errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("sync the folder of %q: %w", file, err)
	}
	return nil
}
