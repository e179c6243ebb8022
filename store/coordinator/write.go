package coordinator

import (
	"context"
	"errors"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// A Write is a put or a delete as a client asked for it.
type Write struct {
	Key       store.Key
	Value     []byte // not written to by anyone; ignored for a delete
	Tombstone bool   // a delete, which needs a Context
	Context   store.Context
	WriteID   store.WriteID // the same for every attempt; zero: a write of its own
	Options   store.WriteOptions
}

func (w Write) op() string {
	if w.Tombstone {
		return "delete"
	}
	return "put"
}

// Write serves a put or delete that a client has sent to this node: here, or on the
// node that is to coordinate it. The reply comes when W nodes have it on disk. It shows
// all versions that the coordinator holds then, with a context that supersedes exactly those.
//
// An error proves that nothing was written if store.Definite says so; any other write may
// become visible later.
func (c *Coordinator) Write(ctx context.Context, w Write) (store.WriteResult, error) {
	return c.write(ctx, w, false)
}

// Forwarded serves a write that another node has forwarded here. It is never forwarded again.
func (c *Coordinator) Forwarded(ctx context.Context, w Write) (store.WriteResult, error) {
	return c.write(ctx, w, true)
}

func (c *Coordinator) write(ctx context.Context, w Write, forwarded bool) (store.WriteResult, error) {
	token, err := c.checkWrite(&w)
	if err != nil {
		return store.WriteResult{}, err
	}
	if err := c.enter(); err != nil {
		return store.WriteResult{}, err
	}
	h, end := c.opts.Placement.Write()
	leave := func() { end(); c.leave() }
	if err := c.mayCoordinate(h); err != nil {
		leave()
		return store.WriteResult{}, err
	}
	ctx, cancel := within(ctx, w.Options.Timeout)
	defer cancel()
	p, place := placeWrite(h, w.Key, w.Options.N)
	rep := c.newReport(w.op(), p, place, writeConditions(w.Options).Acks)
	rep.meta.Forwarded = forwarded
	if !forwarded {
		to := coordinators(place, c.opts.Self, token.Hint, w.Options.Mode, c.writable)
		if len(to) != 1 || to[0] != c.opts.Self {
			defer c.leave()
			end() // the other node goes by what it knows itself
			return c.forward(ctx, w, to, rep)
		}
	} else if !place.isOwner(c.opts.Self) && (w.Options.Mode == store.Strict || !place.isFallback(c.opts.Self)) {
		leave() // sloppy: it is about to leave, and would have to begin with a hint
		return store.WriteResult{}, fmt.Errorf("coordinate a %s %s on %s: %w", w.Options.Mode, w.op(), c.opts.Self, store.ErrNotOwner)
	}
	return c.coordinate(ctx, w, h.Stamp(), token, rep, leave)
}

// checkWrite fills in defaults and refuses what no node would take.
func (c *Coordinator) checkWrite(w *Write) (version.Token, error) {
	if err := checkKey(w.Key); err != nil {
		return version.Token{}, err
	}
	var err error
	if w.Options, err = c.defaults(w.Key).write(w.Options); err != nil {
		return version.Token{}, err
	}
	switch {
	case len(w.Value) > store.ValueSizeBytesMax:
		return version.Token{}, fmt.Errorf("value of %d bytes, %d at most: %w", len(w.Value), store.ValueSizeBytesMax, store.ErrTooLarge)
	case w.Tombstone && len(w.Context) == 0:
		return version.Token{}, fmt.Errorf("a delete removes what its context has seen, and there is none: %w", store.ErrInvalid)
	}
	return version.DecodeToken(w.Key, w.Context)
}

func checkKey(key store.Key) error {
	if len(key) < 1 || len(key) > store.KeySizeBytesMax {
		return fmt.Errorf("key of %d bytes, want 1 to %d: %w", len(key), store.KeySizeBytesMax, store.ErrInvalid)
	}
	return nil
}

// forward hands the write to the first of the nodes that takes it. The next one is tried
// only after an error which proves that the write lives nowhere: two coordinators would
// make two events of one write.
func (c *Coordinator) forward(ctx context.Context, w Write, to []store.NodeID, rep report) (store.WriteResult, error) {
	c.stats.forwarded.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)() // Close does not wait for another node
	var refusals error
	for _, n := range to {
		res, err := c.opts.Peers.Forward(ctx, n, w)
		if err == nil {
			return res, nil
		}
		err = fmt.Errorf("forward: %w", err)
		var missed *store.QuorumError
		switch {
		case errors.As(err, &missed) && missed.Sent > 0, finalRefusal(err):
			return store.WriteResult{}, err
		case !store.Definite(err):
			rep.sent++
			c.stats.failed.Add(1)
			return store.WriteResult{}, fmt.Errorf("%w: %w", rep.failure(0), err)
		}
		refusals = errors.Join(refusals, err)
	}
	c.stats.failed.Add(1)
	if refusals == nil {
		return store.WriteResult{}, fmt.Errorf("nobody to coordinate it is up: %w", rep.failure(0))
	}
	return store.WriteResult{}, fmt.Errorf("%w: %w", rep.failure(0), refusals)
}

