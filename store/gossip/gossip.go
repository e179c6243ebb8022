package gossip

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cartwheel/store"
	"cartwheel/store/ring/history"
)

// A Message is what two nodes say to each other.
type Message struct {
	From    store.Member // the sender, and where it wants to be reached
	Digest  uint64       // of the sender's history
	History []byte       // encoded; empty if the sender leaves it out
}

// A Keeper keeps this node's history.
type Keeper interface {
	// Now returns the history.
	Now() history.History
	// Encoded returns its bytes and their digest.
	Encoded() (b []byte, digest uint64)
	// Merge joins another history and returns when the result is on disk.
	Merge(ctx context.Context, other history.History) (history.History, error)
}

// Peers reaches other nodes.
type Peers interface {
	// Gossip hands m to the Receive of the node at an address and returns its answer. It must not ask
	// whether the node is believed to be up.
	Gossip(ctx context.Context, to store.Member, m Message) (Message, error)
}

// Options of gossip.
type Options struct {
	Self      store.Member  // this node, and where others reach it; required
	Keeper    Keeper        // required
	Peers     Peers         // required
	Seeds     []string      // addresses that are asked besides the members; this node's own is passed over
	Rand      store.Rand    // chooses peers and spreads the rounds; required
	Interval  time.Duration // between rounds; default 1s
	Timeout   time.Duration // of one exchange; default 1s
	Fanout    int           // nodes that are told at once of what is new; default 3
	SeedEvery int           // rounds from one with a seed to the next; default 10. A node that knows no cluster asks one in every round
	Logger    *slog.Logger  // default discards
}

