package generator

import (
	"cmp"
	"slices"
	"time"

	"cartwheel/harness"
)

// A Memory is what a workload's clients know of the replies in this run. It is a value,
// like a generator.
type Memory interface {
	// Fill makes a thread's step an operation. False: it makes no sense now and is left out.
	Fill(thread int, s harness.Step) (harness.Op, bool)
	// Saw tells of a thread's invocation or completion.
	Saw(thread int, op harness.Op) Memory
}

// Replay does steps again: each in its own thread, not before its time, and in its
// thread's order. One whose thread is still busy at its time is done as soon as
// it is not. Steps of threads that there are not are left out. It is done at the given
// time and not before, since the load, and with it the last fault, goes on until then.
func Replay(steps []harness.Step, until time.Duration, m Memory) harness.Generator {
	steps = slices.Clone(steps)
	slices.SortStableFunc(steps, func(a, b harness.Step) int { return cmp.Compare(a.At, b.At) })
	return replay{steps, until, m}
}

type replay struct {
	left   []harness.Step // by time; never changed, only copied
	until  time.Duration
	memory Memory
}

func (g replay) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	for {
		i := slices.IndexFunc(g.left, func(s harness.Step) bool { return s.Thread >= len(c.All) || slices.Contains(c.Free, c.All[s.Thread]) })
		switch {
		case len(g.left) == 0 && c.Time >= g.until:
			return harness.Draw{State: harness.Done}, g
		case len(g.left) == 0:
			return harness.Draw{State: harness.Pending, At: g.until}, g
		case i < 0: // the threads of all that is left are busy
			return harness.Draw{State: harness.Pending}, g
		}
		all, s := g.left, g.left[i]
		if s.Thread < len(c.All) && s.At > c.Time {
			return harness.Draw{State: harness.Pending, At: s.At}, g
		}
		if g.left = g.left[1:]; i > 0 { // the threads of those before are busy
			g.left = slices.Insert(slices.Clone(g.left[i:]), 0, all[:i]...)
		}
		if s.Thread >= len(c.All) {
			continue
		}
		if op, ok := g.memory.Fill(s.Thread, s); ok {
			op.Process = c.All[s.Thread]
			return harness.Draw{State: harness.Ready, Op: op, At: c.Time}, g
		}
	}
}

func (g replay) Update(c harness.GenContext, op harness.Op) harness.Generator {
	if op.Process >= 0 {
		g.memory = g.memory.Saw(c.Thread(op.Process), op)
	}
	return g
}
