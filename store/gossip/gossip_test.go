package gossip

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
)

// A keeper is a history in memory.
type keeper struct {
	mu sync.Mutex
	h  history.History
	g  *Gossip // told of changes
}

func (k *keeper) Now() history.History {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.h
}

func (k *keeper) Encoded() ([]byte, uint64) {
	b := k.Now().Encode()
	sum := sha256.Sum256(b)
	return b, binary.BigEndian.Uint64(sum[:])
}

func (k *keeper) Merge(_ context.Context, other history.History) (history.History, error) {
	return k.change(func(h history.History) (history.History, error) { return history.Merge(h, other) })
}

func (k *keeper) change(f func(history.History) (history.History, error)) (history.History, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h, err := f(k.h)
	if err == nil && !bytes.Equal(h.Encode(), k.h.Encode()) {
		k.h = h
		k.g.Changed()
	}
	return k.h, err
}

// A world is some nodes that gossip, by address.
type world struct {
	t     *testing.T
	mu    sync.Mutex
	nodes map[string]*keeper
	cut   map[string]bool // addresses that nothing reaches or leaves
}

// A line is how one node reaches others.
type line struct {
	w    *world
	from string
}

func (l line) Gossip(ctx context.Context, to store.Member, m Message) (Message, error) {
	time.Sleep(time.Millisecond)
	l.w.mu.Lock()
	k, cut := l.w.nodes[to.Address], l.w.cut[to.Address] || l.w.cut[l.from]
	l.w.mu.Unlock()
	if k == nil || cut {
		return Message{}, store.ErrDown
	}
	return k.g.Receive(ctx, m)
}

func (w *world) start(id store.NodeID, h history.History, seeds ...string) *keeper {
	w.t.Helper()
	k := &keeper{h: h}
	var err error
	k.g, err = Start(Options{
		Self: store.Member{ID: id, Address: address(id)}, Keeper: k, Peers: line{w, address(id)}, Seeds: seeds,
		Rand: func(names ...uint64) uint64 {
			f := fnv.New64a()
			fmt.Fprint(f, id, names)
			return f.Sum64()
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[address(id)] = k
	return k
}

func address(id store.NodeID) string { return string(id) + ":7070" }

func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, nodes: map[string]*keeper{}, cut: map[string]bool{}}
		f(t, w)
		for _, k := range w.nodes {
			if err := k.g.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func members(ids ...store.NodeID) (out []store.Member) {
	for _, id := range ids {
		out = append(out, store.Member{ID: id, Address: address(id)})
	}
	return out
}

func begin(t *testing.T, ids ...store.NodeID) history.History {
	t.Helper()
	l, err := ring.New(ring.Options{Members: members(ids...), Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	return history.New(l)
}

func commit(ids ...store.NodeID) func(h history.History) (history.History, error) {
	return func(h history.History) (history.History, error) {
		return h.Commit(ids[0], h.Newest().Number+1, ring.Plain(members(ids...)))
	}
}

// knows says whether a node knows all that another does.
func (k *keeper) knows(other *keeper) bool {
	_, a := k.Encoded()
	_, b := other.Encoded()
	return a == b
}

func TestANewNodeHearsOfTheClusterAndAllOfItsRole(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var nodes []*keeper
		for _, id := range []store.NodeID{"n1", "n2", "n3", "n4"} {
			nodes = append(nodes, w.start(id, begin(t, "n1", "n2", "n3", "n4")))
		}
		joiner := w.start("n5", history.History{}, address("n2"), address("n9"))
		time.Sleep(30 * time.Second)
		if !joiner.knows(nodes[0]) {
			t.Fatal("the new node has not heard of the cluster")
		}
		if got := nodes[1].g.Waiting(); !slices.Equal(got, members("n5")) {
			t.Errorf("its seed has seen %v waiting", got)
		}
		w.mu.Lock()
		w.cut[address("n3")] = true
		w.mu.Unlock()
		if _, err := nodes[0].change(commit("n1", "n2", "n3", "n4", "n5")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		for i, k := range []*keeper{nodes[1], nodes[3], joiner} {
			if !k.knows(nodes[0]) {
				t.Errorf("%d has not heard in half a second: it was not pushed", i)
			}
		}
		if len(nodes[1].g.Waiting()) > 0 {
			t.Error("the new node has a role and is still shown waiting")
		}
		time.Sleep(10 * time.Minute) // for as long as one likes, dead nodes are not forgotten
		w.mu.Lock()
		clear(w.cut)
		w.mu.Unlock()
		time.Sleep(30 * time.Second)
		if !nodes[2].knows(nodes[0]) {
			t.Error("the node that was cut off has not heard after the heal")
		}
		told := nodes[0].g.Stats().Told
		time.Sleep(time.Hour)
		if s := nodes[0].g.Stats(); s.Told != told || s.Rounds < 1000 {
			t.Errorf("nothing is new, but histories were sent: %+v, %d before", s, told)
		}
	})
}

// Two members make notes that the other does not have. One exchange, in whichever direction, and both have both.
// Whichever node an operator asks, it knows of those that wait, and of them soon again after a restart.
func TestANodeThatWaitsAsksAllMembersByTurns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var nodes []*keeper
		for _, id := range []store.NodeID{"n1", "n2", "n3", "n4", "n6", "n7", "n8", "n9"} {
			nodes = append(nodes, w.start(id, begin(t, "n1", "n2", "n3", "n4", "n6", "n7", "n8", "n9")))
		}
		joiner := w.start("n5", history.History{}, address("n2"))
		for range 60 {
			if time.Sleep(100 * time.Millisecond); joiner.knows(nodes[0]) {
				break
			}
		}
		time.Sleep(time.Duration(len(nodes)) * 1250 * time.Millisecond) // rounds of a second and up to a quarter
		for i, k := range nodes {
			if got := k.g.Waiting(); !slices.Equal(got, members("n5")) {
				t.Errorf("%d has seen %v waiting", i, got)
			}
		}
	})
}

func TestOneExchangeJoinsBothSides(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		h, err := commit("n1", "n2", "n3")(begin(t, "n1", "n2", "n4"))
		if err != nil {
			t.Fatal(err)
		}
		a := w.start("n1", h.Acked("n1", h.Newest()))
		b := w.start("n2", h.Acked("n2", h.Newest()))
		if err := a.g.exchange(t.Context(), members("n2")[0], false); err != nil {
			t.Fatal(err)
		}
		if !a.knows(b) || a.Now().Next("n1").Ack.Number+b.Now().Next("n2").Ack.Number > 0 {
			t.Error("the notes of one have not reached the other")
		}
	})
}

