package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
	"cartwheel/store/coordinator"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
)

// In these tests the owner at position 2 leaves. Whoever takes its place is moved to position
// 3, so that the owners are 0, 1 and 2, and 0, 1 and 3.
func inChange(t *testing.T, f func(t *testing.T, w *world, v history.Version)) {
	t.Helper()
	asPartOf(t, 0, f)
}

// asPartOf is inChange with another coordinator: the one at a position.
func asPartOf(t *testing.T, self int, f func(t *testing.T, w *world, v history.Version)) {
	t.Helper()
	inWorld(t, self, func(t *testing.T, w *world) {
		w.update(func(h history.History) (history.History, error) {
			roles := slices.DeleteFunc(slices.Clone(h.Newest().Layout.Roles()), func(r ring.Role) bool { return r.ID == w.list[2] })
			return h.Commit(w.self, h.Newest().Number+1, roles)
		})
		v := w.placement.Now().Newest()
		w.list = slices.Clone(w.list)
		if slices.Contains(v.Layout.Owners(0), w.list[4]) {
			w.list[3], w.list[4] = w.list[4], w.list[3]
		}
		if o := v.Layout.Owners(0); !slices.Contains(o, w.list[0]) || !slices.Contains(o, w.list[1]) || !slices.Contains(o, w.list[3]) {
			t.Fatalf("owners %v of %v", o, w.list)
		}
		f(t, w, v)
	})
}

func (w *world) update(change func(history.History) (history.History, error)) {
	w.t.Helper()
	if err := w.placement.Update(change); err != nil {
		w.t.Fatal(err)
	}
}

// pass lets all nodes note a step of the change.
func (w *world) pass(note func(h history.History, n store.NodeID) history.History) {
	w.t.Helper()
	w.update(func(h history.History) (history.History, error) {
		for _, n := range h.Waits() {
			h = note(h, n)
		}
		return h, nil
	})
}

