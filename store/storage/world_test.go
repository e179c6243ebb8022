package storage

import (
	"context"
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

// tb is what *testing.T and *rapid.T share.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// A disk is a node's machine: its files survive the node.
type disk struct {
	name store.NodeID
	fs   *vfs.MemFS
	wrap func(KV) KV
	life uint64
}

func newDisk(name store.NodeID) *disk { return &disk{name: name, fs: vfs.NewCrashableMem()} }

// open starts a node on the disk.
func (d *disk) open(t tb) *Replica {
	t.Helper()
	d.life++
	r, err := d.tryOpen()
	if err != nil {
		t.Fatalf("open %s: %v", d.name, err)
	}
	return r
}

func (d *disk) tryOpen() (*Replica, error) {
	return Open(Options{FS: d.fs, Dir: "node", Self: d.name, Rand: seeded(d.life), Clock: stopped{}, Wrap: d.wrap})
}

// crash cuts the power under r: only what was synced is on the disk afterwards.
func (d *disk) crash(t tb, r *Replica) {
	t.Helper()
	d.fs = d.fs.CrashClone(vfs.CrashCloneCfg{})
	closeReplica(t, r) // writes to the old files, which nobody opens again
}

func closeReplica(t tb, r *Replica) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func seeded(seed uint64) store.Rand {
	return func(names ...uint64) uint64 {
		h := fnv.New64a()
		fmt.Fprint(h, seed, names)
		return h.Sum64()
	}
}

type stopped struct{}

func (stopped) Now() time.Time { return time.Unix(0, 0) }

// part puts every key in a partition of a small ring.
func part(key store.Key) ring.Partition {
	return ring.Partition(len(key) % 4)
}

func writeID(n int) (id store.WriteID) {
	copy(id[:], fmt.Sprintf("%016d", n))
	return id
}

func mustPut(t tb, r *Replica, key store.Key, hintFor store.NodeID, n int, past version.Vector) version.Set {
	t.Helper()
	s, err := r.Put(context.Background(), part(key), key, hintFor, Write{Past: past, Value: fmt.Append(nil, n), WriteID: writeID(n)})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return s
}

func mustMerge(t tb, r *Replica, key store.Key, hintFor store.NodeID, s version.Set) bool {
	t.Helper()
	changed, err := r.Merge(context.Background(), part(key), key, hintFor, s)
	if err != nil {
		t.Fatalf("merge %q: %v", key, err)
	}
	return changed
}

func mustGet(t tb, r *Replica, key store.Key) version.Set {
	t.Helper()
	s, err := r.Get(context.Background(), part(key), key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return s
}

func mustRecord(t tb, r *Replica, key store.Key) version.Set {
	t.Helper()
	s, err := r.Record(context.Background(), part(key), key)
	if err != nil {
		t.Fatalf("record %q: %v", key, err)
	}
	return s
}

func allHints(t tb, r *Replica, target store.NodeID) []Hint {
	t.Helper()
	hints, next, err := r.NextHints(context.Background(), target, nil, 1<<20)
	if err != nil || next != nil {
		t.Fatalf("next hints for %s: next %x, %v", target, next, err)
	}
	return hints
}

func open(t *testing.T, d *disk) *Replica {
	t.Helper()
	r := d.open(t)
	t.Cleanup(func() { closeReplica(t, r) })
	return r
}
