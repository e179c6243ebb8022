package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A tail counts the changes of one database that may not be on disk yet. The log is written
// in order, so whatever is synced has all that was written before it on disk too.
type tail struct {
	written atomic.Uint64 // buffered changes, each counted when it is complete
	flushed atomic.Uint64 // of them, those that are known to be on disk
}

// reached notes that the first n are on disk.
func (t *tail) reached(n uint64) {
	for was := t.flushed.Load(); was < n && !t.flushed.CompareAndSwap(was, n); was = t.flushed.Load() {
	}
}

// A flusher puts on disk what was acknowledged from memory, at most Options.FlushAfter later
// (the object buffer of the paper's section 6.1, with the engine's memtable as the buffer).
type flusher struct {
	data, hints tail
	dirty       chan struct{} // one message while something waits
	quit        chan struct{}
	work        sync.WaitGroup
}

func (r *Replica) startFlusher() {
	f := &r.flusher
	f.dirty, f.quit = make(chan struct{}, 1), make(chan struct{})
	f.work.Go(func() {
		for {
			select {
			case <-f.quit:
				return
			case <-f.dirty:
			}
			wait := time.NewTimer(r.opts.FlushAfter)
			select {
			case <-f.quit:
				wait.Stop()
				return
			case <-wait.C:
			}
			if err := r.flushAll(); err != nil {
				r.log.Warn("could not flush what was acknowledged from memory", "err", err)
			}
		}
	})
}

// stopFlusher returns when the flusher has ended.
func (r *Replica) stopFlusher() {
	close(r.flusher.quit)
	r.flusher.work.Wait()
}

// Flush returns when all that was acknowledged before is on disk.
func (r *Replica) Flush(ctx context.Context) error {
	if !r.gate.enter() {
		return closedError()
	}
	defer r.gate.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.flushAll()
}

func (r *Replica) flushAll() error { return errors.Join(r.flush(r.data), r.flush(r.hints)) }

func (r *Replica) tailOf(kv KV) *tail {
	if kv == r.hints {
		return &r.flusher.hints
	}
	return &r.flusher.data
}

// flush syncs a database if it has buffered changes.
func (r *Replica) flush(kv KV) error {
	if t := r.tailOf(kv); t.flushed.Load() == t.written.Load() {
		return nil
	}
	var b Batch
	b.Set(flushedKey, nil)
	if err := r.write(kv, &b); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// buffer makes a change that is on disk some time later.
func (r *Replica) buffer(kv KV, b *Batch) error {
	if err := kv.Apply(b, false); err != nil {
		return r.stopped(err)
	}
	r.tailOf(kv).written.Add(1)
	select {
	case r.flusher.dirty <- struct{}{}:
	default:
	}
	return nil
}
