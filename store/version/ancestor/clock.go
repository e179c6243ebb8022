package ancestor

import (
	"cmp"
	"slices"
)

// A clock is a vector clock of the paper: for each node a counter, and when it was last raised, so that the oldest pair can be
// dropped (section 4.4). It is sorted by node.
type clock []pair

type pair struct {
	node    int
	counter uint64
	raised  uint64 // the experiment's step
}

func (c clock) find(node int) (int, bool) {
	return slices.BinarySearchFunc(c, node, func(p pair, node int) int { return cmp.Compare(p.node, node) })
}

// at returns a node's counter, 0 if it has none.
func (c clock) at(node int) uint64 {
	if i, ok := c.find(node); ok {
		return c[i].counter
	}
	return 0
}

// with returns c with a node's pair set.
func (c clock) with(p pair) clock {
	out := slices.Clone(c)
	i, ok := out.find(p.node)
	if ok {
		out[i] = p
		return out
	}
	return slices.Insert(out, i, p)
}

// covers reports whether all that d counts is in c.
func (c clock) covers(d clock) bool {
	for _, p := range d {
		if c.at(p.node) < p.counter {
			return false
		}
	}
	return true
}

// join returns the higher counter of each node.
func (c clock) join(d clock) clock {
	out := c
	for _, p := range d {
		if out.at(p.node) < p.counter {
			out = out.with(p)
		}
	}
	return out
}

// truncated drops the pairs that were raised longest ago, until no more than limit are left; 0: none is dropped.
func (c clock) truncated(limit int) clock {
	for limit > 0 && len(c) > limit {
		oldest := 0
		for i, p := range c {
			if p.raised < c[oldest].raised {
				oldest = i
			}
		}
		c = slices.Delete(slices.Clone(c), oldest, oldest+1)
	}
	return c
}
