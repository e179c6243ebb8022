package worker

import (
	"sync"
	"sync/atomic"
)

// A Pool is some goroutines. Safe for concurrent use.
type Pool struct {
	work    chan func() // to those that are idle
	idleMax int32
	idle    atomic.Int32
	all     sync.WaitGroup
}

// NewPool returns a pool of which at most so many goroutines stay when they have nothing to do.
func NewPool(idleMax int) *Pool { return &Pool{work: make(chan func()), idleMax: int32(idleMax)} }

// Go runs f at once. It must not be called after Close, or at the same time.
func (p *Pool) Go(f func()) {
	select {
	case p.work <- f:
	default:
		p.all.Go(func() { p.run(f) })
	}
}

func (p *Pool) run(f func()) {
	for ok := true; ok; {
		f()
		f = nil // what it holds on to need not wait for the next
		if p.idle.Add(1) > p.idleMax {
			ok = false
		} else {
			f, ok = <-p.work
		}
		p.idle.Add(-1)
	}
}

// Close returns when all functions have, and no goroutine is left. It is called once.
func (p *Pool) Close() {
	close(p.work)
	p.all.Wait()
}