func TestAWriteGoesToTheOwnersOfBothLayouts(t *testing.T) {
	inChange(t, func(t *testing.T, w *world, _ history.Version) {
		res, err := w.put("milk", store.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for i, want := range []string{"0:milk", "1:milk", "2:milk", "3:milk", ""} {
			if got := w.holdings(i); got != want {
				t.Errorf("node %d holds %q, want %q", i, got, want)
			}
		}
		if res.Meta.N != 3 || res.Meta.Degraded {
			t.Errorf("meta %+v", res.Meta)
		}
	})
}

func TestAWriteNeedsItsQuorumInBothLayouts(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name    string
		failing []int
		mode    store.Mode
		ok      bool
	}{
		{name: "both common owners", failing: []int{2, 3}, mode: store.Strict, ok: true},
		{name: "one of each", failing: []int{1}, mode: store.Strict, ok: true},
		{name: "none but old owners", failing: []int{1, 3}, mode: store.Strict},
		{name: "none but new owners", failing: []int{1, 2}, mode: store.Strict},
		{name: "a fallback for the one that both lack", failing: []int{1, 2, 3}, mode: store.Sloppy, ok: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inChange(t, func(t *testing.T, w *world, _ history.Version) {
				for _, i := range c.failing {
					w.at(i).err = refused
				}
				_, err := w.put("milk", store.WriteOptions{Mode: c.mode})
				if c.ok != (err == nil) || !c.ok && !errors.Is(err, store.ErrNoQuorum) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// A node that is about to leave sees to it that it holds no hints, and then notes that. A write of its own that runs on
// behind that note must not park one there.
func TestWhoLeavesParksNoHintOnItself(t *testing.T) {
	for _, mode := range []store.Mode{store.Sloppy, store.Strict} {
		asPartOf(t, 2, func(t *testing.T, w *world, _ history.Version) {
			w.believeDown(1, 4) // an owner, and the only fallback
			if _, err := w.put("milk", store.WriteOptions{Mode: mode}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if got := w.holdings(2); got != "2:milk" {
				t.Errorf("%s: the node that leaves holds %q, want nothing but its own copy", mode, got)
			}
			if got := w.holdings(0) + " " + w.holdings(3); !strings.Contains(got, "1:milk") {
				t.Errorf("%s: the owners that stay hold %q, want the hint with one of them", mode, got)
			}
		})
	}
}

// Until every node has the data of the new layout, reads go by the old one; afterwards nobody asks the old.
func TestReadsMoveWhenAllHaveSynced(t *testing.T) {
	inChange(t, func(t *testing.T, w *world, v history.Version) {
		asked := func() string {
			w.mu.Lock()
			w.asked = nil
			w.mu.Unlock()
			if _, err := w.c.Get(context.Background(), key, store.ReadOptions{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			words := strings.Split(w.who(), ", ") // they were asked at one instant
			slices.Sort(words)
			return strings.Join(words, ", ")
		}
		if got := asked(); got != "get 1, get 2" {
			t.Errorf("at first: %s", got)
		}
		w.pass(func(h history.History, n store.NodeID) history.History { return h.Acked(n, v) })
		if got := asked(); got != "get 1, get 2" {
			t.Errorf("when all have acked: %s", got)
		}
		w.pass(func(h history.History, n store.NodeID) history.History { return h.Synced(n, v) })
		if got := asked(); got != "get 1, get 3" {
			t.Errorf("when all have synced: %s", got)
		}
	})
}

// What a read has shown is not to be missed by a later one that goes by the next layout.
func TestABlockingRepairSecuresTheResultInBothLayouts(t *testing.T) {
	inChange(t, func(t *testing.T, w *world, _ history.Version) {
		w.give(0, "milk")
		res, err := w.c.Get(context.Background(), key, store.ReadOptions{Mode: store.Strict, Repair: store.RepairBlocking, R: 2})
		if err != nil || len(res.Siblings) != 1 {
			t.Fatalf("got %+v, %v", res, err)
		}
		old, next := 0, 0
		for i := range 4 {
			if w.holdings(i) == "" {
				continue
			}
			if i != 3 {
				old++
			}
			if i != 2 {
				next++
			}
		}
		if old < 2 || next < 2 {
			t.Errorf("at the reply %d of the old owners and %d of the new hold the result", old, next)
		}
	})
	inChange(t, func(t *testing.T, w *world, _ history.Version) {
		w.give(2, "milk") // an owner that only the old layout has
		w.at(1).err, w.at(3).err = errors.New("refused"), errors.New("refused")
		_, err := w.c.Get(context.Background(), key, store.ReadOptions{Mode: store.Strict, Repair: store.RepairBlocking, R: 2})
		if !errors.Is(err, store.ErrNoQuorum) {
			t.Errorf("nobody but one of the new owners can hold it, and got %v", err)
		}
	})
}

func TestARequestKeepsTheLayoutThatItBeganWith(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		before := w.placement.Now().Stamp()
		w.at(1).delay, w.at(2).delay = 100*time.Millisecond, 100*time.Millisecond
		done := make(chan error, 1)
		go func() { _, err := w.put("milk", store.WriteOptions{}); done <- err }()
		time.Sleep(50 * time.Millisecond)
		w.update(func(h history.History) (history.History, error) {
			return h.Commit(w.self, 2, h.Newest().Layout.Roles())
		})
		ended := make(chan error, 1)
		go func() { ended <- w.placement.WritesEnded(context.Background(), w.placement.Now().Newest()) }()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Errorf("a write runs that began before the change, and the wait for it ended: %v", err)
		default:
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, s := range w.stamps {
			if s != before {
				t.Errorf("a message of the write is stamped %+v, it began with %+v", s, before)
			}
		}
		if len(w.stamps) != 2 {
			t.Errorf("%d messages", len(w.stamps))
		}
	})
}

// A node that leaves and owns nothing of the key would have to begin a write with a hint.
func TestAFallbackThatLeavesCoordinatesNoWrite(t *testing.T) {
	inWorld(t, 4, func(t *testing.T, w *world) {
		w.update(func(h history.History) (history.History, error) {
			roles := slices.DeleteFunc(slices.Clone(h.Newest().Layout.Roles()), func(r ring.Role) bool { return r.ID == w.self })
			return h.Commit(w.list[0], 2, roles)
		})
		w.forward = func(store.NodeID) (store.WriteResult, error) { return store.WriteResult{}, nil }
		if _, err := w.put("milk", store.WriteOptions{}); err != nil || !strings.HasPrefix(w.who(), "forward ") {
			t.Errorf("asked %q, %v; want the write handed on", w.who(), err)
		}
		_, err := w.c.Forwarded(context.Background(), coordinator.Write{Key: key, Value: []byte("milk")})
		if !errors.Is(err, store.ErrNotOwner) || !store.Definite(err) {
			t.Errorf("handed here by one that does not know yet: %v", err)
		}
		if got := w.holdings(4); got != "" {
			t.Errorf("it holds %q", got)
		}
	})
}

func TestWhoIsNoMemberCoordinatesNothing(t *testing.T) {
	inWorld(t, 4, func(t *testing.T, w *world) {
		w.update(func(h history.History) (history.History, error) { return h.ForceRemove(w.list[0], 2, w.self) })
		_, put := w.put("milk", store.WriteOptions{})
		_, get := w.c.Get(context.Background(), key, store.ReadOptions{})
		_, forwarded := w.c.Forwarded(context.Background(), coordinator.Write{Key: key, Value: []byte("milk")})
		for _, err := range []error{put, get, forwarded} {
			if !errors.Is(err, store.ErrNotMember) || !store.Definite(err) {
				t.Errorf("got %v", err)
			}
		}
		if got := w.who(); got != "" {
			t.Errorf("asked %s", got)
		}
		if s := w.c.Stats(); s.InFlight != 0 {
			t.Error(fmt.Sprint(s))
		}
	})
}
