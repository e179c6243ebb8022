package version

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"cartwheel/store"
)

// setFormat opens every encoded set. Another number means another layout.
const setFormat = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns the canonical bytes of s: equal sets have equal bytes. A CRC32C
// ends them, so that decay on disk or on the way is found before it spreads.
func (s Set) Encode() []byte {
	b := []byte{setFormat}
	b = appendVector(b, s.Vector)
	b = binary.AppendUvarint(b, uint64(len(s.Versions)))
	for _, v := range s.Versions {
		b = appendHead(b, v)
		b = binary.AppendUvarint(b, uint64(len(v.Value)))
		b = append(b, v.Value...)
	}
	return seal(b)
}

// A Fingerprint is a 128-bit hash. Copies of a key with equal fingerprints are equal.
type Fingerprint [16]byte

// Fingerprint hashes the key and everything in s; of each value it hashes the length and the
// CRC32C, so that large values cost little. The hash is not linear, unlike a CRC: the same
// change to two keys does not cancel out where fingerprints are combined by XOR.
func (s Set) Fingerprint(key store.Key) Fingerprint {
	b := binary.AppendUvarint(make([]byte, 0, 256), uint64(len(key)))
	b = append(b, key...)
	b = appendVector(b, s.Vector)
	for _, v := range s.Versions {
		b = appendHead(b, v)
		b = binary.AppendUvarint(b, uint64(len(v.Value)))
		b = binary.BigEndian.AppendUint32(b, crc32.Checksum(v.Value, castagnoli))
	}
	sum := sha256.Sum256(b)
	return Fingerprint(sum[:16])
}

// DecodeSet reads what Encode wrote. The empty slice is the zero Set. Damaged or
// unknown bytes give an error that wraps store.ErrCorrupt; they never give a set.
func DecodeSet(b []byte) (Set, error) {
	if len(b) == 0 {
		return Set{}, nil
	}
	d, err := unseal(b, setFormat)
	if err != nil {
		return Set{}, fmt.Errorf("version set: %w", err)
	}
	s := Set{Vector: d.vector()}
	n := d.count(27) // a version takes at least 27 bytes
	for range n {
		v := Version{Dot: d.dot()}
		v.Tombstone = d.byte() == 1
		copy(v.WriteID[:], d.bytes(len(v.WriteID)))
		v.Stamp = d.varint()
		if size := d.count(1); size > 0 {
			v.Value = append([]byte(nil), d.bytes(size)...)
		} else if !v.Tombstone {
			v.Value = []byte{}
		}
		s.Versions = append(s.Versions, v)
	}
	if err := d.finish(); err != nil {
		return Set{}, fmt.Errorf("version set: %w", err)
	}
	return s, s.validate()
}

// validate refuses bytes that no Encode wrote: entries out of order or a version
// outside the vector.
func (s Set) validate() error {
	for i := range s.Versions {
		v := s.Versions[i]
		if i > 0 && s.Versions[i-1].Dot.compare(v.Dot) >= 0 {
			return fmt.Errorf("version set: versions out of order: %w", store.ErrCorrupt)
		}
		if !s.Vector.Covers(v.Dot) {
			return fmt.Errorf("version set: %v outside its vector: %w", v.Dot, store.ErrCorrupt)
		}
		if v.Tombstone && v.Value != nil {
			return fmt.Errorf("version set: tombstone with a value: %w", store.ErrCorrupt)
		}
	}
	return nil
}

// appendHead appends all of a version but its value.
func appendHead(b []byte, v Version) []byte {
	b = appendDot(b, v.Dot)
	flags := byte(0)
	if v.Tombstone {
		flags = 1
	}
	b = append(b, flags)
	b = append(b, v.WriteID[:]...)
	return binary.AppendVarint(b, v.Stamp)
}

func appendDot(b []byte, d Dot) []byte {
	b = binary.BigEndian.AppendUint64(b, d.Node)
	b = binary.AppendUvarint(b, d.Epoch)
	return binary.AppendUvarint(b, d.Counter)
}

func appendVector(b []byte, v Vector) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	for _, d := range v {
		b = appendDot(b, d)
	}
	return b
}

func seal(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// unseal checks the sum and the format byte and returns a decoder of what is between.
func unseal(b []byte, format byte) (*decoder, error) {
	if len(b) < 5 {
		return nil, fmt.Errorf("%d bytes are too few: %w", len(b), store.ErrCorrupt)
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if got := crc32.Checksum(body, castagnoli); got != sum {
		return nil, fmt.Errorf("checksum %08x, want %08x: %w", got, sum, store.ErrCorrupt)
	}
	if body[0] != format {
		return nil, fmt.Errorf("format %d, want %d: %w", body[0], format, store.ErrCorrupt)
	}
	return &decoder{b: body[1:]}, nil
}

// A decoder reads fields in order. After the first mistake it returns zeroes and
// finish reports it.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.bad = true
		return make([]byte, min(max(n, 0), 64))
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte { return d.bytes(1)[0] }

func (d *decoder) uvarint() uint64 {
	x, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return x
}

func (d *decoder) varint() int64 {
	x, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return x
}

// count reads a length and refuses one that the remaining bytes cannot hold, each
// element taking at least size bytes: a damaged length must not allocate memory.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) dot() Dot {
	node := binary.BigEndian.Uint64(d.bytes(8))
	return Dot{Actor{node, d.uvarint()}, d.uvarint()}
}

func (d *decoder) vector() Vector {
	var v Vector
	for range d.count(10) {
		e := d.dot()
		if len(v) > 0 && v[len(v)-1].Actor.compare(e.Actor) >= 0 {
			d.bad = true
		}
		v = append(v, e)
	}
	return v
}

func (d *decoder) finish() error {
	switch {
	case d.bad:
		return fmt.Errorf("truncated or out of range: %w", store.ErrCorrupt)
	case len(d.b) > 0:
		return fmt.Errorf("%d bytes too many: %w", len(d.b), store.ErrCorrupt)
	}
	return nil
}
