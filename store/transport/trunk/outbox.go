package trunk

import (
	"runtime"
	"slices"
	"sync"

	"cartwheel/store/storepb"
)

// batchSizeBytes bounds a batch of more than one entry.
const batchSizeBytes = 256 << 10

// batchSizeBytesSoon is how much is sent without giving others a chance to add to it.
const batchSizeBytesSoon = 4 << 10

// An entry is one thing to be sent: one of its fields is set.
type entry struct {
	call    *storepb.Call
	givenUp uint64
	answer  *storepb.Answer
	closing bool
}

// sizeBytes is about what the entry adds to a batch.
func (e entry) sizeBytes() int {
	const rest = 96 // numbers, tags, and the method and headers of a call
	return rest + len(e.call.GetRequest()) + len(e.answer.GetReply()) + len(e.answer.GetStatus())
}

// An outbox gathers entries while the batch before them is being sent. Whoever adds to it
// bounds how many there can be.
type outbox struct {
	wake chan struct{} // one message while something waits

	mu      sync.Mutex
	waiting []entry
	bytes   int
	closed  bool
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// add returns false if nothing is sent any more.
func (o *outbox) add(e entry) bool {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return false
	}
	o.waiting = append(o.waiting, e)
	o.bytes += e.sizeBytes()
	first := len(o.waiting) == 1
	o.mu.Unlock()
	if first {
		o.rouse()
	}
	return true
}

func (o *outbox) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// remove takes back a call and returns whether it was still there.
func (o *outbox) remove(number uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.waiting, func(e entry) bool { return e.call != nil && e.call.GetNumber() == number })
	if i < 0 {
		return false
	}
	o.bytes -= o.waiting[i].sizeBytes()
	o.waiting = slices.Delete(o.waiting, i, i+1)
	return true
}

// close returns what was not sent, and takes no more.
func (o *outbox) close() []entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	left := o.waiting
	o.waiting, o.closed = nil, true
	return left
}

// small reports whether it is worth while to wait a moment for more.
func (o *outbox) small() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes < batchSizeBytesSoon
}

// take returns the next batch, nil if there is none.
func (o *outbox) take() *storepb.Batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		return nil
	}
	b, n, size := &storepb.Batch{}, 0, 0
	for _, e := range o.waiting {
		if size += e.sizeBytes(); n > 0 && size > batchSizeBytes {
			break
		}
		n++
		o.bytes -= e.sizeBytes()
		switch {
		case e.call != nil:
			b.Calls = append(b.Calls, e.call)
		case e.answer != nil:
			b.Answers = append(b.Answers, e.answer)
		case e.closing:
			b.Closing = true
		default:
			b.GivenUp = append(b.GivenUp, e.givenUp)
		}
	}
	left := copy(o.waiting, o.waiting[n:])
	clear(o.waiting[left:])
	o.waiting = o.waiting[:left]
	return b
}

// run sends batches until over is closed and nothing waits, or sending fails.
func (o *outbox) run(over <-chan struct{}, send func(*storepb.Batch) error) error {
	for last := false; !last; {
		select {
		case <-o.wake:
		case <-over:
			last = true
		}
		if o.small() {
			runtime.Gosched() // those that are about to add something get the chance to: one message instead of several
		}
		for b := o.take(); b != nil; b = o.take() {
			if err := send(b); err != nil {
				return err
			}
		}
	}
	return nil
}