func TestARemovedNodeIsToldAndNotBelieved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		h := begin(t, "n1", "n2", "n3", "n4")
		removed, err := h.ForceRemove("n1", 2, "n4")
		if err != nil {
			t.Fatal(err)
		}
		n1, n4 := w.start("n1", removed), w.start("n4", h)
		if _, err := n4.change(commit("n4", "n2", "n3")); err != nil { // it has a mind of its own
			t.Fatal(err)
		}
		_, before := n1.Encoded()
		time.Sleep(20 * time.Second)
		if _, now := n1.Encoded(); now != before {
			t.Error("a removed node was believed")
		}
		if n4.g.Stats().Heard == 0 {
			t.Error("a removed node was not told")
		}
	})
}

func TestAnotherClusterIsLoudAndNeverJoined(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.start("n1", begin(t, "n1", "n2", "n3"))
		b := w.start("m1", begin(t, "m1", "m2", "m3"), address("n1"))
		_, before := a.Encoded()
		time.Sleep(time.Minute)
		if _, now := a.Encoded(); now != before {
			t.Error("histories of two clusters were joined")
		}
		if err := b.g.Forked()["n1"]; !errors.Is(err, history.ErrForked) || b.g.Stats().Forked != 1 {
			t.Errorf("got %v", err)
		}
		a.g.noteFork("m1", history.ErrForked)
		a.g.noteFork("m1", nil)
		if len(a.g.Forked()) > 0 {
			t.Error("a node that was mended is still shown")
		}
	})
}

func TestGarbageAndWrongAddressesAreErrors(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.start("n1", begin(t, "n1", "n2", "n3"))
		w.start("n2", begin(t, "n1", "n2", "n3"))
		if err := a.g.exchange(t.Context(), store.Member{ID: "n3", Address: address("n2")}, false); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("n2 answered for n3: %v", err)
		}
		for _, m := range []Message{{}, {From: store.Member{ID: "n2"}, History: []byte("no history")}} {
			if _, err := a.g.Receive(t.Context(), m); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%+v: %v", m, err)
			}
		}
	})
}
