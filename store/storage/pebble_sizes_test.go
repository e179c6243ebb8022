package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
)

// With little memory what was written is read from tables on the disk, and is the same.
func TestADatabaseWithLittleMemoryReadsItsTables(t *testing.T) {
	kv, err := openPebble(PebbleOptions{FS: vfs.NewMem(), Dir: "data", MemtableSizeBytes: MemtableSizeBytesMin, CacheSizeBytes: CacheSizeBytesMin})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := kv.Close(); err != nil {
			t.Error(err)
		}
	}()
	const keys = 400
	value := make([]byte, 1<<10)
	for i := range keys {
		b := &Batch{}
		b.Set([]byte(fmt.Sprintf("k%03d", i)), append(value, byte(i)))
		if err := kv.Apply(b, true); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		before := kv.db.Metrics().BlockCache.Misses
		for i := range keys {
			got, ok, err := kv.Get([]byte(fmt.Sprintf("k%03d", i)))
			if err != nil || !ok || len(got) != len(value)+1 || got[len(value)] != byte(i) {
				t.Fatalf("key %d: %d bytes, %t, %v", i, len(got), ok, err)
			}
		}
		if missed := kv.db.Metrics().BlockCache.Misses - before; missed < keys/2 {
			t.Errorf("%d reads went to the disk for %d keys", missed, keys)
		}
	}
}

func TestSizesOfADatabaseAreBounded(t *testing.T) {
	for _, o := range []PebbleOptions{
		{MemtableSizeBytes: MemtableSizeBytesMin - 1},
		{MemtableSizeBytes: MemtableSizeBytesMax + 1},
		{CacheSizeBytes: -1},
		{CacheSizeBytes: CacheSizeBytesMax + 1},
	} {
		o.FS, o.Dir = vfs.NewMem(), "data"
		if _, err := OpenPebble(o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: got %v, want ErrInvalid", o, err)
		}
	}
}
