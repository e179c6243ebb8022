package generator

import (
	"math/rand/v2"
	"time"

	"cartwheel/harness"
)

// catchUp is how much lateness Stagger makes good. A scheduler is always a little
// late, and the rate should not suffer; but a long stall must not end in a burst.
const catchUp = 100 * time.Millisecond

// Stagger spaces the operations of g by exponential gaps, so that all threads
// together do rate operations a second on average, as many independent users would.
// The first one is due at once. The gaps are a function of the seed. A rate of 0 or
// less spaces nothing.
func Stagger(rate float64, seed uint64, g harness.Generator) harness.Generator {
	if rate <= 0 {
		return g
	}
	return stagger{mean: float64(time.Second) / rate, seed: seed, child: g}
}

type stagger struct {
	mean  float64 // nanoseconds
	seed  uint64
	taken uint64        // operations so far: names the next gap
	next  time.Duration // the next operation is not before, since the load began
	child harness.Generator
}

// gap is the same however often it is asked. It is at least a nanosecond.
func (g stagger) gap() time.Duration {
	r := rand.New(rand.NewPCG(g.seed, g.taken))
	return 1 + time.Duration(g.mean*r.ExpFloat64())
}

func (g stagger) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	if c.Time < g.next {
		return harness.Draw{State: harness.Pending, At: g.next}, g
	}
	d, next := g.child.Next(c)
	g.child = next
	if d.State == harness.Ready {
		from := due(c, d)
		if g.taken > 0 {
			from = max(g.next, from-catchUp)
		}
		g.next = from + g.gap()
		g.taken++
	}
	return d, g
}

func (g stagger) Update(c harness.GenContext, op harness.Op) harness.Generator {
	g.child = g.child.Update(c, op)
	return g
}
