package transfer

import (
	"context"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cartwheel/store"
	"cartwheel/store/repair"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
)

// Transfers are one node's. They are safe for concurrent use.
type Transfers struct {
	opts   Options
	log    *slog.Logger
	slot   chan struct{} // full while data moves: what is copied must not be dropped behind it
	wake   chan struct{}
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex // guards what follows, never a wait
	work Work
	busy bool
	last error // of the last attempt

	finished uint64 // id of the version that done is about; guarded by slot
	done     map[job]bool

	copied, copiedBytes, handed, dropped, damaged atomic.Uint64
}

// Work is what is under way.
type Work struct {
	Kind      string // "copy", "hand over" or "drop"
	Version   uint64
	Done, All int // jobs: pairs of a partition and a peer, or partitions
	Partition ring.Partition
	Peer      store.NodeID // empty: all owners
}

// A job is one partition and one node that it is copied from or handed to.
type job struct {
	partition ring.Partition
	peer      store.NodeID
}

// Start begins to look for records that the node owns no more. Sync and HandOver are called when the history asks for them.
func Start(o Options) (*Transfers, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	t := &Transfers{opts: o, log: o.Logger.With("component", "transfer"), slot: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	t.wg.Go(func() { t.loop(ctx) })
	return t, nil
}

// Changed has the records looked at soon, because the layout has changed. It does not block.
func (t *Transfers) Changed() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Close ends the work of the loop. Sync and HandOver end with their own contexts.
func (t *Transfers) Close() error {
	t.cancel()
	t.wg.Wait()
	return nil
}

// Stats are counts since Start.
type Stats struct {
	Copied      uint64 // records that a copy has brought or added to
	CopiedBytes uint64 // of states received
	HandedOver  uint64 // states sent to those who own them now
	Dropped     uint64 // records deleted because others own them
	Damaged     uint64 // records that another node could not read
}

// Stats returns the counts.
func (t *Transfers) Stats() Stats {
	return Stats{
		Copied: t.copied.Load(), CopiedBytes: t.copiedBytes.Load(), HandedOver: t.handed.Load(), Dropped: t.dropped.Load(), Damaged: t.damaged.Load(),
	}
}

// Progress returns the work under way, if there is any, and why the last attempt failed, if it did.
func (t *Transfers) Progress() (w Work, busy bool, trouble error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.work, t.busy, t.last
}

func (t *Transfers) show(w Work) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.work, t.busy = w, true
}

func (t *Transfers) rest(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy, t.last = false, err
}

// enter waits for the slot.
func (t *Transfers) enter(ctx context.Context) error {
	select {
	case t.slot <- struct{}{}: // free: do not let the select below choose
		return nil
	default:
	}
	select {
	case t.slot <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *Transfers) leave() { <-t.slot }

// walk compares a partition with a peer, by the places of keys in v.
func (t *Transfers) walk(v history.Version, j job) *repair.Walk {
	return &repair.Walk{
		Local: t.opts.Local, Peers: t.opts.Peers, Peer: j.peer, Partition: j.partition, Place: v.Layout.Partition, Page: t.opts.Page, Timeout: t.opts.Timeout,
	}
}

// throttle waits as long as so many bytes may take, and until there is room for more.
func (t *Transfers) throttle(ctx context.Context, sizeBytes int) error {
	if err := wait(ctx, time.Duration(float64(sizeBytes)/float64(t.opts.RateBytes)*float64(time.Second))); err != nil {
		return err
	}
	return t.opts.Admit(ctx, sizeBytes)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// loop drops what the node owns no more.
func (t *Transfers) loop(ctx context.Context) {
	for round := uint64(0); ; round++ {
		name := fnv.New64a()
		name.Write([]byte("transfer: pause"))
		pause := time.NewTimer(t.opts.Interval + time.Duration(t.opts.Rand(name.Sum64(), round)%uint64(t.opts.Interval/4+1)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-t.wake:
			// A round soon, and not at this very instant, at which others act on the change, too.
			pause.Reset(t.opts.Interval/10 + time.Duration(t.opts.Rand(name.Sum64(), round)%uint64(t.opts.Interval/10+1)))
			select {
			case <-ctx.Done():
				pause.Stop()
				return
			case <-pause.C:
			}
		case <-pause.C:
		}
		if err := t.clear(ctx); err != nil && ctx.Err() == nil {
			t.log.Debug("could not hand over all that others own", "err", err)
		}
	}
}