func (o Options) withDefaults() Options {
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.Fanout == 0 {
		o.Fanout = 3
	}
	if o.SeedEvery == 0 {
		o.SeedEvery = 10
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	complain := func(bad bool, text string) {
		if bad {
			errs = append(errs, fmt.Errorf("gossip: %s: %w", text, store.ErrInvalid))
		}
	}
	complain(o.Self.ID == "", "no Self")
	complain(o.Keeper == nil, "no Keeper")
	complain(o.Peers == nil, "no Peers")
	complain(o.Rand == nil, "no Rand")
	complain(o.Interval < 0 || o.Timeout < 0, "want no negative durations")
	complain(o.Fanout < 0 || o.SeedEvery < 0, "want no negative Fanout or SeedEvery")
	return errors.Join(errs...)
}

// kicksMax bounds the nodes that wait to be asked at once; one more is asked in its turn.
const kicksMax = 16

// A Gossip is one node's part. It is safe for concurrent use.
type Gossip struct {
	opts    Options
	log     *slog.Logger
	changed chan struct{} // full when there is something new to push
	kicks   chan store.NodeID
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex // guards what follows, never a wait
	waiting map[store.NodeID]store.Member
	forked  map[store.NodeID]error

	rounds, failed, told, heard, damaged atomic.Uint64
}

// Start begins to gossip. Changed is to be called whenever the Keeper's history has changed.
func Start(o Options) (*Gossip, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	g := &Gossip{
		opts: o, log: o.Logger.With("component", "gossip"), changed: make(chan struct{}, 1), kicks: make(chan store.NodeID, kicksMax),
		waiting: map[store.NodeID]store.Member{}, forked: map[store.NodeID]error{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.wg.Go(func() { g.loop(ctx) })
	return g, nil
}

// Changed has the history pushed to a few nodes. It does not block.
func (g *Gossip) Changed() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// Kick has a member asked at once: it was seen to know more. It does not block.
func (g *Gossip) Kick(n store.NodeID) {
	select {
	case g.kicks <- n:
	default: // it will be asked in a round
	}
}

// Close ends the exchanges under way and returns when they have.
func (g *Gossip) Close() error {
	g.cancel()
	g.wg.Wait()
	return nil
}

// Stats are counts since Start.
type Stats struct {
	Rounds  uint64 // exchanges begun here that were answered
	Failed  uint64 // and that were not
	Told    uint64 // histories sent
	Heard   uint64 // histories received
	Damaged uint64 // of them, those that could not be read
	Forked  uint64 // nodes whose history is of another cluster, now
	Waiting uint64 // nodes that have asked and are no members
}

// Stats returns the counts.
func (g *Gossip) Stats() Stats {
	waiting, forked := len(g.Waiting()), len(g.Forked())
	return Stats{
		Rounds: g.rounds.Load(), Failed: g.failed.Load(), Told: g.told.Load(), Heard: g.heard.Load(), Damaged: g.damaged.Load(),
		Forked: uint64(forked), Waiting: uint64(waiting),
	}
}

func (g *Gossip) loop(ctx context.Context) {
	round := uint64(0)
	wait := time.NewTimer(g.pause(round))
	defer wait.Stop()
	for ctx.Err() == nil {
		select { // of several that are ready a select takes any: what is to be pushed goes first, so that runs repeat
		case <-g.changed:
			g.push(ctx)
			continue
		default:
		}
		select {
		case n := <-g.kicks:
			g.ask(ctx, n)
			continue
		default:
		}
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
			round++
			g.round(ctx, round)
			wait.Reset(g.pause(round))
		case <-g.changed:
			g.push(ctx)
		case n := <-g.kicks:
			g.ask(ctx, n)
		}
	}
}

// ask exchanges with a member.
func (g *Gossip) ask(ctx context.Context, n store.NodeID) {
	if m, ok := member(g.opts.Keeper.Now(), n); ok {
		g.report(ctx, m, g.exchange(ctx, m, false))
	}
}

func (g *Gossip) pause(round uint64) time.Duration {
	return g.opts.Interval + time.Duration(g.draw("pause", round)%uint64(g.opts.Interval/4+1))
}

// draw is a choice that depends on its name and number only.
func (g *Gossip) draw(name string, number uint64) uint64 {
	h := fnv.New64a()
	h.Write([]byte("gossip: " + name))
	return g.opts.Rand(h.Sum64(), number)
}

// round asks one member, and now and then one seed. A node that waits for a role asks all members by turns: an
// operator may give it one at any of them, and each forgets who has asked when it is restarted.
func (g *Gossip) round(ctx context.Context, number uint64) {
	peers := g.peers()
	if len(peers) > 0 {
		turn := number
		if _, is := member(g.opts.Keeper.Now(), g.opts.Self.ID); is {
			turn = g.draw("peer", number)
		}
		to := peers[turn%uint64(len(peers))]
		g.report(ctx, to, g.exchange(ctx, to, false))
	}
	if seeds := g.seeds(); len(seeds) > 0 && (len(peers) == 0 || number%uint64(g.opts.SeedEvery) == 0) {
		to := store.Member{Address: seeds[g.draw("seed", number)%uint64(len(seeds))]}
		g.report(ctx, to, g.exchange(ctx, to, false))
	}
}

// push tells a few members what is new.
func (g *Gossip) push(ctx context.Context) {
	peers := g.peers()
	_, digest := g.opts.Keeper.Encoded()
	var work sync.WaitGroup
	for i := 0; i < g.opts.Fanout && len(peers) > 0; i++ {
		at := g.draw("told", digest+uint64(i)) % uint64(len(peers))
		to := peers[at]
		peers = append(peers[:at], peers[at+1:]...)
		work.Go(func() { g.report(ctx, to, g.exchange(ctx, to, true)) })
	}
	work.Wait()
}

// peers returns the other members of all live versions, up or down.
func (g *Gossip) peers() (out []store.Member) {
	h := g.opts.Keeper.Now()
	if !h.Joined() {
		return nil
	}
	for _, m := range h.Members() {
		if m.ID != g.opts.Self.ID {
			out = append(out, m)
		}
	}
	return out
}

func (g *Gossip) seeds() (out []string) {
	for _, s := range g.opts.Seeds {
		if s != g.opts.Self.Address {
			out = append(out, s)
		}
	}
	return out
}

func member(h history.History, n store.NodeID) (store.Member, bool) {
	if h.Joined() {
		for _, m := range h.Members() {
			if m.ID == n {
				return m, true
			}
		}
	}
	return store.Member{}, false
}

// report counts an exchange.
func (g *Gossip) report(ctx context.Context, to store.Member, err error) {
	switch {
	case err == nil:
		g.rounds.Add(1)
	case ctx.Err() == nil:
		g.failed.Add(1)
		g.log.Debug("could not gossip", "peer", to.ID, "address", to.Address, "err", err)
	}
}
