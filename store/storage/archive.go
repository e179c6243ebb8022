package storage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

// An archive is a file with all that one node held of a partition at a moment (paper, section 6.2: partitions of a fixed size are archived one by
// one). It is of no engine and knows nothing of the node, so that any cluster with as many partitions may read it:
//
//	magic, format     16 bytes and 1
//	partition         2 bytes, big endian
//	for each record   length of the key (varint), key, length of the set (varint), set, CRC32C of both
//	end               0 (varint), number of records (varint), CRC32C of the number and of all that stands before the records
const (
	archiveMagic  = "cartwheel part. "
	archiveFormat = 1
	// archiveSetMax is more than a set can have: siblings of a key are bounded.
	archiveSetMax = 1 << 28
)

// Bounds of what is joined in at a time.
const (
	restoreKeysMax  = 256
	restoreBytesMax = 1 << 20
)

// An Archive is a partition's file.
type Archive struct {
	File      string // on the node's machine
	Keys      int
	LeftOut   int // keys whose records are damaged: they are not in it
	SizeBytes int64
}

// archiveFile is where a partition is archived, in a backup's directory.
func archiveFile(dir, name string, p ring.Partition) string {
	return path.Join(dir, backupsDir, name, fmt.Sprintf("partition-%04d", p))
}

// Archive writes the node's own records of a partition to a file in the directory of that name below backups/ in Options.Dir, as
// of one moment, while the node serves. The file must be new; those of several partitions may have one name. Hints are no part of it.
func (r *Replica) Archive(ctx context.Context, name string, p ring.Partition) (a Archive, err error) {
	if !backupName.MatchString(name) || p >= ring.PartitionsMax {
		return a, fmt.Errorf("archive %q of partition %d: want a name of letters, digits, dots, dashes and underscores: %w", name, p, store.ErrInvalid)
	}
	if !r.gate.enter() {
		return a, closedError()
	}
	defer r.gate.leave()
	fs := r.opts.FS
	a.File = archiveFile(r.opts.Dir, name, p)
	if _, err := fs.Stat(a.File); err == nil {
		return a, fmt.Errorf("archive %q of partition %d is there already: %w", name, p, store.ErrInvalid)
	}
	dir, partial := fs.PathDir(a.File), a.File+".partial"
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return a, fmt.Errorf("archive %q: %w", name, err)
	}
	if err := r.writeArchive(ctx, partial, p, &a); err != nil {
		return a, fmt.Errorf("archive %q of partition %d: %w", name, p, errors.Join(err, fs.Remove(partial)))
	}
	if err := errors.Join(fs.Rename(partial, a.File), syncDir(fs, dir), syncDir(fs, fs.PathDir(dir)), syncDir(fs, r.opts.Dir)); err != nil {
		return a, fmt.Errorf("archive %q of partition %d: %w", name, p, err)
	}
	return a, nil
}

func (r *Replica) writeArchive(ctx context.Context, file string, p ring.Partition, a *Archive) (err error) {
	f, err := r.opts.FS.Create(file, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := newArchiveWriter(f, p)
	prefix := dataKey(p, "")
	var bad error
	if err := r.data.Scan(prefix, prefixEnd(prefix), func(at, b []byte) bool {
		if bad = ctx.Err(); bad != nil {
			return false
		}
		rec, err := r.decode(at, b)
		if err != nil {
			a.LeftOut++
			return true
		}
		bad = out.add(store.Key(at[len(prefix):]), rec.set)
		return bad == nil
	}); err != nil {
		return err
	}
	if err := errors.Join(bad, out.end()); err != nil {
		return err
	}
	a.Keys, a.SizeBytes = out.keys, out.size
	return f.Sync()
}

// An archiveWriter writes the format.
type archiveWriter struct {
	to   *bufio.Writer
	head []byte
	keys int
	size int64
}

func newArchiveWriter(w io.Writer, p ring.Partition) *archiveWriter {
	a := &archiveWriter{to: bufio.NewWriter(w), head: archiveHead(p)}
	a.size = int64(len(a.head))
	_, _ = a.to.Write(a.head) // the writer keeps its first error for the end
	return a
}

func archiveHead(p ring.Partition) []byte {
	return binary.BigEndian.AppendUint16(append([]byte(archiveMagic), archiveFormat), uint16(p))
}

func (a *archiveWriter) add(key store.Key, s version.Set) error {
	set := s.Encode()
	b := binary.AppendUvarint(nil, uint64(len(key)))
	b = append(b, key...)
	b = binary.AppendUvarint(b, uint64(len(set)))
	b = append(b, set...)
	b = binary.BigEndian.AppendUint32(b, recordSum([]byte(key), set))
	a.keys++
	a.size += int64(len(b))
	_, err := a.to.Write(b)
	return err
}

func (a *archiveWriter) end() error {
	b := binary.AppendUvarint([]byte{0}, uint64(a.keys))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(append(bytes.Clone(a.head), b[1:]...), castagnoli))
	a.size += int64(len(b))
	_, err := a.to.Write(b)
	return errors.Join(err, a.to.Flush())
}

