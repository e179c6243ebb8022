package coordinator_test

import (
	"errors"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/version"
)

// A session has seen what the owner at 1 holds. The first R answers need not include it.
func TestASessionsReadShowsNoLessThanItHasSeen(t *testing.T) {
	for _, c := range []struct {
		name      string
		options   store.ReadOptions
		prepare   func(w *world)
		values    []string
		after     time.Duration
		unmet     bool
		askedWide bool
	}{
		{
			name: "the quorum shows it", options: store.ReadOptions{R: 2},
			values: []string{"bread", "milk"}, after: 2 * time.Millisecond,
		},
		{
			name: "one more answer shows it", options: store.ReadOptions{R: 1},
			values: []string{"bread", "milk"}, after: 2 * time.Millisecond,
		},
		{
			name: "the one that has it answers late", options: store.ReadOptions{R: 1},
			prepare: func(w *world) { w.at(1).delay = 150 * time.Millisecond },
			values:  []string{"bread", "milk"}, after: 150 * time.Millisecond, askedWide: true,
		},
		{
			name: "a stand-in has it", options: store.ReadOptions{R: 1},
			prepare: func(w *world) {
				w.at(3).records[w.list[1]] = w.at(1).joined()
				w.at(1).records = map[store.NodeID]version.Set{}
			},
			values: []string{"bread", "milk"}, after: 62500*time.Microsecond + 4*time.Millisecond, askedWide: true,
		},
		{
			name: "it comes while the read waits", options: store.ReadOptions{R: 1},
			prepare: func(w *world) {
				bread := w.at(1).joined()
				w.at(1).records = map[store.NodeID]version.Set{}
				time.AfterFunc(150*time.Millisecond, func() {
					w.mu.Lock()
					defer w.mu.Unlock()
					w.at(2).records[w.list[2]] = bread
				})
			},
			values: []string{"bread", "milk"}, after: 3*62500*time.Microsecond + 3*time.Millisecond, askedWide: true,
		},
		{
			name: "its actor was pruned", options: store.ReadOptions{R: 1},
			prepare: func(w *world) {
				bread := w.at(1).joined()
				w.at(2).pruned = bread.Vector
				w.at(1).records = map[store.NodeID]version.Set{}
			},
			values: []string{"milk"}, after: 3 * time.Millisecond,
		},
		{
			name: "nobody has it any more", options: store.ReadOptions{R: 1, Timeout: 400 * time.Millisecond},
			prepare: func(w *world) { w.at(1).records = map[store.NodeID]version.Set{} },
			unmet:   true, after: 400 * time.Millisecond, askedWide: true,
		},
		{
			name: "the one that has it is down", options: store.ReadOptions{R: 1},
			prepare: func(w *world) { w.believeDown(1) },
			unmet:   true, after: 2 * time.Second, askedWide: true, // without a deadline twice the time of a replica
		},
		{
			name: "strict: a stand-in is not asked", options: store.ReadOptions{R: 1, Mode: store.Strict, Timeout: 400 * time.Millisecond},
			prepare: func(w *world) {
				w.at(3).records[w.list[1]] = w.at(1).joined()
				w.at(1).records = map[store.NodeID]version.Set{}
			},
			unmet: true, after: 400 * time.Millisecond, askedWide: true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 0, func(t *testing.T, w *world) {
				w.give(0, "milk")
				c.options.Floor = version.Token{Vector: w.give(1, "bread").Vector}.Encode(key)
				if c.prepare != nil {
					c.prepare(w)
				}
				res, err := w.read(c.options)
				if took := time.Since(w.began); took != c.after {
					t.Errorf("answered after %v, want %v", took, c.after)
				}
				var unmet *store.SessionError
				if errors.As(err, &unmet) != c.unmet || errors.Is(err, store.ErrSession) != c.unmet || (err == nil) == c.unmet {
					t.Fatalf("got %v", err)
				}
				meta := res.Meta
				if c.unmet {
					meta = unmet.Meta
				}
				if (meta.Rounds > 0) != c.askedWide {
					t.Errorf("asked again %d times: %+v", meta.Rounds, meta)
				}
				if got := values(res.Siblings); len(got) != len(c.values) || len(got) > 0 && got[0] != c.values[0] {
					t.Errorf("got %q, want %q", got, c.values)
				}
				time.Sleep(5 * time.Second)
				if n := w.c.Stats().InFlight; n != 0 {
					t.Errorf("%d requests in flight after the end", n)
				}
			})
		})
	}
}

func TestAFloorOfAnotherKeyIsRefused(t *testing.T) {
	inWorld(t, 0, func(t *testing.T, w *world) {
		floor := version.Token{Vector: w.give(1, "bread").Vector}.Encode("another")
		if _, err := w.read(store.ReadOptions{Floor: floor}); !errors.Is(err, store.ErrBadContext) {
			t.Errorf("got %v", err)
		}
	})
}
