package counter

import (
	"cmp"
	"fmt"
	"maps"

	"cartwheel/harness"
	"cartwheel/harness/checker"
	"cartwheel/harness/generator"
)

const (
	countersAtATime = 3   // few enough that clients meet on one
	opsMax          = 150 // on a counter before a fresh one takes its place: what is lost last, no session makes up for
	defaultRate     = 100 // operations a second, all clients together
	downOneInto     = 4   // one write in so many counts down
)

// Generator lets every thread read a counter and then count on it, over and over.
func Generator(s harness.Setup) harness.Generator { return inBucket("")(s) }

// inBucket is the same for counters whose keys begin with a bucket's name and a slash.
func inBucket(prefix string) func(harness.Setup) harness.Generator {
	return func(s harness.Setup) harness.Generator {
		return generator.Stagger(cmp.Or(s.Rate, defaultRate), s.Seed, crowd{prefix: prefix})
	}
}

// A crowd is the state of all clients. It is a value: maps are copied before they change.
type crowd struct {
	prefix string // of all keys
	memory memory
	looked map[int]string // by thread: the counter that it has read and writes to next
	ops    int            // so far: which counters are in use
	puts   int
}

func (g crowd) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	process := c.Free[c.Rand.IntN(len(c.Free))]
	thread := c.Thread(process)
	slot := c.Rand.IntN(countersAtATime)
	step := harness.Step{F: harness.Get, Key: fmt.Sprintf("%scount%d.%d", g.prefix, slot, g.ops/(opsMax*countersAtATime))}
	g.ops++
	if key, ok := g.looked[thread]; ok {
		g.puts++
		step = harness.Step{F: harness.Put, Key: key, Action: checker.Increment, Element: "1", Put: g.puts}
		if c.Rand.IntN(downOneInto) == 0 {
			step.Action = checker.Decrement
		}
		g.looked = maps.Clone(g.looked)
		delete(g.looked, thread)
	}
	op, _ := g.memory.Fill(thread, step) // it takes every step
	op.Process = process
	return harness.Draw{State: harness.Ready, Op: op, At: c.Time}, g
}

// Update follows what the threads know. Whoever has looked writes, even if the look failed.
func (g crowd) Update(c harness.GenContext, op harness.Op) harness.Generator {
	if op.Process < 0 || op.Kind == harness.Invoke {
		return g
	}
	thread := c.Thread(op.Process)
	g.memory = g.memory.saw(thread, op)
	if op.F == harness.Get {
		g.looked = maps.Clone(g.looked)
		if g.looked == nil {
			g.looked = map[int]string{}
		}
		g.looked[thread] = op.Key
	}
	return g
}
