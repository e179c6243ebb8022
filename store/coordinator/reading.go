package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cartwheel/store"
	"cartwheel/store/quorum"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/version"
)

// A phase of a read.
type phase uint8

const (
	collecting phase = iota // fewer than R answers
	reaching                // R answers, which show less than the session has seen
	securing                // writing the result back before the reply
	replied                 // waiting for stragglers
)

// readAnswer is the end of a read of a replica, or, with repair, of a write back to it.
type readAnswer struct {
	answer
	set    version.Set
	repair bool
}

// A reading is one get in flight. One goroutine owns all of it: first the request's, then the one that
// finishes behind the reply.
type reading struct {
	c         *Coordinator
	key       store.Key
	partition ring.Partition
	options   store.ReadOptions
	request   string         // id, for the nodes that take part
	floor     version.Vector // what the result must include
	report    report
	tracker   quorum.Group
	at        history.Stamp
	holding   [][]store.NodeID // owners that have to hold the result where its reader asks for that, by version of the layout
	roster    *roster
	watch     watch
	answers   chan readAnswer // has room for all that can come
	running   int             // replicas that were asked and have not answered
	repairing int             // write-backs without an answer

	phase    phase
	poll     *time.Timer           // while reaching: when to ask again; nil: not yet
	open     map[store.NodeID]bool // nodes that were asked and have not answered
	rounds   int                   // how often they were asked again
	shown    []shown               // answers, in the order of their coming; the newest of each ask
	merged   version.Set           // what is replied, from securing on
	secured  map[store.NodeID]bool // owners known to hold merged
	repaired int                   // write-backs acknowledged before the reply

	err    error            // valid once it is replied
	result store.ReadResult // likewise, if err is nil
}

func newReading(c *Coordinator, h history.History, key store.Key, o store.ReadOptions, floor version.Vector) *reading {
	p, place, holding := placeRead(h, key, o.N)
	return &reading{
		c: c, key: key, partition: p, options: o, floor: floor, report: c.newReport("get", p, place, o.R),
		at: h.Stamp(), holding: holding,
		tracker: quorum.NewGroup(readConditions(o), o.Mode, place.owning),
		roster:  newRoster(place, o.Mode, "", c.up),
		watch:   watch{patience: c.opts.FallbackAfter},
		// Every node has one question open at most, and every owner written back to before and after the reply.
		answers: make(chan readAnswer, len(place.list)+2*len(holding)*place.n+2*place.n),
		secured: map[store.NodeID]bool{},
		open:    map[store.NodeID]bool{},
	}
}

// ask begins with every owner, and returns when the outcome is known. What is left to do is finish's.
func (r *reading) ask(caller context.Context) error {
	r.noteSkipped()
	for _, o := range r.report.place.owners() {
		r.start(r.roster.begin(o))
	}
	for r.decide(); r.phase != replied; r.decide() {
		select {
		case a := <-r.answers:
			r.take(a)
		case <-r.watch.silent():
			a := r.watch.pop()
			if r.phase == collecting {
				r.start(r.roster.stalled(a))
			}
		case <-r.nextPoll():
			r.askAgain()
		case <-caller.Done():
			if r.phase == reaching {
				r.reply(r.unsatisfied())
				continue
			}
			r.reply(fmt.Errorf("%w: %w", r.report.short(r.tracker), caller.Err()))
		}
	}
	return r.err
}

// start asks a node, if there is one to ask.
func (r *reading) start(a ask, ok bool) {
	if !ok {
		return
	}
	r.report.sent++
	r.tracker.Asked(a.node, a.owner)
	r.watch.add(a)
	r.running++
	r.open[a.node] = true
	r.c.start(func() {
		ctx, cancel := context.WithTimeout(store.WithRequest(r.c.ctx, r.request), r.c.opts.ReplicaTimeout)
		defer cancel()
		began := r.c.opts.Now()
		var set version.Set
		var err error
		local, remote := r.c.opts.Local.Get, r.c.opts.Peers.Get
		if len(r.floor) > 0 {
			local, remote = r.c.opts.Local.Recall, r.c.opts.Peers.Recall
		}
		if a.node == r.c.opts.Self {
			set, err = local(ctx, r.partition, r.key)
		} else {
			set, err = remote(ctx, r.at, a.node, r.key)
		}
		r.answers <- readAnswer{answer: answer{ask: a, err: err, rtt: r.c.opts.Now() - began}, set: set}
	})
}

// writeBack joins a state into an owner's record.
func (r *reading) writeBack(owner store.NodeID, s version.Set) {
	r.repairing++
	r.c.start(func() {
		ctx, cancel := context.WithTimeout(store.WithRequest(r.c.ctx, r.request), r.c.opts.ReplicaTimeout)
		defer cancel()
		began := r.c.opts.Now()
		var err error
		if owner == r.c.opts.Self {
			_, err = r.c.opts.Local.Merge(ctx, r.partition, r.key, "", s)
		} else {
			err = r.c.opts.Peers.Merge(ctx, r.at, owner, r.key, "", s)
		}
		r.answers <- readAnswer{answer: answer{ask: ask{owner, owner}, err: err, rtt: r.c.opts.Now() - began}, repair: true}
	})
}

