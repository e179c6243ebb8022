package coordinator

import (
	"context"
	"errors"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/quorum"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/version"
)

// A fanout hands a state that was stored here to the key's other owners, or to those
// that stand in for them, and at last, as a hint, to this node itself. One goroutine owns
// all of it: first the request's, then the one that finishes behind the reply.
type fanout struct {
	c         *Coordinator
	key       store.Key
	partition ring.Partition
	state     version.Set
	request   string // id, for the nodes that take part
	buffered  bool   // other nodes may acknowledge from memory
	durable   map[store.NodeID]bool
	report    report
	tracker   quorum.Group
	at        history.Stamp
	roster    *roster
	watch     watch
	answers   chan answer   // has room for all that can come
	running   int           // asks without an answer
	here      chan struct{} // closed when the last ask of this node itself is over; nil: none yet

	replied bool
	err     error      // valid once it is replied
	result  store.Meta // likewise, if err is nil
}

func newFanout(c *Coordinator, w Write, at history.Stamp, p ring.Partition, state version.Set, rep report) *fanout {
	return &fanout{
		c: c, key: w.Key, at: at, partition: p, state: state, report: rep,
		buffered: w.Options.Durability != store.DurabilityAll, durable: map[store.NodeID]bool{},
		tracker: quorum.NewGroup(writeConditions(w.Options), w.Options.Mode, rep.place.owning),
		roster:  newRoster(rep.place, w.Options.Mode, c.opts.Self, c.up),
		watch:   watch{patience: c.opts.FallbackAfter},
		answers: make(chan answer, rep.place.count*len(rep.place.list)), // each node once an owner
	}
}

// ask begins with every owner, and returns when the outcome is known. What is left to do is finish's.
func (f *fanout) ask(caller context.Context) error {
	for _, o := range f.report.place.owners() {
		if o == f.c.opts.Self {
			continue
		}
		if !f.c.up(o) {
			f.report.skipped(o)
			if f.roster.settled[o] {
				continue // this node's own write is the hint
			}
		}
		f.start(f.roster.begin(o))
	}
	for f.decide(); !f.replied; f.decide() {
		select {
		case a := <-f.answers:
			f.take(a)
		case <-f.watch.silent():
			f.start(f.roster.stalled(f.watch.pop()))
		case <-caller.Done():
			f.reply(fmt.Errorf("%w: %w", f.report.short(f.tracker), caller.Err()))
		}
	}
	return f.err
}

// finish asks on until every owner has the state or a hint waits for it somewhere.
func (f *fanout) finish() {
	defer f.watch.stop()
	for f.running > 0 {
		select {
		case a := <-f.answers:
			f.take(a)
		case <-f.watch.silent():
			f.start(f.roster.stalled(f.watch.pop()))
		}
	}
}

func (f *fanout) take(a answer) {
	f.running--
	f.watch.answered(a.ask)
	if a.err == nil {
		f.acked(a)
	} else {
		f.failed(a)
	}
}

// start sends an ask, if there is one.
func (f *fanout) start(a ask, ok bool) {
	if !ok {
		return
	}
	f.report.sent++
	f.tracker.Asked(a.node, a.owner)
	f.watch.add(a)
	f.running++
	// Asks of this node itself lock one key. They take turns here, where their order is
	// known, and not there, where it would depend on how they were scheduled.
	var before, over chan struct{}
	if a.node == f.c.opts.Self {
		over = make(chan struct{})
		before, f.here = f.here, over
	}
	f.c.start(func() {
		if over != nil {
			defer close(over)
		}
		if before != nil {
			<-before
		}
		began := f.c.opts.Now()
		err := f.send(a)
		f.answers <- answer{ask: a, err: err, rtt: f.c.opts.Now() - began, buffered: f.buffered && a.node != f.c.opts.Self}
	})
}

func (f *fanout) send(a ask) error {
	if a.node == f.c.opts.Self {
		ctx, cancel := f.c.localContext()
		defer cancel()
		_, err := f.c.opts.Local.Merge(ctx, f.partition, f.key, a.standsFor(), f.state)
		return err
	}
	ctx, cancel := context.WithTimeout(store.WithRequest(f.c.ctx, f.request), f.c.opts.ReplicaTimeout)
	defer cancel()
	merge := f.c.opts.Peers.Merge
	if f.buffered {
		merge = f.c.opts.Peers.Buffer
	}
	return merge(ctx, f.at, a.node, f.key, a.standsFor(), f.state)
}

func (f *fanout) acked(a answer) {
	f.tracker.Acked(a.node, a.owner)
	f.roster.settle(a.owner)
	f.report.add(a, store.ReplicaOK)
	if !a.buffered {
		f.durable[a.node] = true
		f.report.meta.Durable = len(f.durable)
	}
	if a.standsFor() != "" {
		f.report.meta.Hinted++
		f.c.stats.hinted.Add(1)
	}
	for _, more := range f.roster.took(a.node) {
		f.start(more, true)
	}
}

func (f *fanout) failed(a answer) {
	f.tracker.Failed(a.node, a.owner)
	f.report.add(a, store.ReplicaFailed)
	if a.node == f.c.opts.Self {
		f.c.log.Warn("hint could not be parked", "key", string(f.key), "target", a.owner, "err", a.err)
	}
	f.start(f.roster.stalled(a.ask))
}

// decide replies when the outcome is known. No answer that is still to come could change a
// lost quorum: whoever else can be asked has been.
func (f *fanout) decide() {
	switch f.tracker.Verdict() {
	case quorum.Pending:
	case quorum.Reached:
		f.reply(nil)
	case quorum.Lost:
		f.reply(f.report.short(f.tracker))
	}
}

func (f *fanout) reply(err error) {
	if f.replied {
		return
	}
	f.replied = true
	if err == nil {
		f.result = f.report.snapshot()
		f.result.Degraded = f.report.owners() < f.report.need
		if f.result.Degraded {
			f.c.stats.degraded.Add(1)
		}
	}
	var missed *store.QuorumError
	if errors.As(err, &missed) {
		missed.Meta.Degraded = f.report.owners() < f.report.need
	}
	f.err = err
}
