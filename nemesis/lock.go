package nemesis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"cartwheel/harness"
)

// lock is held over calls of the cluster, hence a channel: waiting for it ends with
// the context and lets virtual time pass. It is made at first use, because a channel
// belongs to the bubble that made it and a nemesis may be older. The zero value works.
type lock struct {
	once sync.Once
	ch   chan struct{}
}

// moment is how long a lock rests between two holders. It is longer than the nanoseconds by
// which a runner keeps the beginnings of faults apart that are planned for one instant.
const moment = time.Microsecond

// acquire returns once the lock is held, or with the context's error. It lets a moment
// pass: where time is virtual, whoever held the lock before has then told of its fault, and
// the order in which faults are told is not left to the scheduler.
func (l *lock) acquire(ctx context.Context) error {
	l.once.Do(func() { l.ch = make(chan struct{}, 1) })
	select {
	case l.ch <- struct{}{}:
		wait(ctx, moment)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *lock) release() { <-l.ch }

// A side is one of the two that a fault has.
type side struct{ verb, done string }

var (
	injecting = side{"inject", "injected"}
	healing   = side{"heal", "healed"}
)

// hold acquires the lock for a side of a fault. That it could not is a problem of the fault.
func (l *lock) hold(ctx context.Context, e proof, s side, f harness.Fault) error {
	err := l.acquire(ctx)
	if err == nil {
		return nil
	}
	e.problem("it was not %s: %v", s.done, err)
	return fmt.Errorf("%s %s: %w", s.verb, f.ID, err)
}

// turns lets the faults of a nemesis whose begin and end look at the same thing, one node's clock or disk,
// be in force one after the other. Plans keep them apart, but a heal may be late: it may wait for a node to run.
type turns struct {
	turn  lock   // held while a fault is in force
	begun string // the fault in force; guarded by the ward's lock
}

// begin waits for the turn of a fault, and holds the ward as well.
func (t *turns) begin(ctx context.Context, w *ward, e proof, f harness.Fault) error {
	if err := t.turn.hold(ctx, e, injecting, f); err != nil {
		return err
	}
	if err := w.hold(ctx, e, injecting, f); err != nil {
		t.turn.release()
		return err
	}
	t.begun = f.ID
	return nil
}

// has reports whether the fault began and has not ended. What it never touched is another's by now. The
// caller holds the ward.
func (t *turns) has(f harness.Fault) bool { return t.begun == f.ID }

// end gives the turn of the fault that has it away. The caller holds the ward.
func (t *turns) end() {
	t.begun = ""
	t.turn.release()
}
