package repair

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
)

// pages serves digests as a node does, limit at a time.
func pages(all []storage.Digest, limit int) *listing {
	return &listing{fetch: func(_ context.Context, after []byte) ([]storage.Digest, []byte, error) {
		from := 0
		if after != nil {
			fmt.Sscan(string(after), &from)
		}
		to := min(from+limit, len(all))
		if to == len(all) {
			return all[from:to], nil, nil
		}
		return all[from:to], fmt.Append(nil, to), nil
	}}
}

// The walk over two listings, in pages of any size, finds what a comparison of two maps finds.
func TestTheWalkFindsExactlyWhatDiffers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type name struct {
			p ring.Partition
			k store.Key
		}
		draw := func(label string) (map[name]uint64, []storage.Digest) {
			sums := map[name]uint64{}
			for range rapid.IntRange(0, 20).Draw(t, label) {
				n := name{ring.Partition(rapid.IntRange(0, 2).Draw(t, "partition")), store.Key(rapid.SampledFrom([]string{"a", "b", "ab", "\x00", "\xff"}).Draw(t, "key"))}
				sums[n] = rapid.Uint64Range(0, 2).Draw(t, "sum")
			}
			var list []storage.Digest
			for n, sum := range sums {
				list = append(list, storage.Digest{Partition: n.p, Key: n.k, Sum: sum})
			}
			slices.SortFunc(list, compareDigests)
			return sums, list
		}
		mine, myList := draw("local")
		theirs, theirList := draw("remote")
		want, same := map[name]bool{}, 0
		for n := range maps.All(mine) {
			if sum, ok := theirs[n]; ok && sum == mine[n] {
				same++
			} else {
				want[n] = true
			}
		}
		for n := range theirs {
			if _, ok := mine[n]; !ok {
				want[n] = true
			}
		}

		limit := rapid.IntRange(1, 5)
		local, remote := pages(myList, limit.Draw(t, "local page")), pages(theirList, limit.Draw(t, "remote page"))
		got, equal := map[name]bool{}, 0
		for {
			diff, n, err := next(context.Background(), local, remote)
			if err != nil {
				t.Fatal(err)
			}
			equal += n
			if diff == nil {
				break
			}
			at := name{diff.Partition, diff.Key}
			if got[at] {
				t.Fatalf("%v was found twice", at)
			}
			got[at] = true
			for side, c := range map[string]struct {
				sum  *uint64
				sums map[name]uint64
			}{"local": {diff.local, mine}, "remote": {diff.remote, theirs}} {
				if sum, ok := c.sums[at]; ok != (c.sum != nil) || ok && sum != *c.sum {
					t.Fatalf("%v: wrong %s sum", at, side)
				}
			}
		}
		if !maps.Equal(got, want) || equal != same {
			t.Fatalf("got %v and %d equal, want %v and %d", got, equal, want, same)
		}
	})
}

// A listing that is not in order would hide keys; one that never ends would hold the walk for ever.
func TestListingsThatMisleadAreRefused(t *testing.T) {
	d := func(p ring.Partition, k store.Key) storage.Digest { return storage.Digest{Partition: p, Key: k} }
	for _, c := range []struct {
		name  string
		pages [][]storage.Digest
	}{
		{"out of order in a page", [][]storage.Digest{{d(0, "b"), d(0, "a")}}},
		{"twice in a page", [][]storage.Digest{{d(0, "a"), d(0, "a")}}},
		{"partitions out of order", [][]storage.Digest{{d(1, "a"), d(0, "b")}}},
		{"out of order between pages", [][]storage.Digest{{d(0, "b")}, {d(0, "a")}}},
		{"repeats a page", [][]storage.Digest{{d(0, "a")}, {d(0, "a")}}},
		{"empty page before the last", [][]storage.Digest{{}, {d(0, "a")}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			served := 0
			bad := &listing{fetch: func(context.Context, []byte) ([]storage.Digest, []byte, error) {
				served++
				if served == len(c.pages) {
					return c.pages[served-1], nil, nil
				}
				return c.pages[served-1], []byte{1}, nil
			}}
			var err error
			for diff := new(difference); diff != nil && err == nil; {
				diff, _, err = next(context.Background(), pages(nil, 1), bad)
			}
			if !errors.Is(err, store.ErrInvalid) {
				t.Errorf("got %v, want %v", err, store.ErrInvalid)
			}
		})
	}
}
