package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/clock"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

// ErrStopped is what every write gets after one has failed.
var ErrStopped = fmt.Errorf("storage takes no more writes until the node is restarted: %w", store.ErrReadOnly)

// A WriteError means that the engine failed while it wrote: the change may or may not
// be on disk. After any other error of Put or Merge nothing was written.
type WriteError struct{ Err error }

// Error says what the engine said.
func (e *WriteError) Error() string { return "write, outcome unknown: " + e.Err.Error() }

// Unwrap returns the engine's error.
func (e *WriteError) Unwrap() error { return e.Err }

// Options of a replica.
type Options struct {
	FS     vfs.FS       // default the operating system's
	Dir    string       // holds data/ and hints/, created if missing; required
	Self   store.NodeID // the node's name, one of the names of its random draws; may be empty
	Rand   store.Rand   // draws the node number; required, and its seed must be this process's alone
	Clock  clock.Clock  // stamps versions; default clock.System
	Logger *slog.Logger // default discards
	Wrap   func(KV) KV  // put around each of the two databases; default none

	// MemtableSizeBytes and CacheSizeBytes are those of each of the two databases, as in [PebbleOptions].
	MemtableSizeBytes, CacheSizeBytes int

	HintSizeBytesMax       uint64 // of all hints as stored; what would exceed it is refused; default 1 GiB
	HintTargetSizeBytesMax uint64 // of those for one owner; default half of HintSizeBytesMax

	FlushAfter time.Duration // what is acknowledged from memory is on disk so much later; default 100ms

	// Admit waits until there is room beside the foreground for what follows work on so many bytes that nobody waits for, or
	// ends with the error of its context; default: at once.
	Admit func(ctx context.Context, sizeBytes int) error
	// OnStall is called when an engine begins and when it ceases to hold writes up. It must not block, nor use the replica; default none.
	OnStall func(begins bool)
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.HintSizeBytesMax == 0 {
		o.HintSizeBytesMax = 1 << 30
	}
	if o.HintTargetSizeBytesMax == 0 {
		o.HintTargetSizeBytesMax = o.HintSizeBytesMax / 2
	}
	if o.FlushAfter == 0 {
		o.FlushAfter = 100 * time.Millisecond
	}
	if o.Admit == nil {
		o.Admit = func(ctx context.Context, _ int) error { return ctx.Err() }
	}
	if o.OnStall == nil {
		o.OnStall = func(bool) {}
	}
	if o.Wrap == nil {
		o.Wrap = func(kv KV) KV { return kv }
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, fmt.Errorf("storage without a directory: %w", store.ErrInvalid))
	}
	if o.Rand == nil {
		errs = append(errs, fmt.Errorf("storage without Rand: %w", store.ErrInvalid))
	}
	return errors.Join(errs...)
}

// A Replica is the durable state of one node.
type Replica struct {
	opts        Options
	log         *slog.Logger
	data, hints KV
	engines     map[string]*pebbleKV // under both, by directory; it does not change
	ids         *issuer
	locks       lockTable // by partition and key; covers the record and all hints of the key
	gate        gate
	ledger      ledger // hints held, by target
	forest      forest // hash trees over the node's own records
	flusher     flusher
	quarantine  quarantine
	pageKeys    int // keys read at a time where all are gone through

	failed   atomic.Pointer[error] // the first write error
	fenced   atomic.Pointer[error] // the disk is one of the past
	closeErr error                 // of the one Close that closed; read by the others after gate.shut
	closed   chan struct{}

	amnesia, damaged, drift, refused, restored atomic.Uint64
}

// Open opens or creates the databases in o.Dir. When it returns, the node's identity
// for this life is on disk.
func Open(o Options) (*Replica, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &Replica{opts: o, pageKeys: 1024, log: o.Logger.With("component", "storage"), closed: make(chan struct{})}
	if err := r.open(); err != nil {
		for _, kv := range []KV{r.hints, r.data} {
			if kv != nil {
				err = errors.Join(err, kv.Close())
			}
		}
		return nil, fmt.Errorf("open storage in %s: %w", o.Dir, err)
	}
	r.startFlusher()
	id := r.ids.identity()
	r.log.Info("opened storage", "node_number", fmt.Sprintf("%016x", id.Node), "incarnation", id.Incarnation, "hints", r.ledger.hints())
	return r, nil
}

