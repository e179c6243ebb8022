package crdt

import (
	"encoding/binary"

	"cartwheel/store/version"
)

// A Counter is a sum. Each author keeps a part of it, which only that author changes, and the
// latest state of each part counts, once. The zero Counter is 0.
type Counter struct{ s version.Set }

// DecodeCounter joins encoded counters; of none it makes 0. The error wraps
// store.ErrInvalid if a value is no counter, and store.ErrCorrupt if it is damaged.
func DecodeCounter(values ...[]byte) (Counter, error) {
	s, err := decode(kindCounter, values, func(v version.Version) bool {
		_, size := binary.Varint(v.Value)
		return size > 0 && size == len(v.Value)
	})
	return Counter{s}, err
}

// Encode returns the canonical bytes: equal counters have equal bytes.
func (c Counter) Encode() []byte { return encode(kindCounter, c.s) }

// Merge joins two copies.
func (c Counter) Merge(d Counter) Counter { return Counter{version.Merge(c.s, d.s)} }

// Knows reports whether the author may go on changing this copy; see [Author].
func (c Counter) Knows(a Author) bool { return knows(c.s, a) }

// Add returns c with n more, or fewer if n is negative. The sum wraps at 64 bits.
func (c Counter) Add(by *Author, n int64) Counter {
	own := func(v version.Version) bool { return v.Dot.Actor == by.ID }
	for _, v := range c.s.Versions {
		if own(v) {
			n += part(v)
		}
	}
	rest := without(c.s, own)
	return Counter{rest.Put(nil, version.Version{Dot: by.next(), Value: binary.AppendVarint(nil, n)})}
}

// Value returns the sum.
func (c Counter) Value() (sum int64) {
	for _, v := range c.s.Versions {
		sum += part(v)
	}
	return sum
}

func part(v version.Version) int64 {
	n, _ := binary.Varint(v.Value)
	return n
}
