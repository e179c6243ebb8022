package placement

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
)

func roles(ids ...store.NodeID) (out []ring.Role) {
	for _, id := range ids {
		out = append(out, ring.Role{Member: store.Member{ID: id, Address: string(id) + ":1"}})
	}
	return out
}

func settled(t *testing.T) history.History {
	t.Helper()
	var members []store.Member
	for _, r := range roles("n1", "n2", "n3") {
		members = append(members, r.Member)
	}
	l, err := ring.New(ring.Options{Members: members, Partitions: 8})
	if err != nil {
		t.Fatal(err)
	}
	return history.New(l)
}

// grow commits a change to four nodes.
func grow(t *testing.T, p *Placement) history.Version {
	t.Helper()
	if err := p.Update(func(h history.History) (history.History, error) {
		return h.Commit("n1", h.Newest().Number+1, roles("n1", "n2", "n3", "n4"))
	}); err != nil {
		t.Fatal(err)
	}
	return p.Now().Newest()
}

func TestAWriteIsWaitedForIfItBeganWithoutTheVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(settled(t))
		_, endOld := p.Write()
		v := grow(t, p)
		h, endNew := p.Write()
		if !h.Knows(v) {
			t.Fatal("a write begins without what is known")
		}
		acked := make(chan error, 1)
		go func() { acked <- p.WritesEnded(t.Context(), v) }()
		synctest.Wait()
		select {
		case err := <-acked:
			t.Fatalf("acked while an old write runs: %v", err)
		default:
		}
		endOld()
		if err := <-acked; err != nil {
			t.Fatal(err)
		}
		endNew()
	})
}

func TestAReadIsWaitedForIfItGoesByAnOlderVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(settled(t))
		v := grow(t, p)
		_, end := p.Read() // by the settled version, since nobody has synced
		must := func(change func(history.History) history.History) {
			if err := p.Update(func(h history.History) (history.History, error) { return change(h), nil }); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range p.Now().Waits() {
			must(func(h history.History) history.History { return h.Acked(n, v) })
		}
		for _, n := range p.Now().Waits() {
			must(func(h history.History) history.History { return h.Synced(n, v) })
		}
		if p.Now().Read().Number != v.Number {
			t.Fatal("reads have not moved")
		}
		_, endNew := p.Read()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.ReadsEnded(ctx, v); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an old read runs, but got %v", err)
		}
		end()
		if err := p.ReadsEnded(t.Context(), v); err != nil {
			t.Error(err)
		}
		endNew()
	})
}

// What was let in while the version before was live is waited for, also if it goes by the newer one.
func TestWhatIsBeingStoredIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(settled(t))
		v := grow(t, p)
		_, end := p.Join()
		step := func(note func(h history.History, n store.NodeID) history.History) {
			for _, n := range p.Now().Waits() {
				if err := p.Update(func(h history.History) (history.History, error) { return note(h, n), nil }); err != nil {
					t.Fatal(err)
				}
			}
		}
		step(func(h history.History, n store.NodeID) history.History { return h.Acked(n, v) })
		step(func(h history.History, n store.NodeID) history.History { return h.Synced(n, v) })
		step(func(h history.History, n store.NodeID) history.History { return h.SyncAcked(n, v) })
		if !p.Now().Settled() {
			t.Fatal("not settled")
		}
		_, endNew := p.Join()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.JoinsEnded(ctx, v); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it is being stored, but got %v", err)
		}
		end()
		if err := p.JoinsEnded(t.Context(), v); err != nil {
			t.Error(err)
		}
		endNew()
	})
}

func TestAVersionThatIsNotKnownIsNotWaitedFor(t *testing.T) {
	p, q := New(settled(t)), New(settled(t))
	v := grow(t, q)
	if err := p.WritesEnded(t.Context(), v); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestARefusedUpdateChangesNothing(t *testing.T) {
	p := New(settled(t))
	sorry := errors.New("no")
	told := 0
	p.Subscribe(func(history.History) { told++ })
	if err := p.Update(func(history.History) (history.History, error) { return history.History{}, sorry }); err != sorry {
		t.Errorf("got %v", err)
	}
	if !p.Now().Joined() || told != 1 {
		t.Errorf("joined %t, told %d times", p.Now().Joined(), told)
	}
}

// Whoever updates at the same time: subscribers are told one after the other, and of the newest at last.
func TestSubscribersAreToldTheNewestAtLast(t *testing.T) {
	p := New(settled(t))
	var busy sync.Mutex
	var numbers []uint64
	p.Subscribe(func(h history.History) {
		if !busy.TryLock() {
			t.Error("told twice at a time")
			return
		}
		defer busy.Unlock()
		numbers = append(numbers, h.Newest().Number)
	})
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 20 {
				_ = p.Update(func(h history.History) (history.History, error) {
					if len(h.Live()) < history.LiveMax {
						return h.ForceRemove("n1", h.Newest().Number+1) // of nobody: one version more
					}
					return h, nil
				})
			}
		})
	}
	work.Wait()
	if !slices.IsSorted(numbers) || numbers[len(numbers)-1] != p.Now().Newest().Number || p.Now().Newest().Number < 2 {
		t.Errorf("told of %v, the newest is %d", numbers, p.Now().Newest().Number)
	}
}

func TestANodeThatHasNotJoinedServesNobody(t *testing.T) {
	p := New(history.History{})
	h, end := p.Write()
	end()
	if h.Joined() || p.Now().Joined() {
		t.Error("the zero history is of a cluster")
	}
}
