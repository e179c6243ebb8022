package generator

import (
	"time"

	"cartwheel/harness"
)

// Limit offers at most n operations of g.
func Limit(n int, g harness.Generator) harness.Generator { return limit{n, g} }

// Once offers one operation of g.
func Once(g harness.Generator) harness.Generator { return Limit(1, g) }

type limit struct {
	left  int
	child harness.Generator
}

func (g limit) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	if g.left <= 0 {
		return harness.Draw{State: harness.Done}, g
	}
	d, next := g.child.Next(c)
	left := g.left
	if d.State == harness.Ready {
		left--
	}
	return d, limit{left, next}
}

func (g limit) Update(c harness.GenContext, op harness.Op) harness.Generator {
	return limit{g.left, g.child.Update(c, op)}
}

// TimeLimit offers operations of g that begin less than d after the first asking that was
// acted upon. It does not end operations under way: that is their deadline's task.
func TimeLimit(d time.Duration, g harness.Generator) harness.Generator {
	return timeLimit{limit: d, child: g}
}

type timeLimit struct {
	limit time.Duration
	end   time.Duration // of the load's time; valid once begun
	begun bool
	child harness.Generator
}

func (g timeLimit) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	if !g.begun {
		g.begun, g.end = true, c.Time+g.limit
	}
	if c.Time >= g.end {
		return harness.Draw{State: harness.Done}, g
	}
	d, next := g.child.Next(c)
	if d.State == harness.Ready && d.At >= g.end {
		// Too late and so not taken, but a completion may bring a sooner one.
		return harness.Draw{State: harness.Pending, At: g.end}, g
	}
	g.child = next
	if d.State == harness.Pending && (d.At <= c.Time || d.At > g.end) {
		d.At = g.end
	}
	return d, g
}

func (g timeLimit) Update(c harness.GenContext, op harness.Op) harness.Generator {
	g.child = g.child.Update(c, op)
	return g
}

// UntilOK offers operations of g until one of them completes with OK. Others may be
// under way by then; no new one begins.
func UntilOK(g harness.Generator) harness.Generator { return untilOK{child: g} }

type untilOK struct {
	own   processes
	ok    bool
	child harness.Generator
}

func (g untilOK) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	if g.ok {
		return harness.Draw{State: harness.Done}, g
	}
	d, next := g.child.Next(c)
	g.child = next
	if d.State == harness.Ready {
		g.own = g.own.with(d.Op.Process)
	}
	return d, g
}

func (g untilOK) Update(c harness.GenContext, op harness.Op) harness.Generator {
	g.child = g.child.Update(c, op)
	if op.Kind != harness.Invoke && g.own.has(op.Process) {
		g.own = g.own.without(op.Process)
		g.ok = g.ok || op.Kind == harness.OK
	}
	return g
}
