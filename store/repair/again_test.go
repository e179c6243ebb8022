package repair

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
	"cartwheel/store/merkle"
)

func TestWhatIsMendedOnceIsNotMendedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 3)
		defer w.close()
		a := w.start("n1")
		for n := range 5 {
			w.put("n1", store.Key(fmt.Sprint("key", n)), "")
		}
		time.Sleep(time.Minute)
		if s := a.Stats(); s.Repaired == 0 || s.Same != 1 {
			t.Errorf("got %+v, want every difference mended once", s)
		}
		closeAll(t, a)
	})
}

// Who throws away what it is given makes the same difference again and again.
func TestADifferenceThatComesBackIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newNetwork(t, 3)
		defer w.close()
		w.put("n1", "cart", "")
		p := w.layout.Partition("cart")
		a := w.start("n1")
		for range 4 {
			time.Sleep(20 * time.Second)
			leaf := merkle.Leaf{Key: "cart", Sum: merkle.Sum(w.record("n1", "cart").Fingerprint("cart"))}
			if n, err := w.replicas["n2"].DropAll(t.Context(), p, []merkle.Leaf{leaf}); n != 1 || err != nil {
				t.Fatalf("dropped %d: %v", n, err)
			}
		}
		time.Sleep(20 * time.Second)
		if s := a.Stats(); s.Same != 5 {
			t.Errorf("got %+v, want the difference mended 5 times", s)
		}
		closeAll(t, a)
	})
}

func TestOnlyTheSameDifferenceInARowCounts(t *testing.T) {
	a := &AntiEntropy{turns: map[spot]turn{}}
	one, two := merkle.Difference{Key: "k", Local: merkle.Sum{1}}, merkle.Difference{Key: "k", Local: merkle.Sum{2}}
	for i, c := range []struct {
		peer store.NodeID
		d    merkle.Difference
		want uint64
	}{{"n2", one, 1}, {"n2", one, 2}, {"n3", one, 1}, {"n2", two, 1}, {"n2", one, 1}, {"n3", one, 2}} {
		if got := a.again(c.peer, c.d); got != c.want {
			t.Errorf("%d: got %d, want %d", i, got, c.want)
		}
	}
	for n := range 2 * turnsMax {
		a.again("n2", merkle.Difference{Key: store.Key(fmt.Sprint(n)), Local: merkle.Sum{1}})
	}
	if len(a.turns) > turnsMax {
		t.Errorf("%d keys are remembered, %d at most", len(a.turns), turnsMax)
	}
}
