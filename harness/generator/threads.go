package generator

import (
	"slices"

	"cartwheel/harness"
)

// EachThread gives every thread a generator of its own, made by f when the thread is
// first asked for. A child sees one free process at most; it is told of the
// operations of its own thread only. It is done when all threads' children are.
func EachThread(f func(thread int) harness.Generator) harness.Generator {
	return lanes{make: f}
}

// A Share is a pool of threads with a generator of its own.
type Share struct {
	Threads   int
	Generator harness.Generator
}

// Reserve deals the threads out: the first share gets the lowest threads and so on;
// those left over get rest, which may be nil. So slow operations do not starve others.
// A share that finds no threads never runs.
func Reserve(rest harness.Generator, shares ...Share) harness.Generator {
	pools := make([]harness.Generator, 0, len(shares)+1)
	bounds := make([]int, 0, len(shares))
	end := 0
	for _, s := range shares {
		end += s.Threads
		bounds = append(bounds, end)
		pools = append(pools, s.Generator)
	}
	return lanes{
		children: append(pools, rest),
		pool: func(thread int) int {
			i := 0
			for i < len(bounds) && bounds[i] <= thread {
				i++
			}
			return i
		},
	}
}

// lanes confines children to threads. Without pool, every thread is a lane.
type lanes struct {
	children []harness.Generator // nil entries are done
	make     func(thread int) harness.Generator
	pool     func(thread int) int
}

func (g lanes) lane(c harness.GenContext, process int) int {
	t := c.Thread(process)
	if g.pool == nil {
		return t
	}
	return g.pool(t)
}

// grown is a copy that the caller may change, with a child for every thread.
func (g lanes) grown(c harness.GenContext) lanes {
	g.children = slices.Clone(g.children)
	if g.pool == nil {
		for t := len(g.children); t < len(c.All); t++ {
			g.children = append(g.children, g.make(t))
		}
	}
	return g
}

func (g lanes) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	next := g.grown(c)
	free := make(map[int][]int, len(c.Free))
	var order []int // lanes with a free process, as they come
	for _, p := range c.Free {
		l := next.lane(c, p)
		if free[l] == nil {
			order = append(order, l)
		}
		free[l] = append(free[l], p)
	}
	// Turning by a random amount lets no lane starve the others.
	turn := c.Rand.IntN(len(order))
	var best answer
	for i := range order {
		l := order[(i+turn)%len(order)]
		if next.children[l] == nil {
			continue
		}
		own := c
		own.Free, own.Only = free[l], next.threads(c, l)
		d, child := next.children[l].Next(own)
		if d.State == harness.Done {
			next.children[l] = nil
			continue
		}
		if d.State == harness.Pending {
			next.children[l] = child
		}
		if best.offer(c, l, d, child); best.now(c) {
			break
		}
	}
	switch {
	case best.any && best.draw.State == harness.Ready:
		next.children[best.child] = best.next
		return best.draw, next
	case best.any:
		return best.draw, next
	case next.idle(c):
		return harness.Draw{State: harness.Done}, next
	default: // all lanes with a free process are done, others are busy
		return harness.Draw{State: harness.Pending}, next
	}
}

// only lists the threads that this generator may use.
func (g lanes) only(c harness.GenContext) []int {
	if c.Only != nil {
		return c.Only
	}
	threads := make([]int, len(c.All))
	for t := range threads {
		threads[t] = t
	}
	return threads
}

// threads lists those of one lane.
func (g lanes) threads(c harness.GenContext, lane int) []int {
	if g.pool == nil {
		return []int{lane}
	}
	var threads []int
	for _, t := range g.only(c) {
		if g.pool(t) == lane {
			threads = append(threads, t)
		}
	}
	return threads
}

// idle reports that no lane can ever offer anything again.
func (g lanes) idle(c harness.GenContext) bool {
	for _, t := range g.only(c) {
		if g.children[g.lane(c, t)] != nil {
			return false
		}
	}
	return true
}

func (g lanes) Update(c harness.GenContext, op harness.Op) harness.Generator {
	if op.Process < 0 {
		return g
	}
	next := g.grown(c)
	l := next.lane(c, op.Process)
	if next.children[l] != nil {
		next.children[l] = next.children[l].Update(c, op)
	}
	return next
}
