package generator

import (
	"slices"

	"cartwheel/harness"
)

// Phases runs generators one after the other; each begins when the operations of the
// one before have completed.
func Phases(gs ...harness.Generator) harness.Generator {
	return phases{left: gs, barrier: true}
}

// Concat runs generators one after the other without waiting for completions.
func Concat(gs ...harness.Generator) harness.Generator {
	return phases{left: gs}
}

type phases struct {
	left    []harness.Generator // the first is running; never changed in place
	own     processes           // with an operation of the running one
	barrier bool
}

func (g phases) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	for len(g.left) > 0 {
		d, next := g.left[0].Next(c)
		if d.State != harness.Done {
			g.left = append([]harness.Generator{next}, g.left[1:]...)
			if g.barrier && d.State == harness.Ready {
				g.own = g.own.with(d.Op.Process)
			}
			return d, g
		}
		if len(g.own) > 0 {
			return harness.Draw{State: harness.Pending}, g
		}
		g.left = g.left[1:]
	}
	return harness.Draw{State: harness.Done}, g
}

func (g phases) Update(c harness.GenContext, op harness.Op) harness.Generator {
	if len(g.left) > 0 {
		g.left = append([]harness.Generator{g.left[0].Update(c, op)}, g.left[1:]...)
	}
	if op.Kind != harness.Invoke {
		g.own = g.own.without(op.Process)
	}
	return g
}

// processes is a small set. Its methods return new sets: generators are values.
type processes []int

func (s processes) has(p int) bool { return slices.Contains(s, p) }

func (s processes) with(p int) processes {
	if s.has(p) {
		return s
	}
	return append(slices.Clone(s), p)
}

func (s processes) without(p int) processes {
	i := slices.Index(s, p)
	if i < 0 {
		return s
	}
	return slices.Delete(slices.Clone(s), i, i+1)
}