// finalRefusal reports whether every other coordinator would refuse alike.
func finalRefusal(err error) bool {
	return errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrBadContext) || errors.Is(err, store.ErrSiblings)
}

// coordinate writes here, hands the state to the other owners and waits for the quorum. It leaves when
// its work behind the reply is done.
func (c *Coordinator) coordinate(ctx context.Context, w Write, at history.Stamp, token version.Token, rep report, leave func()) (store.WriteResult, error) {
	c.stats.writes.Add(1)
	if counted, up, need := unmet(writeConditions(w.Options), rep.place, w.Options.Mode, c.up); need > 0 {
		defer leave()
		for _, o := range rep.place.owners() {
			if !c.up(o) {
				rep.skipped(o)
			}
		}
		c.stats.failed.Add(1)
		missed := rep.failure(0)
		missed.Counted, missed.Need = counted, need
		return store.WriteResult{}, fmt.Errorf("%d that count are up: %w", up, missed)
	}
	f, err := c.writeHere(ctx, w, at, token.Vector, rep)
	if err != nil {
		defer leave()
		c.stats.failed.Add(1)
		return store.WriteResult{}, err
	}
	err = f.ask(ctx)
	c.start(func() { // it changes nothing of what is looked at here
		defer leave()
		f.finish()
	})
	if err != nil {
		c.stats.failed.Add(1)
		return store.WriteResult{}, err
	}
	if rep.place.isOwner(c.opts.Self) {
		token.Hint = c.opts.Self // the next put had best continue this node's events
	}
	siblings := c.shown(w.Key, f.state)
	f.result.Siblings, f.result.VectorEntries = len(siblings), len(f.state.Vector)
	return store.WriteResult{
		Siblings: siblings,
		Context:  version.Token{Vector: f.state.Vector, Hint: token.Hint}.Encode(w.Key),
		Meta:     f.result,
	}, nil
}

// writeHere makes the event durable on this node. Nobody else has heard of it when it
// fails, so the error is definite unless the engine failed in the middle of the write.
func (c *Coordinator) writeHere(ctx context.Context, w Write, at history.Stamp, past version.Vector, rep report) (*fanout, error) {
	p := ring.Partition(rep.meta.Partition)
	owner := standsInFor(rep.place, c.opts.Self, c.up)
	a := ask{c.opts.Self, owner}
	if owner == "" {
		a.owner = c.opts.Self
	}
	began := c.opts.Now()
	state, err := c.opts.Local.Put(ctx, p, w.Key, owner, storage.Write{
		Past: past, Value: w.Value, Tombstone: w.Tombstone, WriteID: w.WriteID,
		LastWriteWins: c.opts.Buckets.Of(w.Key).LastWriteWins, Buffered: w.Options.Durability == store.DurabilityNone,
	})
	var uncertain *storage.WriteError
	switch {
	case err == nil:
	case errors.As(err, &uncertain):
		rep.sent++
		return nil, fmt.Errorf("%w: %w", rep.failure(0), err)
	case store.Definite(err):
		return nil, err
	default:
		return nil, fmt.Errorf("%w: %w", rep.failure(0), err)
	}
	rep.sent++
	f := newFanout(c, w, at, p, state, rep)
	f.request = store.RequestOf(ctx)
	f.acked(answer{ask: a, rtt: c.opts.Now() - began, buffered: w.Options.Durability == store.DurabilityNone})
	return f, nil
}