// readArchive calls each for the records of an archive, in the order of their keys, and returns its partition. What no Archive has written, or not to
// its end, is store.ErrCorrupt; records that came before the damage have been told.
func readArchive(from io.Reader, each func(p ring.Partition, key store.Key, s version.Set) error) (p ring.Partition, err error) {
	in := bufio.NewReader(from)
	head := make([]byte, len(archiveHead(0)))
	if _, err := io.ReadFull(in, head); err != nil {
		return 0, cutShort(err)
	}
	p = ring.Partition(binary.BigEndian.Uint16(head[len(head)-partSizeBytes:]))
	if !bytes.Equal(head, archiveHead(p)) || p >= ring.PartitionsMax {
		return 0, fmt.Errorf("archive begins with %q: %w", head, store.ErrCorrupt)
	}
	var last store.Key
	for n := uint64(0); ; n++ {
		key, err := readPart(in, 1<<16-1)
		if err != nil {
			return p, err
		}
		if len(key) == 0 {
			return p, readEnd(in, head, n)
		}
		set, err := readRecord(in, key)
		if err != nil {
			return p, err
		}
		if n > 0 && store.Key(key) <= last {
			return p, fmt.Errorf("archive: %q stands behind %q: %w", key, last, store.ErrCorrupt)
		}
		last = store.Key(key)
		if err := each(p, last, set); err != nil {
			return p, err
		}
	}
}

func readRecord(in *bufio.Reader, key []byte) (version.Set, error) {
	b, err := readPart(in, archiveSetMax)
	if err != nil {
		return version.Set{}, err
	}
	var sum [4]byte
	if _, err := io.ReadFull(in, sum[:]); err != nil {
		return version.Set{}, cutShort(err)
	}
	if got, want := recordSum(key, b), binary.BigEndian.Uint32(sum[:]); got != want {
		return version.Set{}, fmt.Errorf("archive: %q has the checksum %08x, want %08x: %w", key, got, want, store.ErrCorrupt)
	}
	set, err := version.DecodeSet(b)
	if err == nil && set.IsZero() {
		err = fmt.Errorf("no event: %w", store.ErrCorrupt)
	}
	if err != nil {
		return version.Set{}, fmt.Errorf("archive: %q: %w", key, err)
	}
	return set, nil
}

// readEnd reads what follows the last of n records, and wants nothing behind it.
func readEnd(in *bufio.Reader, head []byte, n uint64) error {
	tail := binary.AppendUvarint(nil, n)
	tail = binary.BigEndian.AppendUint32(tail, crc32.Checksum(append(bytes.Clone(head), tail...), castagnoli))
	got := make([]byte, len(tail))
	if _, err := io.ReadFull(in, got); err != nil {
		return cutShort(err)
	}
	if _, err := in.ReadByte(); !bytes.Equal(got, tail) || !errors.Is(err, io.EOF) {
		return fmt.Errorf("archive of %d records ends otherwise: %w", n, store.ErrCorrupt)
	}
	return nil
}

// readPart reads a length and so many bytes. It does not believe a length before it has seen the bytes.
func readPart(in *bufio.Reader, most uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, cutShort(err)
	}
	if n > most {
		return nil, fmt.Errorf("archive: a part of %d bytes, want %d at most: %w", n, most, store.ErrCorrupt)
	}
	b, err := io.ReadAll(io.LimitReader(in, int64(n)))
	if err == nil && uint64(len(b)) < n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, cutShort(err)
	}
	return b, nil
}

// cutShort is the error of an archive that has no end, as opposed to a disk that cannot be read.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("archive is cut short: %w", store.ErrCorrupt)
	}
	return fmt.Errorf("archive: %w", err)
}

// RestoreArchive joins the records of an archive, as [Replica.Archive] has named it, into the node's own: what is newer stays, what is
// missing comes back. It returns how many records the archive has and how many of the node's have changed; those are on disk, and other
// owners get them by anti-entropy. Of an archive that is damaged the records before the damage are joined in. One of a ring of
// another number of partitions is store.ErrInvalid.
func (r *Replica) RestoreArchive(ctx context.Context, name string, p ring.Partition, partitions int) (keys, changed int, err error) {
	if !backupName.MatchString(name) || p >= ring.PartitionsMax {
		return 0, 0, fmt.Errorf("restore %q of partition %d: %w", name, p, store.ErrInvalid)
	}
	f, err := r.opts.FS.Open(archiveFile(r.opts.Dir, name, p))
	if err != nil {
		return 0, 0, fmt.Errorf("restore %q: there is no archive of partition %d here: %v: %w", name, p, err, store.ErrInvalid)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var states []State
	size := 0
	merge := func() error {
		n, err := r.MergeAll(ctx, p, states)
		changed += n
		states, size = states[:0], 0
		return err
	}
	_, err = readArchive(f, func(of ring.Partition, key store.Key, s version.Set) error {
		if in := ring.PartitionOf(key, partitions); of != p || in != p {
			return fmt.Errorf("the archive is of partition %d, where %q is in %d: %w", of, key, in, store.ErrInvalid)
		}
		keys++
		states = append(states, State{Key: key, Set: s})
		for _, v := range s.Versions {
			size += len(v.Value)
		}
		if len(states) < restoreKeysMax && size < restoreBytesMax {
			return nil
		}
		return merge()
	})
	if len(states) > 0 {
		err = errors.Join(err, merge())
	}
	if err != nil {
		return keys, changed, fmt.Errorf("restore %q of partition %d: %w", name, p, err)
	}
	return keys, changed, nil
}
