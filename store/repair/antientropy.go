package repair

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// An AntiEntropy keeps one node's records equal to those of its peers.
type AntiEntropy struct {
	opts   Options
	log    *slog.Logger
	peers  []store.NodeID // all other members, sorted
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	clean map[store.NodeID]time.Duration // begin of the last round without a difference

	rounds, broken, compared, repaired atomic.Uint64
}

// Start begins to compare.
func Start(o Options) (*AntiEntropy, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	a := &AntiEntropy{opts: o, log: o.Logger.With("component", "repair"), clean: map[store.NodeID]time.Duration{}}
	for _, m := range o.Layout.Members() {
		if m.ID != o.Self {
			a.peers = append(a.peers, m.ID)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.wg.Go(func() { a.loop(ctx) })
	return a, nil
}

// loop runs one round an interval. A cycle of rounds meets every peer that is up.
func (a *AntiEntropy) loop(ctx context.Context) {
	var cycle []store.NodeID
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
	fresh := slices.Clone(a.peers)
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
	differences, err := a.compare(ctx, peer)
	switch {
	case err != nil && ctx.Err() != nil: // our own Close
		return
	case err != nil:
		a.broken.Add(1)
		a.log.Debug("comparison broke off", "peer", peer, "err", err)
		return
	}
	a.rounds.Add(1)
	if differences > 0 {
		a.log.Info("mended differences", "peer", peer, "keys", differences)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clean[peer] = began
}

// compare walks through all keys shared with the peer. It returns how many differed.
func (a *AntiEntropy) compare(ctx context.Context, peer store.NodeID) (differences int, err error) {
	shared := func(p ring.Partition) bool {
		return int(p) < a.opts.Layout.Partitions() && a.opts.Layout.Owns(a.opts.Self, p) && a.opts.Layout.Owns(peer, p)
	}
	local := &listing{fetch: func(ctx context.Context, after []byte) ([]storage.Digest, []byte, error) {
		return a.opts.Local.Digests(ctx, shared, after, a.opts.Page)
	}}
	remote := &listing{fetch: func(ctx context.Context, after []byte) ([]storage.Digest, []byte, error) {
		ctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
		defer cancel()
		page, next, err := a.opts.Peers.Digests(ctx, peer, after, a.opts.Page)
		if err != nil {
			return nil, nil, fmt.Errorf("digests of %s: %w", peer, err)
		}
		for _, d := range page {
			if !shared(d.Partition) || a.opts.Layout.Partition(d.Key) != d.Partition {
				return nil, nil, fmt.Errorf("digests of %s: %q is not shared: %w", peer, d.Key, store.ErrNotOwner)
			}
		}
		return page, next, nil
	}}
	for {
		diff, equal, err := next(ctx, local, remote)
		a.compared.Add(uint64(equal))
		if err != nil || diff == nil {
			return differences, err
		}
		a.compared.Add(1)
		differences++
		if err := a.mend(ctx, peer, diff); store.OfOneKey(err) { // the comparison goes on, but it is not clean
			a.log.Warn("could not mend a key", "peer", peer, "key", string(diff.Key), "err", err)
		} else if err != nil {
			return differences, err
		} else {
			a.repaired.Add(1)
		}
	}
}

// mend makes this node and the peer hold the join of what they had of a key.
func (a *AntiEntropy) mend(ctx context.Context, peer store.NodeID, diff *difference) error {
	if diff.remote != nil {
		theirs, err := a.fetch(ctx, peer, diff.Key)
		if err != nil {
			return fmt.Errorf("fetch %q from %s: %w", diff.Key, peer, err)
		}
		if _, err := a.opts.Local.Merge(ctx, diff.Partition, diff.Key, "", theirs); err != nil {
			return err
		}
	}
	joined, err := a.opts.Local.Record(ctx, diff.Partition, diff.Key)
	if err != nil {
		return err
	}
	// What the peer answers a fetch with may be more than its record: it shows its hints
	// too. Only its listing tells that the record needs nothing.
	if diff.remote != nil && joined.Digest() == *diff.remote {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	if err := a.opts.Peers.Merge(ctx, peer, diff.Key, "", joined); err != nil {
		return fmt.Errorf("send %q to %s: %w", diff.Key, peer, err)
	}
	return nil
}

func (a *AntiEntropy) fetch(ctx context.Context, peer store.NodeID, key store.Key) (version.Set, error) {
	ctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	return a.opts.Peers.Get(ctx, peer, key)
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
	Rounds   uint64 // comparisons that were completed
	Broken   uint64 // comparisons that broke off, as a rule because the peer went out of reach
	Compared uint64 // keys compared
	Repaired uint64 // keys that differed and were mended
}

// Stats returns the counts.
func (a *AntiEntropy) Stats() Stats {
	return Stats{Rounds: a.rounds.Load(), Broken: a.broken.Load(), Compared: a.compared.Load(), Repaired: a.repaired.Load()}
}

// Close stops comparing and waits for what is under way. It may be called more than once.
func (a *AntiEntropy) Close() error {
	a.cancel()
	a.wg.Wait()
	return nil
}
