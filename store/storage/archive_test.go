package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

const archiveRing = 16 // partitions of these tests

// keysOf returns keys of one partition.
func keysOf(p ring.Partition, n int) (keys []store.Key) {
	for i := 0; len(keys) < n; i++ {
		if key := store.Key(fmt.Sprintf("k%d", i)); ring.PartitionOf(key, archiveRing) == p {
			keys = append(keys, key)
		}
	}
	return keys
}

func putAt(t *testing.T, r *Replica, p ring.Partition, key store.Key, n int, past version.Vector) version.Set {
	t.Helper()
	s, err := r.Put(context.Background(), p, key, "", Write{Past: past, Value: fmt.Append(nil, n), WriteID: writeID(n)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// An archive brings back what is missing, and nothing that is older than what is there; another node may read it, after a loss of power, too.
func TestAPartitionIsArchivedAndJoinedInAgain(t *testing.T) {
	ctx := context.Background()
	d := newDisk("a")
	r := d.open(t)
	keys := keysOf(3, 600) // more than are joined in at a time
	var first version.Set
	for i, key := range keys {
		s := putAt(t, r, 3, key, i+1, nil)
		if i == 0 {
			first = s
		}
	}
	putAt(t, r, 4, keysOf(4, 1)[0], 9999, nil)
	a, err := r.Archive(ctx, "monday", 3)
	if err != nil || a.Keys != len(keys) || a.LeftOut != 0 || a.File != "node/backups/monday/partition-0003" {
		t.Fatalf("got %+v, %v", a, err)
	}
	if info, err := d.fs.Stat(a.File); err != nil || info.Size() != a.SizeBytes {
		t.Errorf("the file has %v bytes, %v, want %d", info, err, a.SizeBytes)
	}
	if _, err := r.Archive(ctx, "monday", 3); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a second of the name: %v", err)
	}
	if b, err := r.Archive(ctx, "monday", 4); err != nil || b.Keys != 1 {
		t.Errorf("another partition under the name: %+v, %v", b, err)
	}
	newer := putAt(t, r, 3, keys[0], 7777, first.Vector)
	if n, changed, err := r.RestoreArchive(ctx, "monday", 3, archiveRing); err != nil || n != len(keys) || changed != 0 {
		t.Errorf("restored where nothing is missing: %d keys, %d changed, %v", n, changed, err)
	}
	if s, err := r.Record(ctx, 3, keys[0]); err != nil || !s.Equal(newer) {
		t.Errorf("a newer value became %v, %v", s, err)
	}
	d.crash(t, r)

	other := newDisk("b")
	if err := other.fs.MkdirAll("node/backups/monday", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := carry(d.fs, other.fs, a.File); err != nil {
		t.Fatal(err)
	}
	r = other.open(t)
	defer closeReplica(t, r)
	if n, changed, err := r.RestoreArchive(ctx, "monday", 3, archiveRing); err != nil || n != len(keys) || changed != len(keys) {
		t.Errorf("restored on another node: %d keys, %d changed, %v", n, changed, err)
	}
	if s, err := r.Record(ctx, 3, keys[0]); err != nil || !s.Equal(first) {
		t.Errorf("got %v, %v, want %v", s, err, first)
	}
	if _, _, err := r.RestoreArchive(ctx, "monday", 3, 2*archiveRing); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("in a ring of twice as many partitions: %v", err)
	}
	for _, name := range []string{"tuesday", "../up", ""} {
		if _, _, err := r.RestoreArchive(ctx, name, 3, archiveRing); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// carry copies a file from one machine to another.
func carry(from, to vfs.FS, file string) error {
	in, err := from.Open(file)
	if err != nil {
		return err
	}
	out, err := to.Create(file, vfs.WriteCategoryUnspecified)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(in)
	if err == nil {
		_, err = out.Write(b.Bytes())
	}
	return errors.Join(err, in.Close(), out.Sync(), out.Close())
}

func archiveOf(tb testing.TB, p ring.Partition, keys ...store.Key) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := newArchiveWriter(&b, p)
	for i, key := range keys {
		dot := version.Dot{Actor: version.Actor{Node: 1, Epoch: 1}, Counter: uint64(i + 1)}
		if err := w.add(key, version.Set{}.Put(nil, version.Version{Dot: dot, Value: []byte(key)})); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.end(); err != nil {
		tb.Fatal(err)
	}
	if w.size != int64(b.Len()) {
		tb.Errorf("counted %d bytes of %d", w.size, b.Len())
	}
	return b.Bytes()
}

// Whatever is cut off or turned over is found out.
func TestADamagedArchiveIsFoundOut(t *testing.T) {
	whole := archiveOf(t, 7, "a", "b", "c")
	read := func(b []byte) error {
		_, err := readArchive(bytes.NewReader(b), func(ring.Partition, store.Key, version.Set) error { return nil })
		return err
	}
	if err := read(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := read(whole[:n]); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[n] ^= 1 << bit
			if err := read(b); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("bit %d of byte %d turned over: %v", bit, n, err)
			}
		}
	}
	if err := read(append(whole, 0)); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a byte behind its end: %v", err)
	}
}

// FuzzArchive: bytes from a disk are an archive that was written there, or corrupt.
func FuzzArchive(f *testing.F) {
	f.Add(archiveOf(f, 7, "a", "b"))
	f.Add(archiveOf(f, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again bytes.Buffer
		var w *archiveWriter
		p, err := readArchive(bytes.NewReader(b), func(p ring.Partition, key store.Key, s version.Set) error {
			if w == nil {
				w = newArchiveWriter(&again, p)
			}
			return w.add(key, s)
		})
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%x: %v is not corrupt", b, err)
			}
			return
		}
		if w == nil {
			w = newArchiveWriter(&again, p)
		}
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), b) {
			t.Errorf("accepted %x, which no writer wrote: it writes %x", b, again.Bytes())
		}
	})
}
