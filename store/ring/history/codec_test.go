package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// histories are those that the nodes of a model have come to know.
func histories(t *testing.T, seed uint64) (out []History) {
	m := newModel(t, seed)
	for i := range 3000 {
		m.act(seed%2 == 1)
		if i%50 == 0 {
			out = append(out, m.nodes[modelIDs[i/50%len(modelIDs)]].known)
		}
	}
	return out
}

// What a node reads back does all that was written: the same bytes, the same steps, the same merges.
func TestHistoriesComeBackFromTheirBytes(t *testing.T) {
	pending := 0
	for seed := range uint64(20) {
		all := histories(t, seed)
		for i, h := range all {
			b := h.Encode()
			back, err := Decode(b)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if len(h.live) == 0 {
				continue
			}
			if got, want := describe(back), describe(h); got != want || !bytes.Equal(back.Encode(), b) {
				t.Fatalf("seed %d: got %s, want %s", seed, got, want)
			}
			for j, v := range back.Live() {
				if v.ID != h.live[j].ID || v.Layout.Digest() != h.live[j].Layout.Digest() || !slices.Equal(v.Layout.Roles(), h.live[j].Layout.Roles()) {
					t.Fatalf("seed %d: version %v came back as %v", seed, h.live[j], v)
				}
			}
			if !h.Settled() {
				pending++
			}
			other := all[(i+7)%len(all)]
			a, errA := Merge(h, other)
			c, errB := Merge(back, other)
			if (errA == nil) != (errB == nil) || errA == nil && !bytes.Equal(a.Encode(), c.Encode()) {
				t.Fatalf("seed %d: merged with %v: %v, %v", seed, describe(other), errA, errB)
			}
		}
	}
	if pending < 100 {
		t.Errorf("%d histories with a change pending prove too little", pending)
	}
}

func TestDamagedHistoriesNeverDecode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	for _, h := range histories(t, 3) {
		b := h.Encode()
		i := r.IntN(len(b))
		flipped := slices.Clone(b)
		flipped[i] ^= byte(1 + r.IntN(255))
		for name, bad := range map[string][]byte{"flipped": flipped, "cut": b[:i], "longer": append(slices.Clone(b), 0)} {
			if _, err := Decode(bad); !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("byte %d of %d %s: got %v, want ErrCorrupt", i, len(b), name, err)
			}
		}
	}
}

// sign gives made-up bytes the checksum that a liar would give them.
func sign(b []byte) []byte {
	return binary.BigEndian.AppendUint32(slices.Clone(b), crc32.Checksum(b, castagnoli))
}

// A liar can compute a checksum. Its histories are errors, or valid ones of little memory.
func FuzzDecode(f *testing.F) {
	l, err := ring.New(ring.Options{Members: members("n1", "n2", "n3"), Partitions: 2})
	if err != nil {
		f.Fatal(err)
	}
	h, err := New(l).Commit("n1", 2, ring.Plain(members("n1", "n2", "n4")))
	if err != nil {
		f.Fatal(err)
	}
	for _, h := range []History{{}, New(l), h, h.Acked("n1", h.Newest()).Synced("n2", h.Newest())} {
		b := h.Encode()
		f.Add(b[:len(b)-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Decode(sign(b))
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("got %v, want ErrCorrupt", err)
			}
			return
		}
		if !bytes.Equal(h.Encode(), sign(b)) {
			t.Fatal("two encodings of one history")
		}
		if len(h.live) > 0 {
			_ = describe(h)
		}
	})
}

func TestLiesAreRefused(t *testing.T) {
	zero := History{}.Encode()
	zero = zero[:len(zero)-4]
	many := binary.AppendUvarint(slices.Clone(zero[:9]), 1<<40)
	for name, b := range map[string][]byte{
		"another format": append([]byte{format + 1}, zero[1:]...),
		"many versions":  many,
		"too long":       append(slices.Clone(zero), 1),
		"long number":    append(slices.Clone(zero[:9]), 0x80, 0, 0, 0, 0),
	} {
		if _, err := Decode(sign(b)); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
	}
	if _, err := Decode(sign(zero)); err != nil {
		t.Errorf("the history of a node that knows no cluster: %v", err)
	}
}
