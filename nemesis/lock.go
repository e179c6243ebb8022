package nemesis

import (
	"context"
	"sync"
)

// lock is held over calls of the cluster, hence a channel: waiting for it ends with
// the context and lets virtual time pass. It is made at first use, because a channel
// belongs to the bubble that made it and a nemesis may be older. The zero value works.
type lock struct {
	once sync.Once
	ch   chan struct{}
}

// acquire returns once the lock is held, or with the context's error.
func (l *lock) acquire(ctx context.Context) error {
	l.once.Do(func() { l.ch = make(chan struct{}, 1) })
	select {
	case l.ch <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *lock) release() { <-l.ch }
