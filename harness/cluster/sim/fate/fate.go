package fate

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// Hash mixes the names, in their order, into one number. Every bit of every name
// changes about half of the result's bits. It is stable across processes and machines.
func Hash(names ...uint64) uint64 {
	h := uint64(0x2545f4914f6cdd1d) ^ uint64(len(names))
	for _, n := range names {
		h = mix(h ^ mix(n+0x9e3779b97f4a7c15))
	}
	return h
}

// Bytes names a byte string. Big strings cost about a nanosecond for eight bytes.
func Bytes(b []byte) uint64 {
	h := uint64(len(b)) + 0x6a09e667f3bcc909
	for ; len(b) >= 8; b = b[8:] {
		h = fold(h^binary.LittleEndian.Uint64(b), 0x9ddfea08eb382d69)
	}
	var last [8]byte
	copy(last[:], b)
	return mix(fold(h^binary.LittleEndian.Uint64(last[:]), 0xd6e8feb86659fd93))
}

// String names a string as Bytes names its bytes.
func String(s string) uint64 {
	var small [64]byte
	if len(s) <= len(small) {
		return Bytes(small[:copy(small[:], s)])
	}
	return Bytes([]byte(s))
}

// Between picks a duration in [lo, hi) by a name. It is lo if hi is not above it.
func Between(lo, hi time.Duration, name uint64) time.Duration {
	if hi <= lo {
		return lo
	}
	offset, _ := bits.Mul64(name, uint64(hi-lo))
	return lo + time.Duration(offset)
}

// Chance is true for the fraction p of all names: never at 0, always at 1.
func Chance(p float64, name uint64) bool {
	const unit = 1 << 53 // a float64 tells this many fractions apart
	return float64(name>>11) < p*unit
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable
// Pseudorandom Number Generators, OOPSLA 2014), a bijection.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// fold multiplies to 128 bits and keeps both halves' sum without carry.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
