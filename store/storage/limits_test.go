package storage

import (
	"context"
	"errors"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/clock"
	"cartwheel/store/version"
)

// A key whose siblings fill it takes no more of them, and takes the put that merges them.
func TestAKeyDoesNotGrowBeyondItsLimit(t *testing.T) {
	full := version.Set{}
	for n := range store.ObjectSizeBytesMax / store.ValueSizeBytesMax {
		dot := version.Dot{Actor: version.Actor{Node: 1, Epoch: 1}, Counter: uint64(n + 1)}
		full = full.Put(nil, version.Version{Dot: dot, Value: make([]byte, store.ValueSizeBytesMax)})
	}
	if err := checkRoom(full, Write{Value: []byte("v")}); !errors.Is(err, store.ErrTooLarge) || !store.Definite(err) {
		t.Errorf("a blind put on top: got %v", err)
	}
	if err := checkRoom(full, Write{Value: []byte("v"), Past: full.Vector}); err != nil {
		t.Errorf("the put that merges: got %v", err)
	}
	if err := checkRoom(version.Set{}, Write{Value: make([]byte, store.ValueSizeBytesMax)}); err != nil {
		t.Errorf("the largest value: got %v", err)
	}
}

// Last write wins leaves no siblings behind on the node that coordinates, and a clock that is
// set back does not make the later write lose.
func TestLastWriteWinsOverWhatTheNodeHolds(t *testing.T) {
	skewed := &clock.Skewed{Base: stopped{}}
	d := newDisk("a")
	r, err := Open(Options{FS: d.fs, Dir: "node", Self: "a", Rand: seeded(1), Clock: skewed})
	if err != nil {
		t.Fatal(err)
	}
	defer closeReplica(t, r)
	put := func(n int) version.Set {
		s, err := r.Put(context.Background(), part("k"), "k", "", Write{Value: []byte{byte(n)}, WriteID: writeID(n), LastWriteWins: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	skewed.Set(time.Hour)
	first := put(1)
	skewed.Set(0)
	second := put(2)
	if len(second.Versions) != 1 || second.Versions[0].Stamp != first.Versions[0].Stamp+1 {
		t.Errorf("after a clock was set back: %+v behind %+v", second.Versions, first.Versions)
	}
	skewed.Set(2 * time.Hour)
	if third := put(3); third.Versions[0].Stamp != int64(2*time.Hour) {
		t.Errorf("stamp %v, want the clock's", time.Duration(third.Versions[0].Stamp))
	}
}
