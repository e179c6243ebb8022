package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"cartwheel/store/storepb"
)

// HedgeP95, as Options.HedgeAfter, stands for the time that 95 of 100 recent reads have taken.
const HedgeP95 time.Duration = -1

const (
	latencyWindow = 128 // reads that are recent
	latencyFewest = 20  // reads before HedgeP95 means anything
	hedgeBurst    = 10  // hedges at once; each ten reads allow one more
)

// A pace says when a read is to be hedged. Hedges are one in ten reads at most, because when
// everything is slow a second request for each read makes it slower.
type pace struct {
	mu     sync.Mutex // guards what follows, never a wait
	took   []time.Duration
	next   int // of took, to be replaced
	tenths int // of a hedge, allowed; at most 10*hedgeBurst
}

// delay returns after which time to hedge a read that begins now; false: not at all.
func (p *pace) delay(after time.Duration) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tenths = min(p.tenths+1, 10*hedgeBurst)
	switch {
	case after == HedgeP95 && len(p.took) >= latencyFewest:
		sorted := slices.Sorted(slices.Values(p.took))
		return sorted[len(sorted)*95/100], true
	case after > 0:
		return after, true
	}
	return 0, false
}

// spend takes leave for one hedge.
func (p *pace) spend() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tenths < 10 {
		return false
	}
	p.tenths -= 10
	return true
}

// note adds a read to the recent ones.
func (p *pace) note(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.took) < latencyWindow {
		p.took = append(p.took, took)
		return
	}
	p.took[p.next] = took
	p.next = (p.next + 1) % latencyWindow
}

// read sends a get, and a second one to another node if the first takes long (J. Dean, L.
// Barroso, "The Tail at Scale", 2013). The first answer wins. A read that fails in time is
// not hedged: it has been to other nodes already where that makes sense.
func (c *Client) read(ctx context.Context, t target, r *storepb.GetRequest) (*storepb.GetReply, error) {
	stops := c.route(t)
	began := c.opts.Clock.Now()
	delay, hedge := c.pace.delay(c.opts.HedgeAfter)
	if !hedge || len(stops) < 2 {
		reply, err := c.readFrom(ctx, t, stops, r)
		if err == nil {
			c.pace.note(c.opts.Clock.Now().Sub(began))
		}
		return reply, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the one that lost
	type answer struct {
		second bool
		reply  *storepb.GetReply
		err    error
	}
	answers := make(chan answer, 2)
	ask := func(second bool, stops []stop) {
		c.work.Go(func() {
			reply, err := c.readFrom(ctx, t, stops, r)
			answers <- answer{second, reply, err}
		})
	}
	ask(false, stops)
	late := time.NewTimer(delay)
	defer late.Stop()
	var failures error
	for running := 1; running > 0; {
		select {
		case a := <-answers:
			running--
			if a.err == nil {
				if a.second {
					c.hedgeWins.Add(1)
				}
				c.pace.note(c.opts.Clock.Now().Sub(began))
				return a.reply, nil
			}
			failures = errors.Join(failures, a.err)
		case <-late.C:
			if c.pace.spend() {
				c.hedges.Add(1)
				running++
				ask(true, stops[1:])
			}
		}
	}
	return nil, failures
}

func (c *Client) readFrom(ctx context.Context, t target, stops []stop, r *storepb.GetRequest) (reply *storepb.GetReply, err error) {
	err = c.walk(ctx, t, stops, func(ctx context.Context, kv storepb.KVClient) (err error) {
		reply, err = kv.Get(ctx, r)
		return err
	})
	return reply, err
}
