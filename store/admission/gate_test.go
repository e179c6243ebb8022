package admission

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
)

func newGate(t *testing.T) *Gate {
	t.Helper()
	began := time.Now()
	g, err := New(Options{Target: 50 * time.Millisecond, Now: func() time.Duration { return time.Since(began) }})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAnOpenGateLetsAllThroughAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, g := range []*Gate{nil, newGate(t)} {
			began := time.Now()
			for range 1000 {
				if err := g.Of(Repair)(t.Context(), 1<<20); err != nil {
					t.Fatal(err)
				}
			}
			if waited := time.Since(began); waited != 0 {
				t.Errorf("waited %v, want 0", waited)
			}
		}
	})
}

func TestAStalledEngineLeavesTheFloorAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		g.Stalled(true)
		began := time.Now()
		for range 10 * ShareMin {
			if err := g.Of(Hint)(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(began).Round(100 * time.Millisecond); waited != 10*time.Second {
			t.Errorf("ten seconds' slices of the floor took %v", waited)
		}
		s := g.Stats()
		if s.Stalls != 1 || s.Share != ShareMin || s.Granted[Hint] != 10*ShareMin || s.Waited[Hint] == 0 {
			t.Errorf("stats: %+v", s)
		}
		g.Stalled(false)
		time.Sleep(3 * time.Second) // nothing in the foreground
		if s := g.Stats(); s.Share != ShareMax {
			t.Errorf("share is %v after the stall, want %v", s.Share, ShareMax)
		}
	})
}

// All kinds ask all the time: each gets something, in the order of precedence.
func TestNoKindIsStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		g.Stalled(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for k := range Kinds {
			for range 8 {
				wg.Go(func() {
					for g.Of(k)(ctx, 4*SliceBytes) == nil {
					}
				})
			}
		}
		wg.Wait()
		s := g.Stats()
		for k := range Kinds {
			if s.Granted[k] < 60*ShareMin/20 {
				t.Errorf("%v got %.0f slices in a minute", k, s.Granted[k])
			}
			if k > 0 && s.Granted[k] > s.Granted[k-1]+5 {
				t.Errorf("%v got %.0f slices, more than %v with %.0f", k, s.Granted[k], k-1, s.Granted[k-1])
			}
		}
	})
}

func TestAWaitEndsWithItsContextAndTheNextGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		g.Stalled(true)
		if err := g.Of(Transfer)(t.Context(), 100<<20); err != nil { // more than a minute's worth
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			began := time.Now()
			if err := g.Of(Hint)(ctx, 0); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
				t.Errorf("got %v after %v, want a deadline after 1s", err, time.Since(began))
			}
		})
		wg.Go(func() {
			began := time.Now()
			if err := g.Of(Rebuild)(t.Context(), 0); err != nil || time.Since(began) < time.Minute {
				t.Errorf("got %v after %v, want its turn after more than a minute", err, time.Since(began))
			}
		})
	})
}

func TestAGateNeedsATargetAndAClock(t *testing.T) {
	for _, o := range []Options{{}, {Target: time.Second}, {Target: -1, Now: func() time.Duration { return 0 }}} {
		if _, err := New(o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v: got %v, want ErrInvalid", o, err)
		}
	}
}
