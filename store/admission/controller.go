package admission

import "time"

// Bounds of the share, in slices a second. A slice is what a request of up to SliceBytes costs.
const (
	// ShareMax is what a node may use at most while it has a limit at all: 4096 records, or 64 MiB, a second.
	ShareMax = 4096
	// ShareMin is never taken away: 64 records a second, with which repair goes on.
	ShareMin = ShareMax / 64
	// SliceBytes is the size that one slice pays for.
	SliceBytes = 16 << 10
)

const (
	tick       = 250 * time.Millisecond // between decisions
	windowLong = 40                     // ticks in the trailing window: 10 seconds
	gain       = ShareMax / 64          // slices given back a tick: from the floor to no limit in 16 seconds
	samplesMin = 20                     // that a judgement of the foreground takes
	idleTicks  = 8                      // without any foreground operation, after which there is no limit
)

// A Controller turns latencies of foreground operations into a share of the node for background work. It
// is pure: times are given to it, and it is not safe for concurrent use.
type Controller struct {
	target time.Duration
	seen   window
	share  float64
	stalls int
	next   time.Duration // moment of the next decision
	quiet  int           // ticks since a foreground operation
	fresh  int           // foreground operations in this tick
	p99    time.Duration // judged last
	cuts   uint64
}

// NewController returns one that limits nothing yet. now is monotonic time since some moment.
func NewController(target, now time.Duration) *Controller {
	return &Controller{target: target, seen: window{steps: make([]step, windowLong)}, share: ShareMax, next: now + tick}
}

// Observe is told how long a foreground operation took that has just ended.
func (c *Controller) Observe(now, latency time.Duration) {
	c.advance(now)
	c.fresh++
	c.seen.add(latency)
}

// Stalled is told when the engine begins and ceases to hold writes up. A stall takes all but the floor at once.
func (c *Controller) Stalled(now time.Duration, begins bool) {
	c.advance(now)
	if !begins {
		c.stalls = max(0, c.stalls-1)
		return
	}
	c.stalls++
	c.cut(0)
}

// Share returns the slices a second that background work may use, ShareMin to ShareMax, and whether that is a limit at all.
func (c *Controller) Share(now time.Duration) (slices float64, limited bool) {
	c.advance(now)
	return c.share, c.share < ShareMax
}

// P99 returns the 99th percentile of the foreground that was judged last, at most an eighth too high; 0 while there is no foreground.
func (c *Controller) P99(now time.Duration) time.Duration {
	c.advance(now)
	return c.p99
}

// advance makes the decisions that were due by now. Of a long silence it makes those of one window.
func (c *Controller) advance(now time.Duration) {
	if late := now - c.next; late > windowLong*tick {
		c.next = now - windowLong*tick
	}
	for ; c.next <= now; c.next += tick {
		c.decide()
	}
}

// decide is made once a tick: additive increase, multiplicative decrease.
func (c *Controller) decide() {
	if c.quiet++; c.fresh > 0 {
		c.quiet = 0
	}
	c.fresh = 0
	p99, count := c.seen.quantile(0.99)
	if count > 0 || c.quiet >= idleTicks {
		c.p99 = p99
	}
	switch {
	case c.stalls > 0:
		c.cut(0)
	case count >= samplesMin && p99 > c.target:
		c.cut(0.5)
	case c.quiet >= idleTicks:
		c.share = ShareMax // there is nobody to be protected
	default:
		c.share = min(c.share+gain, ShareMax)
	}
	c.seen.next()
}

// cut takes slices away. What was seen until now says nothing of the foreground beside fewer.
func (c *Controller) cut(factor float64) {
	if c.share > ShareMin {
		c.cuts++
	}
	c.share = max(c.share*factor, ShareMin)
	c.seen.forget()
}
