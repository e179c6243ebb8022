package merkle

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"cartwheel/store"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns the segments of the tree as bytes to be kept over a restart. A CRC32C ends them.
func (t *Tree) Encode() []byte {
	b := binary.AppendUvarint([]byte{Format}, uint64(t.keys))
	for g := range Fanout {
		sums := t.Group(g)
		var held uint64
		for i := range sums {
			if !sums[i].IsZero() {
				held |= 1 << i
			}
		}
		b = binary.BigEndian.AppendUint64(b, held)
		for i := range sums {
			if !sums[i].IsZero() {
				b = append(b, sums[i][:]...)
			}
		}
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// Decode reads what Encode wrote. Damaged bytes, and those of another Format, give an error that wraps
// store.ErrCorrupt: the tree has to be built anew.
func Decode(b []byte) (*Tree, error) {
	bad := func(what string) (*Tree, error) { return nil, fmt.Errorf("hash tree: %s: %w", what, store.ErrCorrupt) }
	if len(b) < 5 || crc32.Checksum(b[:len(b)-4], castagnoli) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return bad("wrong checksum")
	}
	if b[0] != Format {
		return bad(fmt.Sprintf("format %d, want %d", b[0], Format))
	}
	b = b[1 : len(b)-4]
	keys, n := binary.Uvarint(b)
	if n <= 0 || keys > 1<<62 {
		return bad("no number of keys")
	}
	t, b := &Tree{keys: int(keys)}, b[n:]
	for g := range Fanout {
		if len(b) < 8 {
			return bad("too short")
		}
		held := binary.BigEndian.Uint64(b)
		if b = b[8:]; held == 0 {
			continue
		}
		t.segments[g], t.stale = new(Sums), t.stale|1<<g
		for i := range Fanout {
			if held>>i&1 == 0 {
				continue
			}
			if len(b) < len(Sum{}) {
				return bad("too short")
			}
			t.segments[g][i] = Sum(b[:len(Sum{})])
			b = b[len(Sum{}):]
		}
	}
	if len(b) > 0 {
		return bad("too long")
	}
	return t, nil
}
