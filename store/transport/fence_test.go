package transport

import (
	"context"
	"errors"
	"slices"
	"testing"

	"cartwheel/store"
	"cartwheel/store/placement"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
)

// apart gives the server a knowledge of its own, which changes from there.
func apart(t *testing.T, p *Peers, s *Server, change func(history.History) (history.History, error)) {
	t.Helper()
	own := placement.New(p.opts.Placement.Now())
	if err := own.Update(change); err != nil {
		t.Fatal(err)
	}
	s.Placement = own
}

// passed brings a history to a further version with the same members: the one before is over.
func passed(h history.History) (history.History, error) {
	h, err := h.Commit("n2", h.Newest().Number+1, h.Newest().Layout.Roles())
	for _, n := range h.Waits() {
		h = h.Acked(n, h.Newest())
	}
	for _, n := range h.Waits() {
		h = h.Synced(n, h.Newest())
	}
	for _, n := range h.Waits() {
		h = h.SyncAcked(n, h.Newest())
	}
	return h, err
}

// replicaCalls are all that a node asks of another on behalf of requests and repairs.
func replicaCalls(p *Peers) map[string]func() error {
	ctx := context.Background()
	return map[string]func() error{
		"get":    func() error { _, err := p.Get(ctx, now(p), "n2", "k"); return err },
		"merge":  func() error { return p.Merge(ctx, now(p), "n2", "k", "", stateOf("v")) },
		"roots":  func() error { _, _, err := p.TreeRoots(ctx, "n2", [16]byte{}); return err },
		"nodes":  func() error { _, err := p.TreeNodes(ctx, "n2", 0, nil); return err },
		"leaves": func() error { _, _, err := p.TreeLeaves(ctx, "n2", 0, nil, "", 1); return err },
	}
}

func TestARequestOfALayoutThatIsOverIsRefused(t *testing.T) {
	p, n, s, _ := between(t)
	var behind []store.NodeID
	p.opts.Behind = func(of store.NodeID) { behind = append(behind, of) }
	apart(t, p, s, passed)
	for name, call := range replicaCalls(p) {
		behind = nil
		if err := call(); !errors.Is(err, store.ErrWrongRing) || !store.Definite(err) {
			t.Errorf("%s: got %v", name, err)
		}
		if !slices.Equal(behind, []store.NodeID{"n2"}) {
			t.Errorf("%s: knows less than %v", name, behind)
		}
	}
	if len(n.merges) > 0 {
		t.Errorf("merged %q", n.merges)
	}
}

// Who knows a newer layout than the replica knows better, also who owns the key.
func TestARequestOfANewerLayoutIsServed(t *testing.T) {
	p, n, s, _ := between(t)
	var behind []store.NodeID
	s.Behind = func(of store.NodeID) { behind = append(behind, of) }
	before := p.opts.Placement.Now()
	grown := placement.New(before)
	if err := grown.Update(func(h history.History) (history.History, error) {
		return h.Commit("n1", 2, ring.Plain([]store.Member{{ID: "n1", Address: "1"}, {ID: "n3", Address: "3"}}))
	}); err != nil {
		t.Fatal(err)
	}
	p.opts.Placement = grown
	if err := p.Merge(context.Background(), now(p), "n2", "k", "n3", stateOf("v")); err != nil {
		t.Errorf("a hint for an owner to be: %v", err)
	}
	if len(n.merges) != 1 || !slices.Equal(behind, []store.NodeID{"n1"}) {
		t.Errorf("merged %q, behind %v", n.merges, behind)
	}
}

func TestARemovedNodeIsNeitherServedNorBelieved(t *testing.T) {
	remove := func(who, by store.NodeID) func(history.History) (history.History, error) {
		return func(h history.History) (history.History, error) {
			l, err := ring.New(ring.Options{Members: []store.Member{{ID: "n1", Address: "1"}, {ID: "n2", Address: "2"}}, Partitions: 1, Replicas: 1})
			if err != nil {
				return h, err
			}
			return history.New(l).ForceRemove(by, 2, who)
		}
	}
	p, _, s, _ := between(t)
	apart(t, p, s, remove("n1", "n2"))
	for name, call := range replicaCalls(p) {
		if err := call(); !errors.Is(err, store.ErrNotMember) {
			t.Errorf("%s of one that was removed: got %v", name, err)
		}
	}
	if _, err := p.Forward(context.Background(), "n2", Write{Key: "k"}); !errors.Is(err, store.ErrNotMember) || !store.Definite(err) {
		t.Errorf("forward of one that was removed: %v", err)
	}
	p, n, _, _ := between(t)
	own := placement.New(p.opts.Placement.Now())
	p.opts.Placement = own
	n.work = func(context.Context) error { // it is removed while it answers
		return own.Update(remove("n2", "n1"))
	}
	if _, err := p.Get(context.Background(), now(p), "n2", "k"); !errors.Is(err, store.ErrWrongRing) {
		t.Errorf("an answer of one that was removed: %v", err)
	}
	if _, err := p.Get(context.Background(), now(p), "n2", "k"); !errors.Is(err, store.ErrDown) {
		t.Errorf("after it was removed: %v", err)
	}
}

func TestANodeThatHasNotJoinedServesNothing(t *testing.T) {
	p, _, s, _ := between(t)
	s.Placement = placement.New(history.History{})
	for name, call := range replicaCalls(p) {
		if err := call(); !errors.Is(err, store.ErrNotMember) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := Ping(context.Background(), p.opts.Dial, p.opts.Placement, "n1", "n2"); err != nil {
		t.Errorf("it is up all the same: %v", err)
	}
}
