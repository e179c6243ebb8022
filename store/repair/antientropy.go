package repair

import (
	"cmp"
	"context"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cartwheel/store"
)

// An AntiEntropy keeps one node's records equal to those of its peers.
type AntiEntropy struct {
	opts   Options
	log    *slog.Logger
	cancel context.CancelFunc
	wg     sync.WaitGroup

	resume map[store.NodeID]position // by peer: where the last exchange broke off; the loop's alone
	turns  map[spot]turn             // how keys were mended last; the loop's alone

	mu    sync.Mutex
	clean map[store.NodeID]time.Duration // begin of the last round without a difference

	rounds, broken, capped, compared, repaired, same, checks, checksBroken atomic.Uint64
}

// Start begins to compare.
func Start(o Options) (*AntiEntropy, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	a := &AntiEntropy{opts: o, log: o.Logger.With("component", "repair"), resume: map[store.NodeID]position{}, turns: map[spot]turn{}, clean: map[store.NodeID]time.Duration{}}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.wg.Go(func() { a.loop(ctx) })
	return a, nil
}

// loop runs one round an interval. A cycle of rounds meets every peer that is up.
func (a *AntiEntropy) loop(ctx context.Context) {
	var cycle []store.NodeID
	checked := a.opts.Now()
	for round := uint64(0); ; round++ {
		wait := time.NewTimer(a.opts.Interval + time.Duration(a.draw("pause", round)%uint64(a.opts.Interval/4+1)))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		var peer store.NodeID
		if peer, cycle = a.pick(cycle, round); peer != "" {
			a.round(ctx, peer)
		}
		if now := a.opts.Now(); now-checked >= a.opts.CheckInterval {
			checked = now
			a.check(ctx)
		}
	}
}

// check has the node's own trees compared with its records.
func (a *AntiEntropy) check(ctx context.Context) {
	found, err := a.opts.Local.CheckTrees(ctx)
	switch {
	case err != nil && ctx.Err() != nil: // our own Close
	case err != nil:
		a.checksBroken.Add(1)
		a.log.Warn("could not check the hash trees", "err", err)
	default:
		a.checks.Add(1)
		a.log.Info("checked the hash trees", "keys", found.Keys, "drift", found.Drift(), "damaged", found.Damaged)
	}
}

// draw is a choice that depends on its name and number only.
func (a *AntiEntropy) draw(name string, number uint64) uint64 {
	h := fnv.New64a()
	h.Write([]byte("repair: " + name))
	return a.opts.Rand(h.Sum64(), number)
}

// pick takes the next peer that is up from what is left of the cycle, or else from a new
// cycle in an order of its own. It returns no peer if none is up.
func (a *AntiEntropy) pick(left []store.NodeID, round uint64) (peer store.NodeID, rest []store.NodeID) {
	var fresh []store.NodeID
	for _, m := range a.opts.Placement.Now().Members() {
		if m.ID != a.opts.Self {
			fresh = append(fresh, m.ID)
		}
	}
	left = slices.DeleteFunc(left, func(n store.NodeID) bool { return !slices.Contains(fresh, n) }) // it has left
	slices.SortStableFunc(fresh, func(x, y store.NodeID) int {
		return cmp.Compare(a.draw("turn of "+string(x), round), a.draw("turn of "+string(y), round))
	})
	for _, list := range [][]store.NodeID{left, fresh} {
		for i, n := range list {
			if a.opts.Detector.Up(n) {
				return n, list[i+1:]
			}
		}
	}
	return "", nil
}

// round compares with one peer and notes the result.
func (a *AntiEntropy) round(ctx context.Context, peer store.NodeID) {
	began := a.opts.Now()
	equal, err := a.exchange(ctx, peer)
	switch {
	case err != nil && ctx.Err() != nil: // our own Close
		return
	case err != nil:
		a.broken.Add(1)
		a.log.Debug("comparison broke off", "peer", peer, "err", err)
		return
	}
	a.rounds.Add(1)
	if !equal {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clean[peer] = began
}

// LastClean returns when the last comparison with the peer that found no difference began,
// on the clock of Options.Now. ok is false if there was none.
func (a *AntiEntropy) LastClean(peer store.NodeID) (began time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	began, ok = a.clean[peer]
	return began, ok
}

// Clean returns LastClean of all peers that have one.
func (a *AntiEntropy) Clean() map[store.NodeID]time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.clean)
}

// Stats are counts since Start.
type Stats struct {
	Rounds   uint64 // exchanges that were completed
	Broken   uint64 // exchanges that broke off, as a rule because the peer went out of reach
	Capped   uint64 // exchanges that ended at the limit of keys, to be continued
	Compared uint64 // leaves listed, on both sides, to find the keys that differ
	Repaired uint64 // keys that differed and were mended
	Same     uint64 // how often one and the same difference was mended in a row, at most
	Checks   uint64 // times the node's trees were compared with its records

	ChecksBroken uint64 // comparisons of these that an error ended
}

// Stats returns the counts.
func (a *AntiEntropy) Stats() Stats {
	return Stats{
		Rounds: a.rounds.Load(), Broken: a.broken.Load(), Capped: a.capped.Load(),
		Compared: a.compared.Load(), Repaired: a.repaired.Load(), Same: a.same.Load(), Checks: a.checks.Load(),
		ChecksBroken: a.checksBroken.Load(),
	}
}

// Close stops comparing and waits for what is under way. It may be called more than once.
func (a *AntiEntropy) Close() error {
	a.cancel()
	a.wg.Wait()
	return nil
}
