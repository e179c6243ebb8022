package shaper

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// held keeps packets until they are due. Those due at the same instant go in the order in
// which they came.
type held struct {
	mu   sync.Mutex
	all  byTime
	seq  uint64
	wake chan struct{} // capacity 1: something new is the first to be due
}

// An entry is a packet and what to do with it when it is due.
type entry struct {
	due  time.Duration
	seq  uint64
	send func()
}

func newHeld() *held { return &held{wake: make(chan struct{}, 1)} }

func (h *held) add(due time.Duration, send func()) {
	h.mu.Lock()
	h.seq++
	heap.Push(&h.all, entry{due, h.seq, send})
	first := h.all[0].seq == h.seq
	h.mu.Unlock()
	if first {
		select {
		case h.wake <- struct{}{}:
		default: // it will look anyway
		}
	}
}

// take removes the first packet if it is due, else it says how long that will take.
func (h *held) take(now time.Duration) (send func(), wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.all) == 0 {
		return nil, time.Hour
	}
	if wait := h.all[0].due - now; wait > 0 {
		return nil, wait
	}
	return heap.Pop(&h.all).(entry).send, 0
}

// run sends packets when they are due, until ctx ends.
func (h *held) run(ctx context.Context, now func() time.Duration) {
	for {
		send, wait := h.take(now())
		if send != nil {
			send()
			continue
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-h.wake:
			t.Stop()
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

type byTime []entry

func (b byTime) Len() int { return len(b) }
func (b byTime) Less(i, j int) bool {
	return b[i].due < b[j].due || b[i].due == b[j].due && b[i].seq < b[j].seq
}
func (b byTime) Swap(i, j int) { b[i], b[j] = b[j], b[i] }
func (b *byTime) Push(x any)   { *b = append(*b, x.(entry)) }
func (b *byTime) Pop() any {
	last := (*b)[len(*b)-1]
	*b = (*b)[:len(*b)-1]
	return last
}
