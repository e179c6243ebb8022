package generator

import (
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
)

// Func offers operations without end. For each, f is called with the process that
// will do it, drawn from the free ones; f sets everything but the process. It may
// draw from c.Rand and must change nothing.
func Func(f func(c harness.GenContext, process int) harness.Op) harness.Generator {
	return leaf{f}
}

type leaf struct {
	f func(harness.GenContext, int) harness.Op
}

func (g leaf) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	p := pick(c)
	op := g.f(c, p)
	op.Process = p
	return harness.Draw{State: harness.Ready, Op: op, At: c.Time}, g
}

func (g leaf) Update(harness.GenContext, harness.Op) harness.Generator { return g }

// Seq offers the given operations one after the other, each to some free process,
// without waiting for completions.
func Seq(ops ...harness.Op) harness.Generator { return sequence(ops) }

type sequence []harness.Op

func (g sequence) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	if len(g) == 0 {
		return harness.Draw{State: harness.Done}, g
	}
	op := g[0]
	op.Process = pick(c)
	return harness.Draw{State: harness.Ready, Op: op, At: c.Time}, g[1:]
}

func (g sequence) Update(harness.GenContext, harness.Op) harness.Generator { return g }

// Map changes every operation of g by f, which must leave the process alone. Updates
// reach g as they are, with f's changes.
func Map(f func(harness.Op) harness.Op, g harness.Generator) harness.Generator {
	return mapped{f, g}
}

type mapped struct {
	f     func(harness.Op) harness.Op
	child harness.Generator
}

func (g mapped) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	d, next := g.child.Next(c)
	if d.State == harness.Ready {
		d.Op = g.f(d.Op)
	}
	return d, mapped{g.f, next}
}

func (g mapped) Update(c harness.GenContext, op harness.Op) harness.Generator {
	return mapped{g.f, g.child.Update(c, op)}
}

// pick draws a free process.
func pick(c harness.GenContext) int { return c.Free[c.Rand.IntN(len(c.Free))] }

// Check says how a draw breaks the contract of [harness.Generator]; nil if it does
// not. Whoever drives a generator calls it on every answer.
func Check(c harness.GenContext, d harness.Draw) error {
	switch d.State {
	case harness.Done, harness.Pending:
		return nil
	case harness.Ready:
	default:
		return fmt.Errorf("generator: state %d of a draw is none of done, pending, ready", d.State)
	}
	switch {
	case !slices.Contains(c.Free, d.Op.Process):
		return fmt.Errorf("generator: %s for process %d, which is not free (free: %v)", d.Op.F, d.Op.Process, c.Free)
	case d.Op.F == "":
		return fmt.Errorf("generator: operation of process %d has no function", d.Op.Process)
	}
	return nil
}

// due is when a draw can be acted upon: now for one that names no time or a past one.
func due(c harness.GenContext, d harness.Draw) time.Duration { return max(c.Time, d.At) }
