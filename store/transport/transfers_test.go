package transport

import (
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/gossip"
	"cartwheel/store/placement"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// An echo answers gossip with what it was told.
type echo struct{}

func (echo) Receive(_ context.Context, m gossip.Message) (gossip.Message, error) { return m, nil }

func TestFetchAnswersForAsManyKeysAsFit(t *testing.T) {
	p, _, _, _ := between(t)
	keys := []store.Key{"a", "bad", "none", "x", "y"}
	got, err := p.Fetch(t.Context(), "n2", 0, keys)
	if err != nil || len(got) != 4 {
		t.Fatalf("%d records of %d, %v: want those that fit into an answer", len(got), len(keys), err)
	}
	if got[0].Set.IsZero() || got[0].SizeBytes < 600<<10 || !got[1].Damaged || got[1].SizeBytes > 0 || !got[2].Set.IsZero() || got[2].Damaged || got[3].Set.IsZero() {
		t.Errorf("got %v %v %v", got[1], got[2], got[0].SizeBytes)
	}
	if !got[0].Pruned.Equal(prunedOf("a")) || got[1].Pruned != nil || got[2].Pruned != nil || !got[3].Pruned.Equal(prunedOf("x")) {
		t.Errorf("pruned: %v %v %v %v", got[0].Pruned, got[1].Pruned, got[2].Pruned, got[3].Pruned)
	}
	if _, err := p.Fetch(t.Context(), "n2", 1, keys[:1]); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a key of another partition: %v", err)
	}
}

// What a removed node held is taken, unlike anything else it asks; but only by an owner.
func TestOwnersTakeWhatOthersHandOver(t *testing.T) {
	p, n, s, _ := between(t)
	state := storage.State{Key: "k", Set: stateOf("v")}
	if err := p.HandOver(t.Context(), "n2", 0, []storage.State{state}); err != nil {
		t.Fatal(err)
	}
	state.Pruned = prunedOf("k")
	p.opts.Self = "stranger"
	if err := p.HandOver(t.Context(), "n2", 0, []storage.State{state}); err != nil {
		t.Errorf("from one who is no member: %v", err)
	}
	if want := []string{"k: v", "k: v but " + prunedOf("k").String()}; !slices.Equal(n.merges, want) {
		t.Errorf("got %q, want %q", n.merges, want)
	}
	s.Self = "n3"
	if err := p.HandOver(t.Context(), "n2", 0, []storage.State{state}); !errors.Is(err, store.ErrNotOwner) {
		t.Errorf("to one who does not own it: %v", err)
	}
}

func TestGossipGoesToAnAddress(t *testing.T) {
	_, n, _, _ := between(t)
	peers := GossipPeers{Dial: func(m store.Member) grpc.ClientConnInterface {
		if m.Address != "2" {
			return nil
		}
		return n
	}}
	m := gossip.Message{From: store.Member{ID: "n1", Address: "1"}, Digest: 7, History: history.History{}.Encode()}
	got, err := peers.Gossip(t.Context(), store.Member{Address: "2"}, m)
	if err != nil || got.From != m.From || got.Digest != 7 || !slices.Equal(got.History, m.History) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := peers.Gossip(t.Context(), store.Member{Address: "3"}, m); !errors.Is(err, store.ErrDown) {
		t.Errorf("nobody is there: %v", err)
	}
}

// leaving commits a layout without n2, whose server it is.
func leaving(h history.History) (history.History, error) {
	return h.Commit("n1", h.Newest().Number+1, ring.Plain([]store.Member{{ID: "n1", Address: "1"}, {ID: "n3", Address: "3"}}))
}

// A node that leaves sees once that it holds no hints. None may come later, not even from a node that has not heard of it.
func TestANodeThatLeavesTakesNoHints(t *testing.T) {
	p, n, s, _ := between(t)
	apart(t, p, s, leaving)
	ctx := t.Context()
	for _, merge := range []func(context.Context, history.Stamp, store.NodeID, store.Key, store.NodeID, version.Set) error{p.Merge, p.Buffer} {
		if err := merge(ctx, now(p), "n2", "k", "n1", stateOf("milk")); !errors.Is(err, store.ErrNotMember) || !store.Definite(err) {
			t.Errorf("a hint: %v", err)
		}
		if err := merge(ctx, now(p), "n2", "k", "", stateOf("milk")); err != nil {
			t.Errorf("a copy, of which it is an owner till it has left: %v", err)
		}
	}
	if want := []string{`k for "": milk`, `buffered k for "": milk`}; !slices.Equal(n.merges, want) {
		t.Errorf("merged %q, want %q", n.merges, want)
	}
}

// heldUp is a disk that a merge waits for.
type heldUp struct {
	Local
	begun, free chan struct{}
}

func (d heldUp) Merge(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, set version.Set) (bool, error) {
	close(d.begun)
	<-d.free
	return d.Local.Merge(ctx, p, key, hintFor, set)
}

// A hint that was let in before the node heard that it leaves is stored before it acks that: what it hands over afterwards is all.
func TestAChangeWaitsForHintsThatAreBeingStored(t *testing.T) {
	p, _, s, _ := between(t)
	own := placement.New(p.opts.Placement.Now())
	d := heldUp{Local: s.Local, begun: make(chan struct{}), free: make(chan struct{})}
	s.Placement, s.Local = own, d
	stored := make(chan error, 1)
	go func() { stored <- p.Merge(context.Background(), now(p), "n2", "k", "n1", stateOf("milk")) }()
	<-d.begun
	if err := own.Update(leaving); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := own.WritesEnded(ctx, own.Now().Newest()); !errors.Is(err, context.Canceled) {
		t.Errorf("the layout without n2 may be acked with a hint on its way to its disk: %v", err)
	}
	close(d.free)
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	if err := own.WritesEnded(t.Context(), own.Now().Newest()); err != nil {
		t.Error(err)
	}
}
