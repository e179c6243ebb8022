package sim

import (
	"sync"
	"time"

	"cartwheel/harness"
)

// A wallClock is a machine's, which faults set wrong. Its zero value is right.
type wallClock struct {
	mu    sync.Mutex // held for moments only
	skew  harness.Skew
	since time.Time // of the skew
}

// Now tells the time as the clock has it.
func (c *wallClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return now.Add(c.skew.At(now.Sub(c.since)))
}

// set makes the clock wrong from now on.
func (c *wallClock) set(s harness.Skew) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew, c.since = s, time.Now()
}
