package node_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"cartwheel/store"
)

// A value that was deleted while one of its owners was away does not come back with that owner, whoever
// else is away when it returns, and whether or not the key was written anew. What tells is the
// tombstone; a store that removed the record would take the absent owner's copy for news.
func TestADeletedValueDoesNotComeBackWithAnAbsentOwner(t *testing.T) {
	for _, c := range []struct {
		name            string
		power, recreate bool
		crash           bool // the owners that took the delete lose power behind it
	}{
		{name: "cut off"},
		{name: "without power", power: true},
		{name: "cut off, written anew", recreate: true},
		{name: "without power, written anew, all lose power", power: true, recreate: true, crash: true},
		{name: "cut off, all lose power", crash: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inCluster(t, func(t *testing.T, w *cluster) {
				ctx := context.Background()
				key, list := w.keyOf("n1")
				at, absent, standIns := list[0], list[1], list[3:]
				if _, err := w.client(at).Put(ctx, key, []byte("old"), nil, store.WriteOptions{W: 3, Mode: store.Strict}); err != nil {
					t.Fatal(err)
				}
				if c.power {
					w.crash(absent)
				} else {
					w.net.split([]store.NodeID{absent}, slices.DeleteFunc(slices.Clone(list), func(n store.NodeID) bool { return n == absent }))
				}
				time.Sleep(5 * time.Second) // the others notice
				read, err := w.client(at).Get(ctx, key, store.ReadOptions{})
				if err != nil || !slices.Equal(values(read.Siblings), []string{"old"}) {
					t.Fatalf("read %q, %v", values(read.Siblings), err)
				}
				if _, err := w.client(at).Delete(ctx, key, read.Context, store.WriteOptions{}); err != nil {
					t.Fatal(err)
				}
				want := []string{"†"}
				if c.recreate {
					if read, err = w.client(at).Get(ctx, key, store.ReadOptions{}); err != nil {
						t.Fatal(err)
					}
					if _, err := w.client(at).Put(ctx, key, []byte("new"), read.Context, store.WriteOptions{}); err != nil {
						t.Fatal(err)
					}
					want = []string{"new"}
				}
				time.Sleep(2 * time.Second)
				// The hints are away when the owner returns: anti-entropy meets its old copy first.
				for _, n := range standIns {
					w.stop(n)
				}
				if c.crash {
					for _, n := range []store.NodeID{at, list[2]} {
						w.crash(n)
						w.start(n)
					}
				}
				w.net.split()
				if c.power {
					w.start(absent)
				}
				time.Sleep(20 * time.Second)
				for _, n := range standIns {
					w.start(n)
				}
				w.settle()
				if got := values(w.copies(key).Siblings); !slices.Equal(got, want) {
					t.Errorf("replicas hold %q, want %q", got, want)
				}
				w.checkTrees()
			})
		})
	}
}
