package storage

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

func everything(ring.Partition) bool { return true }

func TestRecordsSurviveEncodingAndDamageIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Uint64()
		r := record{tenure: tenure{number.Draw(t, "node"), number.Draw(t, "incarnation"), number.Draw(t, "epoch")}}
		for n := range rapid.IntRange(1, 4).Draw(t, "versions") {
			r.set = r.set.Put(nil, version.Version{
				Dot:   version.Dot{Actor: version.Actor{Node: number.Draw(t, "actor"), Epoch: uint64(n)}, Counter: uint64(n) + 1},
				Value: rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "value"),
			})
		}
		key := []byte("d/k")
		b := r.encode(key)
		got, err := decodeRecord(key, b)
		if err != nil || got.tenure != r.tenure || !got.set.Equal(r.set) {
			t.Fatalf("decode: got %v, %v, want %v", got, err, r)
		}
		if _, err := decodeRecord([]byte("d/l"), b); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("under another key: got %v, want %v", err, store.ErrCorrupt)
		}
		bad := slices.Clone(b)
		bad[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		if _, err := decodeRecord(key, bad); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("with one bit changed: got %v, want %v", err, store.ErrCorrupt)
		}
		if _, err := decodeRecord(key, b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("cut short: got %v, want %v", err, store.ErrCorrupt)
		}
	})
}

func TestPrefixEndIsBehindThePrefixAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'd', 0xfe, 0xff}), 0, 4)
		prefix := append([]byte{'d'}, piece.Draw(t, "prefix")...)
		key := append([]byte{'d'}, piece.Draw(t, "key")...)
		inside := bytes.Compare(key, prefix) >= 0 && bytes.Compare(key, prefixEnd(prefix)) < 0
		if inside != bytes.HasPrefix(key, prefix) {
			t.Fatalf("prefix %x, end %x: key %x inside: %v", prefix, prefixEnd(prefix), key, inside)
		}
	})
}

// Pages of any size list each record of the wanted partitions once, in order, with the sum of its state.
func TestDigestsListWhatIsWantedExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newDisk("a").open(t)
		defer closeReplica(t, r)
		want := map[Digest]bool{}
		wanted := rapid.SliceOfNDistinct(rapid.SampledFrom([]ring.Partition{0, 1, 2, 255, 256, 1023}), 0, 6, rapid.ID[ring.Partition]).Draw(t, "wanted")
		for p := range map[ring.Partition]bool{0: true, 1: true, 2: true, 255: true, 256: true, 1023: true} {
			for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom([]store.Key{"a", "b", "ab", "\x00", "\xff"}), 0, 5, rapid.ID[store.Key]).Draw(t, "keys") {
				s, err := r.Put(context.Background(), p, key, "", Write{})
				if err != nil {
					t.Fatalf("put: %v", err)
				}
				if slices.Contains(wanted, p) {
					want[Digest{p, key, s.Digest()}] = true
				}
			}
		}
		limit := rapid.IntRange(1, 7).Draw(t, "limit")
		var after, last []byte
		for pages := 0; pages == 0 || after != nil; pages++ {
			page, next, err := r.Digests(context.Background(), func(p ring.Partition) bool { return slices.Contains(wanted, p) }, after, limit)
			if err != nil || len(page) > limit || next != nil && len(page) < limit {
				t.Fatalf("page of %d with limit %d, next %x, %v", len(page), limit, next, err)
			}
			for _, d := range page {
				cursor := cursorOf(d.Partition, d.Key)
				if !want[d] || bytes.Compare(last, cursor) >= 0 {
					t.Fatalf("%v is not wanted, was listed before, or is out of order", d)
				}
				delete(want, d)
				last = cursor
			}
			after = next
		}
		if len(want) > 0 {
			t.Fatalf("not listed: %v", want)
		}
	})
}

func digestOf(t *testing.T, r *Replica, key store.Key) uint64 {
	t.Helper()
	page, _, err := r.Digests(context.Background(), everything, nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range page {
		if d.Key == key {
			return d.Sum
		}
	}
	t.Fatalf("%q is not listed", key)
	return 0
}
