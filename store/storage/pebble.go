package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
)

// Sizes of one Pebble instance. The defaults are modest because a node has two and a test
// has many nodes in one process; a larger cache changes speed only.
const (
	MemtableSizeBytesDefault = 16 << 20
	MemtableSizeBytesMin     = 8 << 10
	MemtableSizeBytesMax     = 1 << 30
	CacheSizeBytesDefault    = 16 << 20
	CacheSizeBytesMin        = 1 // no block is so small: none is kept
	CacheSizeBytesMax        = 1 << 40
	openFilesMax             = 500
)

// PebbleOptions say where a Pebble instance lives.
type PebbleOptions struct {
	FS     vfs.FS       // default the operating system's
	Dir    string       // created if missing; required
	Logger *slog.Logger // default discards
	// MemtableSizeBytes of writes are kept in memory before they become a table on disk: from MemtableSizeBytesMin to
	// MemtableSizeBytesMax; default MemtableSizeBytesDefault.
	MemtableSizeBytes int
	// CacheSizeBytes of tables' blocks are kept in memory after they were read: from CacheSizeBytesMin, which keeps none, to
	// CacheSizeBytesMax; default CacheSizeBytesDefault.
	CacheSizeBytes int
	// OnStall is called when the instance begins and when it ceases to hold writes up, as compactions do not keep pace. It must not block; default none.
	OnStall func(begins bool)
}

func (o PebbleOptions) withDefaults() PebbleOptions {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnStall == nil {
		o.OnStall = func(bool) {}
	}
	o.MemtableSizeBytes = cmp.Or(o.MemtableSizeBytes, MemtableSizeBytesDefault)
	o.CacheSizeBytes = cmp.Or(o.CacheSizeBytes, CacheSizeBytesDefault)
	return o
}

func (o PebbleOptions) validate() error {
	within := func(name string, n, least, most int) error {
		if n >= least && n <= most {
			return nil
		}
		return fmt.Errorf("%s of %d bytes, want %d to %d: %w", name, n, least, most, store.ErrInvalid)
	}
	return errors.Join(
		within("a memtable", o.MemtableSizeBytes, MemtableSizeBytesMin, MemtableSizeBytesMax),
		within("a cache", o.CacheSizeBytes, CacheSizeBytesMin, CacheSizeBytesMax),
	)
}

// OpenPebble opens or creates a Pebble instance as a KV.
func OpenPebble(o PebbleOptions) (KV, error) {
	kv, err := openPebble(o)
	if err != nil {
		return nil, err
	}
	return kv, nil
}

func openPebble(o PebbleOptions) (*pebbleKV, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Dir, err)
	}
	k := &pebbleKV{log: &pebbleLogger{log: o.Logger.With("component", "pebble", "dir", o.Dir)}}
	cache := pebble.NewCache(int64(o.CacheSizeBytes))
	defer cache.Unref() // the instance holds a reference of its own
	db, err := pebble.Open(o.Dir, &pebble.Options{
		FS:                 o.FS,
		Cache:              cache,
		MemTableSize:       uint64(o.MemtableSizeBytes),
		MaxOpenFiles:       openFilesMax,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             k.log,
		EventListener: &pebble.EventListener{
			WriteStallBegin: func(pebble.WriteStallBeginInfo) { o.OnStall(true) },
			WriteStallEnd:   func() { o.OnStall(false) },
		},
		DisableTableStats: true, // statistics steer compactions of sizes that this store does not reach
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", o.Dir, err)
	}
	k.db = db
	return k, nil
}

type pebbleKV struct {
	db  *pebble.DB
	log *pebbleLogger
}

func (k *pebbleKV) Get(key []byte) ([]byte, bool, error) {
	value, closer, err := k.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if pebble.IsCorruptionError(err) {
		err = fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	if err != nil {
		return nil, false, fmt.Errorf("get %x: %w", key, err)
	}
	out := append([]byte(nil), value...)
	if err := closer.Close(); err != nil {
		return nil, false, fmt.Errorf("get %x: %w", key, err)
	}
	return out, true, nil
}

func (k *pebbleKV) Apply(b *Batch, sync bool) error {
	if err := k.log.fatal(); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	batch := k.db.NewBatch()
	var err error
	b.Changes(func(key, value []byte, deleted bool) {
		if deleted {
			err = errors.Join(err, batch.Delete(key, nil))
		} else {
			err = errors.Join(err, batch.Set(key, value, nil))
		}
	})
	if err != nil {
		return fmt.Errorf("apply: %w", errors.Join(err, batch.Close()))
	}
	opts := pebble.NoSync
	if sync {
		opts = pebble.Sync
	}
	// A failed commit reaches the logger's Fatalf and then returns nil: ask both.
	if err := errors.Join(batch.Commit(opts), k.log.fatal()); err != nil {
		return fmt.Errorf("apply: %w", err) // the batch may be referenced still; it is left to the collector
	}
	if err := batch.Close(); err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return nil
}

func (k *pebbleKV) Scan(lo, hi []byte, fn func(key, value []byte) bool) (err error) {
	it, err := k.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	defer func() {
		if cerr := it.Close(); cerr != nil && err == nil { // Close repeats the iterator's own error
			err = fmt.Errorf("scan: %w", cerr)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		value, verr := it.ValueAndErr()
		if verr != nil {
			return fmt.Errorf("scan: %w", verr)
		}
		if !fn(it.Key(), value) {
			return nil
		}
	}
	return it.Error()
}

func (k *pebbleKV) Close() error { return k.db.Close() }

// A pebbleLogger forwards what an operator must see and remembers the first fatal
// error. Pebble calls Fatalf when its log or manifest cannot be written and expects the
// process to end; here the instance takes no further write, and reads go on.
type pebbleLogger struct {
	log   *slog.Logger
	first atomic.Pointer[error]
}

func (l *pebbleLogger) fatal() error {
	if err := l.first.Load(); err != nil {
		return *err
	}
	return nil
}

// Infof forwards chatter about flushes and compactions at the lowest level.
func (l *pebbleLogger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("engine noted", "text", fmt.Sprintf(format, args...))
	}
}

// Errorf forwards errors that the engine retries.
func (l *pebbleLogger) Errorf(format string, args ...any) {
	l.log.Warn("engine reported an error", "err", fmt.Sprintf(format, args...))
}

// Fatalf forwards and remembers errors that the engine cannot go on from.
func (l *pebbleLogger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.first.CompareAndSwap(nil, &err)
	l.log.Error("engine failed", "err", err)
}