// take notes an answer. After it decide is called.
func (r *reading) take(a readAnswer) {
	switch {
	case a.repair:
		r.repairing--
		if a.err != nil {
			r.c.log.Debug("read repair failed", "key", string(r.key), "target", a.node, "err", a.err)
			return
		}
		r.c.stats.readRepairs.Add(1)
		if r.phase == securing {
			r.secured[a.node] = true
			r.repaired++
			r.report.mark(a.ask, store.ReplicaRepaired, a.rtt)
		}
	case a.err != nil:
		r.running--
		delete(r.open, a.node)
		r.watch.answered(a.ask)
		r.tracker.Failed(a.node, a.owner)
		r.report.add(a.answer, store.ReplicaFailed)
		if r.phase == collecting {
			r.start(r.roster.stalled(a.ask))
		}
	default:
		r.running--
		delete(r.open, a.node)
		r.watch.answered(a.ask)
		if a.set.IsZero() && r.options.NotFound != store.NotFoundCounts {
			r.tracker.Absent(a.node, a.owner)
		} else {
			r.tracker.Acked(a.node, a.owner)
		}
		r.roster.settle(a.owner)
		r.show(shown{a.ask, a.set})
		r.report.add(a.answer, readState(a.set, r.merged)) // while collecting, conclude corrects it
		if r.phase == securing && a.standsFor() == "" && holds(a.set, r.merged) {
			r.secured[a.node] = true
		}
	}
}

// show keeps an answer. A replica that was asked again shows no less than before.
func (r *reading) show(s shown) {
	for i := range r.shown {
		if r.shown[i].ask == s.ask {
			r.shown[i].set = version.Merge(r.shown[i].set, s.set)
			return
		}
	}
	r.shown = append(r.shown, s)
}

// decide moves on to the next phase when its condition holds.
func (r *reading) decide() {
	if r.phase == collecting {
		switch r.tracker.Verdict() {
		case quorum.Pending:
			return
		case quorum.Lost:
			r.reply(r.report.short(r.tracker))
			return
		case quorum.Reached:
			r.phase = reaching
		}
	}
	if r.phase == reaching {
		if r.conclude(); !r.merged.Vector.Includes(r.floor) {
			r.waitForFloor()
			return
		}
		r.stopPolling()
		if r.options.Repair != store.RepairBlocking {
			r.reply(nil)
			return
		}
		r.secure()
	}
	if r.phase != securing {
		return
	}
	switch {
	case r.held() >= r.holdersNeeded():
		r.reply(nil)
	case r.repairing == 0:
		r.report.need = r.holdersNeeded()
		r.reply(fmt.Errorf("result is on too few owners: %w", r.report.failure(r.held())))
	}
}

// secure counts the owners that hold the result, and writes it back to the others if
// these are too few: no later read may then miss what this one has shown.
func (r *reading) secure() {
	r.phase = securing
	for _, o := range holders(r.report.place, r.shown, r.merged) {
		r.secured[o] = true
	}
	if r.held() >= r.holdersNeeded() {
		return
	}
	var owners []store.NodeID
	for _, version := range r.holding {
		owners = union(owners, version)
	}
	for _, o := range owners {
		if !r.secured[o] && r.c.up(o) {
			r.writeBack(o, r.merged)
		}
	}
}

func (r *reading) reply(err error) {
	if err == nil {
		r.result = r.resultNow()
	}
	var missed *store.QuorumError
	if errors.As(err, &missed) {
		missed.Meta.Degraded = r.report.owners() < r.options.R
	}
	r.phase = replied
	r.err = err
}

// finish waits a little for the replicas that have not answered, writes all that was
// shown back to the owners that are behind, and waits for the write-backs. Reads that are
// still out after that end by their own deadline, which is how the detector learns of them.
func (r *reading) finish() {
	defer r.watch.stop()
	if r.options.Repair == store.RepairNone {
		return
	}
	patience := time.NewTimer(r.c.opts.StragglerWait)
	defer patience.Stop()
	for waiting := true; waiting && r.running+r.repairing > 0; {
		select {
		case a := <-r.answers:
			r.take(a)
			if a.repair && a.err == nil {
				r.secured[a.node] = true
			}
		case <-patience.C:
			waiting = false
		}
	}
	all := join(r.shown)
	for _, o := range behind(r.report.place, r.shown, all) {
		if !(r.secured[o] && holds(r.merged, all)) {
			r.writeBack(o, all)
		}
	}
	for r.repairing > 0 {
		r.take(<-r.answers)
	}
}
