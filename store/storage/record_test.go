package storage

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cartwheel/store"
	"cartwheel/store/version"
)

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
		for n := range rapid.IntRange(0, 3).Draw(t, "pruned") {
			r.pruned = r.pruned.With(version.Dot{Actor: version.Actor{Node: number.Draw(t, "gone"), Epoch: uint64(n)}, Counter: uint64(n) + 1})
		}
		key := []byte("d/k")
		b := r.encode(key)
		got, err := decodeRecord(key, b)
		if err != nil || got.tenure != r.tenure || !got.set.Equal(r.set) || !got.pruned.Equal(r.pruned) {
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
