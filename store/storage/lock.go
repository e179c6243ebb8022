package storage

import (
	"context"
	"sync"
)

// A lockTable holds one lock a key. Locks are channels: a holder may wait for the disk,
// which must not be done with a mutex held (in a simulation that stops time).
type lockTable struct {
	mu    sync.Mutex // guards the map and the counts, never a wait
	locks map[string]*keyLock
}

type keyLock struct {
	slot chan struct{} // full while the key is locked
	refs int           // holder and waiters; the entry goes when it reaches 0
}

// lock waits for the key's lock, first come first served, and returns the function
// that releases it.
func (t *lockTable) lock(ctx context.Context, key string) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := t.acquire(key)
	select {
	case l.slot <- struct{}{}: // free: do not let the select below choose
	default:
		select {
		case l.slot <- struct{}{}:
		case <-ctx.Done():
			t.release(key, l)
			return nil, ctx.Err()
		}
	}
	return func() {
		<-l.slot
		t.release(key, l)
	}, nil
}

func (t *lockTable) acquire(key string) *keyLock {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.locks[key]
	if l == nil {
		l = &keyLock{slot: make(chan struct{}, 1)}
		if t.locks == nil {
			t.locks = map[string]*keyLock{}
		}
		t.locks[key] = l
	}
	l.refs++
	return l
}

func (t *lockTable) release(key string, l *keyLock) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.refs--; l.refs == 0 {
		delete(t.locks, key)
	}
}

// A gate counts the operations inside, so that Close can wait for them.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

// enter reports whether the gate is open; if so, leave must be called.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside.Add(1)
	return true
}

func (g *gate) leave() { g.inside.Done() }

// shut lets nobody in any more and waits until all have left. It reports whether it
// was this call that shut the gate.
func (g *gate) shut() bool {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
	return first
}
