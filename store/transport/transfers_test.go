package transport

import (
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/gossip"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
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
