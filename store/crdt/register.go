package crdt

import (
	"time"

	"cartwheel/store/version"
)

// A Register holds one value, the one that was set last by the clocks of those who set it.
// Of two concurrent values one is lost, so it is for what may be: a name, a setting. The zero
// Register was never set.
type Register struct{ s version.Set }

// DecodeRegister joins encoded registers; of none it makes one that was never set. The error
// wraps store.ErrInvalid if a value is no register, and store.ErrCorrupt if it is damaged.
func DecodeRegister(values ...[]byte) (Register, error) {
	s, err := decode(kindRegister, values, func(version.Version) bool { return true })
	return Register{s}, err
}

// Encode returns the canonical bytes: equal registers have equal bytes.
func (r Register) Encode() []byte { return encode(kindRegister, r.s) }

// Merge joins two copies.
func (r Register) Merge(q Register) Register { return Register{version.Merge(r.s, q.s)} }

// Set returns a register with the value, which is later than all that r has: a clock that
// runs behind does not make its owner's writes lose to those that it has seen. The author must be new.
func (r Register) Set(by *Author, value []byte, now time.Time) Register {
	stamp := now.UnixNano()
	for _, v := range r.s.Versions {
		stamp = max(stamp, v.Stamp+1)
	}
	v := version.Version{Dot: by.next(), Value: append([]byte{}, value...), Stamp: stamp}
	return Register{version.Set{}.Put(nil, v)} // nothing of the past is kept: the stamp decides
}

// Value returns the value and whether there is one.
func (r Register) Value() (value []byte, found bool) {
	last := r.s.LastWritten()
	if len(last) == 0 {
		return nil, false
	}
	return last[0].Value, true
}