func (r *Replica) open() (err error) {
	r.engines = map[string]*pebbleKV{}
	for _, db := range []struct {
		name string
		kv   *KV
	}{{"data", &r.data}, {"hints", &r.hints}} {
		kv, err := openPebble(PebbleOptions{
			FS: r.opts.FS, Dir: path.Join(r.opts.Dir, db.name), Logger: r.opts.Logger, OnStall: r.opts.OnStall,
			MemtableSizeBytes: r.opts.MemtableSizeBytes, CacheSizeBytes: r.opts.CacheSizeBytes,
		})
		if err != nil {
			return err
		}
		r.engines[db.name] = kv
		*db.kv = r.opts.Wrap(kv)
	}
	_, clean, err := r.data.Get(cleanKey) // which openIdentity takes away
	if err != nil {
		return fmt.Errorf("read the shutdown mark: %w", err)
	}
	write := func(b *Batch) error { return r.write(r.data, b) }
	if r.ids, err = openIdentity(r.data, r.opts, write, r.keepIdentity); err != nil {
		return err
	}
	if err := r.loadQuarantine(); err != nil {
		return err
	}
	if err := r.loadTrees(clean); err != nil {
		return err
	}
	return r.countHints()
}

// keepIdentity is as final as any other write, if it fails.
func (r *Replica) keepIdentity(l lease) error {
	if err := r.Healthy(); err != nil {
		return err
	}
	if err := keepIdentity(r.opts.FS, r.opts.Dir, l); err != nil {
		return r.stopped(err)
	}
	return nil
}

// Identity returns who the node is in version vectors.
func (r *Replica) Identity() Identity { return r.ids.identity() }

// Healthy returns nil, or the error after which no more writes are taken.
func (r *Replica) Healthy() error {
	if err := r.failed.Load(); err != nil {
		return fmt.Errorf("%w: %w", ErrStopped, *err)
	}
	return nil
}

// Stats are counts since Open, and the hints held now.
type Stats struct {
	Amnesia   uint64 // times the node was shown events of its own that it did not know
	Damaged   uint64 // reads that met a damaged record
	SetAside  uint64 // damaged records that are in quarantine now
	Restored  uint64 // damaged records that other owners have restored
	Drift     uint64 // leaves and sums of hash trees that were found wrong, and mended
	Hints     uint64 // hints held
	HintBytes uint64 // and their size as stored
	Refused   uint64 // hints refused because there was no room for them
}

// Engines returns what the databases tell of themselves, by name: data and hints.
func (r *Replica) Engines() map[string]*pebble.Metrics {
	out := make(map[string]*pebble.Metrics, len(r.engines))
	for name, kv := range r.engines {
		out[name] = kv.db.Metrics()
	}
	return out
}

// Stats returns the counts.
func (r *Replica) Stats() Stats {
	s := Stats{
		Amnesia: r.amnesia.Load(), Damaged: r.damaged.Load(), Drift: r.drift.Load(), Refused: r.refused.Load(),
		SetAside: uint64(r.quarantine.size()), Restored: r.restored.Load(),
	}
	for _, t := range r.ledger.list() {
		s.Hints += t.Hints
		s.HintBytes += t.Bytes
	}
	return s
}

// Close waits for the operations inside, marks the shutdown as clean and closes the
// databases. Operations that come later get store.ErrClosed.
func (r *Replica) Close() error {
	if !r.gate.shut() {
		<-r.closed
		return r.closeErr
	}
	// The mark comes after the hints are closed and is the last write of the data: whatever
	// fails before it leaves the next start without the mark, which only costs an incarnation.
	r.stopFlusher()
	err := r.flush(r.hints) // the mark flushes the data
	err = errors.Join(err, r.hints.Close())
	if err == nil && r.Healthy() == nil {
		var b Batch
		b.Set(cleanKey, nil)
		r.keepTrees(&b)
		err = r.write(r.data, &b)
	}
	if err = errors.Join(err, r.data.Close()); err != nil {
		r.closeErr = fmt.Errorf("close storage in %s: %w", r.opts.Dir, err)
	}
	close(r.closed)
	return r.closeErr
}

