package storage

import (
	"bytes"
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
	r := open(t, newDisk("a"))
	large := bytes.Repeat([]byte("v"), store.ValueSizeBytesMax)
	put := func(n int, past version.Vector) (version.Set, error) {
		return r.Put(context.Background(), part("k"), "k", "", Write{Past: past, Value: large, WriteID: writeID(n)})
	}
	var s version.Set
	for n := range store.ObjectSizeBytesMax / store.ValueSizeBytesMax {
		var err error
		if s, err = put(n+1, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := put(1000, nil); !errors.Is(err, store.ErrTooLarge) || !store.Definite(err) {
		t.Errorf("a blind put on top: got %v", err)
	}
	if s, err := put(1000, s.Vector); err != nil || len(s.Versions) != 1 {
		t.Errorf("the put that merges: %d versions, %v", len(s.Versions), err)
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
