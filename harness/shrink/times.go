package shrink

import (
	"slices"
	"time"

	"cartwheel/harness"
)

// moments lists when something happens, ascending, from the load's begin to its end.
func (c Case) moments() []time.Duration {
	all := []time.Duration{0, c.Time}
	for _, s := range c.Steps {
		all = append(all, s.At)
	}
	for _, f := range c.Schedule {
		all = append(all, f.Start, f.Stop)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// moved returns the case with every time changed by f, which keeps their order.
func (c Case) moved(f func(time.Duration) time.Duration) Case {
	c.Time = f(c.Time)
	c.Steps = slices.Clone(c.Steps)
	for i := range c.Steps {
		c.Steps[i].At = f(c.Steps[i].At)
	}
	c.Schedule = slices.Clone(c.Schedule)
	for i := range c.Schedule {
		c.Schedule[i].Start, c.Schedule[i].Stop = f(c.Schedule[i].Start), f(c.Schedule[i].Stop)
	}
	return c
}

// closed returns the case with so much taken out of the gap before a moment.
func (c Case) closed(before, by time.Duration) Case {
	return c.moved(func(t time.Duration) time.Duration {
		if t >= before {
			return t - by
		}
		return t
	})
}

// rounded returns the case with times that people can read. A fault still lasts.
func (c Case) rounded(to time.Duration) Case {
	c = c.moved(func(t time.Duration) time.Duration { return (t + to - 1) / to * to })
	for i, f := range c.Schedule {
		if f.Stop <= f.Start {
			c.Schedule[i].Stop = f.Start + to
			c.Time = max(c.Time, f.Start+to)
		}
	}
	return c
}

// targets counts the nodes of faults that strike several nodes each on its own.
func (c Case) targets() int {
	n := 0
	for _, f := range c.Schedule {
		if lone(f) {
			n += len(f.Nodes)
		}
	}
	return n
}

func lone(f harness.Fault) bool { return len(f.Links) == 0 && len(f.Nodes) > 1 }

// withoutTargets spares some of them. A fault keeps one node: with none, it is no fault.
func (c Case) withoutTargets(from, to int) Case {
	c.Schedule = slices.Clone(c.Schedule)
	at := 0
	for i, f := range c.Schedule {
		if !lone(f) {
			continue
		}
		var left []harness.NodeID
		for _, n := range f.Nodes {
			if at < from || at >= to {
				left = append(left, n)
			}
			at++
		}
		if len(left) > 0 {
			c.Schedule[i].Nodes = left
		}
	}
	return c
}
