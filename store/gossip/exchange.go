package gossip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cartwheel/store"
	"cartwheel/store/ring/history"
)

// exchange compares with a node, and both know the same afterwards. With tell the history is sent at once,
// because it is known to be news.
func (g *Gossip) exchange(ctx context.Context, to store.Member, tell bool) error {
	ctx, cancel := context.WithTimeout(ctx, g.opts.Timeout)
	defer cancel()
	for range 2 { // a second time if the answer shows that the node knows less
		m := g.message(tell)
		reply, err := g.opts.Peers.Gossip(ctx, to, m)
		if err != nil {
			return err
		}
		if to.ID != "" && reply.From.ID != to.ID {
			return fmt.Errorf("%q answers at %s, where %s should be, check the addresses: %w", reply.From.ID, to.Address, to.ID, store.ErrInvalid)
		}
		if err := g.learn(ctx, reply); err != nil {
			return err
		}
		if _, digest := g.opts.Keeper.Encoded(); digest == reply.Digest || tell || !g.opts.Keeper.Now().Joined() {
			return nil
		}
		tell = true
	}
	return nil
}

// Receive answers what another node says. The caller must not change the answer's History.
func (g *Gossip) Receive(ctx context.Context, m Message) (Message, error) {
	if m.From.ID == "" {
		return Message{}, fmt.Errorf("gossip of a node without a name: %w", store.ErrInvalid)
	}
	if err := g.learn(ctx, m); err != nil {
		return Message{}, err
	}
	g.meet(m.From)
	_, digest := g.opts.Keeper.Encoded()
	return g.message(digest != m.Digest), nil
}

// message is what this node says, with its history if tell.
func (g *Gossip) message(tell bool) Message {
	m := Message{From: g.opts.Self}
	b, digest := g.opts.Keeper.Encoded()
	if m.Digest = digest; tell && g.opts.Keeper.Now().Joined() {
		m.History = b
		g.told.Add(1)
	}
	return m
}

// learn joins what a message says, if its sender is to be believed.
func (g *Gossip) learn(ctx context.Context, m Message) error {
	if len(m.History) == 0 || g.opts.Keeper.Now().Fenced(m.From.ID) {
		return nil
	}
	g.heard.Add(1)
	theirs, err := history.DecodeNear(m.History, g.opts.Keeper.Now())
	if err != nil {
		g.damaged.Add(1)
		return fmt.Errorf("gossip of %s: %w: %w", m.From.ID, store.ErrInvalid, err) // not corrupt here
	}
	_, err = g.opts.Keeper.Merge(ctx, theirs)
	g.noteFork(m.From.ID, err)
	if err != nil {
		return fmt.Errorf("gossip of %s: %w", m.From.ID, err)
	}
	return nil
}

// noteFork is loud once when a node turns out to be of another cluster, and when it is no more.
func (g *Gossip) noteFork(n store.NodeID, err error) {
	isForked := errors.Is(err, history.ErrForked)
	g.mu.Lock()
	_, was := g.forked[n]
	switch {
	case isForked && (was || len(g.forked) < waitingMax):
		g.forked[n] = err
	case err == nil:
		delete(g.forked, n)
	}
	g.mu.Unlock()
	switch {
	case isForked && !was:
		g.log.Error("met a node of another cluster: check seeds and addresses, or wipe the one that should join", "peer", n, "err", err)
	case err == nil && was:
		g.log.Info("a node is of this cluster again", "peer", n)
	}
}

// Forked returns the nodes whose histories could not be joined with this one's, and why.
func (g *Gossip) Forked() map[store.NodeID]error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.forked)
}

// waitingMax bounds the strangers that are remembered; further ones are not shown.
const waitingMax = 256

// meet remembers a node that has asked and is no member: an operator may give it a role.
func (g *Gossip) meet(m store.Member) {
	h := g.opts.Keeper.Now()
	_, isMember := member(h, m.ID)
	g.mu.Lock()
	defer g.mu.Unlock()
	if isMember || h.Fenced(m.ID) || m.Address == "" {
		delete(g.waiting, m.ID)
	} else if _, known := g.waiting[m.ID]; known || len(g.waiting) < waitingMax {
		g.waiting[m.ID] = m
	}
}

// Waiting returns the nodes that have asked this one and are no members, sorted by id.
func (g *Gossip) Waiting() (out []store.Member) {
	h := g.opts.Keeper.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, m := range g.waiting {
		if _, isMember := member(h, id); isMember || h.Fenced(id) {
			continue
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b store.Member) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
