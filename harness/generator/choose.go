package generator

import (
	"slices"
	"time"

	"cartwheel/harness"
)

// Mix offers operations of its children at random, each equally likely; repeat a
// child to make it likelier. A child that has nothing now does not hold up the
// others. Mix is done when all children are.
func Mix(children ...harness.Generator) harness.Generator {
	return mix{slices.Clone(children)}
}

type mix struct {
	children []harness.Generator
}

func (g mix) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	left := slices.Clone(g.children)
	var best answer
	var done []int
	for _, i := range c.Rand.Perm(len(g.children)) {
		d, next := g.children[i].Next(c)
		if d.State == harness.Done {
			done = append(done, i)
			continue
		}
		if d.State == harness.Pending {
			left[i] = next
		}
		if best.offer(c, i, d, next); best.now(c) {
			break
		}
	}
	if !best.any {
		return harness.Draw{State: harness.Done}, mix{}
	}
	if best.draw.State == harness.Ready {
		left[best.child] = best.next
	}
	return best.draw, mix{without(left, done)}
}

func (g mix) Update(c harness.GenContext, op harness.Op) harness.Generator {
	children := make([]harness.Generator, len(g.children))
	for i, child := range g.children {
		children[i] = child.Update(c, op)
	}
	return mix{children}
}

// An answer is the soonest of several children's draws.
type answer struct {
	any   bool
	child int
	draw  harness.Draw
	next  harness.Generator
}

// offer takes a Ready or Pending draw into account; the first of equals wins.
func (a *answer) offer(c harness.GenContext, child int, d harness.Draw, next harness.Generator) {
	if !a.any || sooner(c, d, a.draw) {
		*a = answer{true, child, d, next}
	}
}

// now reports that nothing sooner can be found.
func (a *answer) now(c harness.GenContext) bool {
	return a.any && a.draw.State == harness.Ready && a.draw.At <= c.Time
}

// sooner reports whether a is worth more than b: an operation now, then whatever
// needs attention first; a Pending draw without a time comes last.
func sooner(c harness.GenContext, a, b harness.Draw) bool {
	at, bt := attention(c, a), attention(c, b)
	if at == bt {
		return a.State == harness.Ready && b.State == harness.Pending
	}
	return at < bt
}

func attention(c harness.GenContext, d harness.Draw) time.Duration {
	if d.State == harness.Pending && d.At <= c.Time {
		return 1<<63 - 1 // only a completion can change it
	}
	return due(c, d)
}

// without removes the elements at the given positions.
func without(gs []harness.Generator, positions []int) []harness.Generator {
	if len(positions) == 0 {
		return gs
	}
	kept := gs[:0]
	for i, g := range gs {
		if !slices.Contains(positions, i) {
			kept = append(kept, g)
		}
	}
	return kept
}