// write makes a change durable, or buffers it if the batch says so. The first error is final: the engine's memory and its
// disk may differ from then on, and only a restart, which reads the disk and raises the
// incarnation, makes them agree.
func (r *Replica) write(kv KV, b *Batch) error {
	if err := r.Healthy(); err != nil {
		return err
	}
	if b.buffered {
		return r.buffer(kv, b)
	}
	t := r.tailOf(kv)
	before := t.written.Load()
	if err := kv.Apply(b, true); err != nil {
		return r.stopped(err)
	}
	t.reached(before)
	return nil
}

// stopped remembers the first error of the engine's writes.
func (r *Replica) stopped(err error) error {
	if r.failed.CompareAndSwap(nil, &err) {
		r.log.Error("storage stopped taking writes", "err", err)
	}
	return &WriteError{Err: err}
}

// Fence ends all service for good: a disk of the past shows nothing and takes nothing. A later life has to find out anew.
func (r *Replica) Fence(err error) {
	if r.fenced.CompareAndSwap(nil, &err) {
		r.failed.CompareAndSwap(nil, &err)
		r.log.Error("what is on this disk may have been deleted by others: replace this node", "err", err)
	}
}

func closedError() error { return fmt.Errorf("storage: %w", store.ErrClosed) }

// enter begins an operation on a key: it returns when no other one is on the same key.
//
// Reads take the lock as well. A write can be read from the engine before it is on
// disk; a reader that saw it would have seen what a loss of power takes back. With writes that
// are buffered on purpose, readers do.
func (r *Replica) enter(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID) (leave func(), err error) {
	if err := checkNames(p, key, hintFor); err != nil {
		return nil, err
	}
	if !r.gate.enter() {
		return nil, closedError()
	}
	if err := r.fenced.Load(); err != nil {
		r.gate.leave()
		return nil, fmt.Errorf("storage: %w: %w", ErrStopped, *err)
	}
	unlock, err := r.locks.lock(ctx, string(cursorOf(p, key)))
	if err != nil {
		r.gate.leave()
		return nil, fmt.Errorf("wait for key %q: %w", key, err)
	}
	return func() {
		unlock()
		r.gate.leave()
	}, nil
}

// copies are all that this node holds of one key.
type copies struct {
	own      record
	ownBytes int  // as stored; 0 if there is none
	damaged  bool // the own record is in quarantine: own is what was written since
	hints    []heldHint
}

// A heldHint is a hint record and the owner it waits for.
type heldHint struct {
	target store.NodeID
	record
	sizeBytes int
}

// Get returns what this node knows of a key: its own record joined with every hint that
// it holds of it, so that a stand-in shows readers what it took for an owner.
func (r *Replica) Get(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error) {
	c, err := r.get(ctx, p, key)
	return c.joined(), err
}

// Recall is Get for a reader whose session may have seen events of actors that were pruned since: the set's vector has them, too.
func (r *Replica) Recall(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error) {
	c, err := r.get(ctx, p, key)
	c.own.set = c.own.whole()
	return c.joined(), err
}

func (r *Replica) get(ctx context.Context, p ring.Partition, key store.Key) (copies, error) {
	return r.look(ctx, "get", p, key, r.load)
}

// look loads a key under its lock. One whose record is damaged is not shown.
func (r *Replica) look(ctx context.Context, what string, p ring.Partition, key store.Key, load func(ring.Partition, store.Key) (copies, error)) (copies, error) {
	leave, err := r.enter(ctx, p, key, "")
	if err != nil {
		return copies{}, fmt.Errorf("%s %q: %w", what, key, err)
	}
	defer leave()
	c, err := load(p, key)
	if err == nil && c.damaged {
		err = errDamaged()
	}
	if err != nil {
		return copies{}, fmt.Errorf("%s %q: %w", what, key, err)
	}
	return c, nil
}

