package nemesis

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A waiter goes on at a later instant than the one at which the lock was released, so what
// the holder does at once comes first.
func TestALockIsHandedOverInALaterInstant(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var l lock
			var mu sync.Mutex
			var order []int
			note := func(i int) {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			}
			var wg sync.WaitGroup
			for i := range 4 {
				time.Sleep(time.Nanosecond) // they ask in turn
				wg.Go(func() {
					if err := l.acquire(t.Context()); err != nil {
						t.Error(err)
						return
					}
					if i == 0 {
						time.Sleep(time.Second)
					}
					l.release()
					runtime.Gosched() // whoever waits may run first
					note(i)
				})
			}
			wg.Wait()
			if !slices.Equal(order, []int{0, 1, 2, 3}) {
				t.Fatalf("they told in the order %v", order)
			}
		})
	}
}
