package transport

import (
	"context"
	"errors"
	"slices"
	"testing"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
)

// A fakeReaper agrees to whatever is asked of the key "k" at the version that its node knows.
type fakeReaper struct{ at history.Stamp }

func (f fakeReaper) check(at history.Stamp) error {
	if at != f.at {
		return store.ErrWrongRing
	}
	return nil
}

func (f fakeReaper) Confirm(_ context.Context, at history.Stamp, _ ring.Partition, leaves []merkle.Leaf) (equal []bool, err error) {
	for _, l := range leaves {
		equal = append(equal, l.Key == "k")
	}
	return equal, f.check(at)
}

func (f fakeReaper) ConfirmRetired(_ context.Context, at history.Stamp, _ ring.Partition, asked []storage.Retired) (both []storage.Retired, err error) {
	return slices.DeleteFunc(slices.Clone(asked), func(r storage.Retired) bool { return r.Key != "k" }), f.check(at)
}

func (f fakeReaper) Ready(_ context.Context, at history.Stamp) (string, error) {
	return "two hints", f.check(at)
}

func (f fakeReaper) Drop(_ context.Context, at history.Stamp, _ ring.Partition, leaves []merkle.Leaf) (int, error) {
	return len(leaves), f.check(at)
}

func (f fakeReaper) Prune(_ context.Context, at history.Stamp, _ ring.Partition, known []storage.Retired) (pruned int, err error) {
	for _, k := range known {
		pruned += len(k.Entries)
	}
	return pruned, f.check(at)
}

// Each step of a collection arrives as it was sent, and so does its answer.
func TestStepsOfACollectionReachTheServer(t *testing.T) {
	p, _, s, _ := between(t)
	ctx, at := t.Context(), now(p)
	s.Reaper = fakeReaper{at}
	leaves := []merkle.Leaf{{Key: "j", Sum: merkle.Sum{1}}, {Key: "k", Sum: merkle.Sum{2}}}
	retired := []storage.Retired{{Key: "j", Entries: prunedOf("j")}, {Key: "k", Entries: prunedOf("k")}}
	if got, err := p.Confirm(ctx, at, "n2", 0, leaves); err != nil || !slices.Equal(got, []bool{false, true}) {
		t.Errorf("confirm: %v, %v", got, err)
	}
	if got, err := p.ConfirmRetired(ctx, at, "n2", 0, retired); err != nil || len(got) != 1 || got[0].Key != "k" || !got[0].Entries.Equal(prunedOf("k")) {
		t.Errorf("confirm what is retired: %v, %v", got, err)
	}
	if got, err := p.Ready(ctx, at, "n2"); err != nil || got != "two hints" {
		t.Errorf("ready: %q, %v", got, err)
	}
	if got, err := p.Drop(ctx, at, "n2", 0, leaves); err != nil || got != 2 {
		t.Errorf("drop: %d, %v", got, err)
	}
	if got, err := p.Prune(ctx, at, "n2", 0, retired); err != nil || got != 2 {
		t.Errorf("prune: %d, %v", got, err)
	}
	s.Reaper = fakeReaper{}
	if _, err := p.Prune(ctx, at, "n2", 0, retired); !errors.Is(err, store.ErrWrongRing) {
		t.Errorf("at another version: %v", err)
	}
	if _, err := p.ConfirmRetired(ctx, at, "n2", 0, make([]storage.Retired, 1025)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("more than a step may have: %v", err)
	}
}