// Record returns this node's own record of a key, without hints.
func (r *Replica) Record(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error) {
	s, err := r.State(ctx, p, key)
	return s.Set, err
}

// Hints returns the hints held of one key, sorted by target.
func (r *Replica) Hints(ctx context.Context, p ring.Partition, key store.Key) ([]Hint, error) {
	leave, err := r.enter(ctx, p, key, "")
	if err != nil {
		return nil, fmt.Errorf("read hints of %q: %w", key, err)
	}
	defer leave()
	held, err := r.loadHints(p, key)
	if err != nil {
		return nil, fmt.Errorf("read hints of %q: %w", key, err)
	}
	var out []Hint
	for _, h := range held {
		out = append(out, Hint{Partition: p, Key: key, Target: h.target, Set: h.set})
	}
	return out, nil
}

// load reads the record and the hints of a key, which the caller has locked. A record that
// is damaged is set aside.
func (r *Replica) load(p ring.Partition, key store.Key) (copies, error) {
	c, err := r.loadOwn(p, key)
	if err != nil {
		return copies{}, err
	}
	c.hints, err = r.loadHints(p, key)
	return c, err
}

func (r *Replica) loadOwn(p ring.Partition, key store.Key) (c copies, err error) {
	c, err = r.readOwn(p, key)
	switch {
	case errors.Is(err, store.ErrCorrupt):
		err = r.setAside(p, key, err)
	case err == nil && c.ownBytes > 0 && r.quarantine.untouched(p, key):
		err = r.readmit(p, key, c.own)
	}
	c.damaged = r.quarantine.has(p, key)
	return c, err
}

// readsMax is how often a record is read before it counts as damaged: a bit may be wrong on the disk, or
// only have gone wrong on the way from there.
const readsMax = 3

func (r *Replica) readOwn(p ring.Partition, key store.Key) (c copies, err error) {
	for range readsMax {
		if c, err = r.readOnce(p, key); !errors.Is(err, store.ErrCorrupt) {
			break
		}
	}
	return c, err
}

func (r *Replica) readOnce(p ring.Partition, key store.Key) (c copies, err error) {
	at := dataKey(p, key)
	b, ok, err := r.data.Get(at)
	if err != nil || !ok {
		return copies{}, err
	}
	if c.own, err = r.decode(at, b); err != nil {
		return copies{}, err
	}
	c.ownBytes = len(b)
	return c, nil
}

func (r *Replica) loadHints(p ring.Partition, key store.Key) (held []heldHint, err error) {
	if r.ledger.hints() == 0 {
		return nil, nil // nearly always; hints of this key cannot appear while it is locked
	}
	prefix := hintsOf(p, key)
	var bad error
	err = r.hints.Scan(prefix, prefixEnd(prefix), func(at, b []byte) bool {
		var rec record
		if rec, bad = r.decode(at, b); bad != nil {
			return false
		}
		held = append(held, heldHint{store.NodeID(at[len(prefix):]), rec, len(at) + len(b)})
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, err
	}
	slices.SortFunc(held, func(a, b heldHint) int { return strings.Compare(string(a.target), string(b.target)) })
	return held, nil
}

// decode reads a record and counts damage.
func (r *Replica) decode(at, b []byte) (record, error) {
	rec, err := decodeRecord(at, b)
	if err != nil {
		r.damaged.Add(1)
		r.log.Error("read a damaged record", "at", fmt.Sprintf("%q", at), "err", err)
	}
	return rec, err
}

// joined is what a reader of this node is shown.
func (c copies) joined() version.Set {
	s := c.own.set
	for _, h := range c.hints {
		s = version.Merge(s, h.set)
	}
	return s
}

// of returns the record that a write with hintFor goes to, which may not exist yet.
func (c copies) of(hintFor store.NodeID) (rec record, sizeBytes int) {
	if hintFor == "" {
		return c.own, c.ownBytes
	}
	for _, h := range c.hints {
		if h.target == hintFor {
			return h.record, h.sizeBytes
		}
	}
	return record{}, 0
}
