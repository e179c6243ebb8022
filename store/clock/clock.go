package clock

import (
	"sync/atomic"
	"time"
)

// A Clock tells wall time.
type Clock interface {
	Now() time.Time
}

// System is the machine's clock.
var System Clock = system{}

type system struct{}

func (system) Now() time.Time { return time.Now() }

// A Skewed clock runs ahead of its base by an offset that may change at any time.
type Skewed struct {
	Base   Clock
	offset atomic.Int64
}

// Now returns the base's time plus the offset.
func (s *Skewed) Now() time.Time { return s.Base.Now().Add(time.Duration(s.offset.Load())) }

// Set makes the clock run ahead by d, or behind if d is negative.
func (s *Skewed) Set(d time.Duration) { s.offset.Store(int64(d)) }
