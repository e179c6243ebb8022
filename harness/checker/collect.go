package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"cartwheel/harness"
)

// examplesMax is how many anomalies of a kind are told in full.
const examplesMax = 3

// A collector counts anomalies by kind and keeps the best examples of each. Stories
// are made for those alone: a broken store may yield thousands.
type collector struct {
	kinds  []string // worst first
	counts map[string]int
	best   map[string][]example
}

type example struct {
	rank int // the smaller the better
	tell func() harness.Anomaly
}

func collect(kinds ...string) *collector {
	return &collector{kinds: kinds, counts: make(map[string]int), best: make(map[string][]example)}
}

func (c *collector) add(kind string, rank int, tell func() harness.Anomaly) {
	c.counts[kind]++
	best := append(c.best[kind], example{rank, tell})
	slices.SortStableFunc(best, func(a, b example) int { return cmp.Compare(a.rank, b.rank) })
	c.best[kind] = best[:min(len(best), examplesMax)]
}

// total counts what was found.
func (c *collector) total() int {
	n := 0
	for _, k := range c.counts {
		n += k
	}
	return n
}

// anomalies tells the examples, kind by kind.
func (c *collector) anomalies() []harness.Anomaly {
	var out []harness.Anomaly
	for _, kind := range c.kinds {
		for _, e := range c.best[kind] {
			a := e.tell()
			a.Kind = kind
			slices.Sort(a.Ops)
			a.Ops = slices.Compact(a.Ops)
			out = append(out, a)
		}
	}
	return out
}

// told lists the counts in a sentence: "2 lost-write, 1 resurrected".
func (c *collector) told() string {
	s := ""
	for _, kind := range c.kinds {
		if n := c.counts[kind]; n > 0 {
			if s != "" {
				s += ", "
			}
			s += fmt.Sprintf("%d %s", n, kind)
		}
	}
	return s
}

// finding makes the result: invalid with anything found, else unknown with doubts.
func (c *collector) finding(checked string, doubts []string) harness.Finding {
	f := harness.Finding{Verdict: harness.Valid, Summary: "checked " + checked, Anomalies: c.anomalies()}
	if c.total() > 0 {
		f.Verdict, f.Counts = harness.Invalid, c.counts
		f.Summary = c.told() + " in " + checked
		if len(f.Anomalies) > 0 && len(f.Anomalies[0].Story) > 0 {
			f.Summary += ": " + f.Anomalies[0].Story[0]
		}
	} else if len(doubts) > 0 {
		f.Verdict = harness.Unknown
		f.Summary = "cannot tell"
	}
	for i, d := range doubts {
		if i == 0 && f.Verdict == harness.Unknown {
			f.Summary += ": " + d
		} else {
			f.Summary += "; " + d
		}
	}
	return f
}

// unknown is the result of a check that was not made.
func unknown(format string, args ...any) harness.Finding {
	return harness.Finding{Verdict: harness.Unknown, Summary: fmt.Sprintf(format, args...)}
}

// A check is a checker made of a function of a history's index.
type check struct {
	name  string
	index func(context.Context, []harness.Op) (*index, error)
	judge func(context.Context, *index) harness.Finding
}

func (c *check) Name() string { return c.name }

func (c *check) Check(ctx context.Context, h []harness.Op) harness.Finding {
	f := c.check(ctx, h)
	f.Checker = c.name
	return f
}

func (c *check) check(ctx context.Context, h []harness.Op) harness.Finding {
	x, err := c.index(ctx, h)
	if err != nil {
		return unknown("the history was not judged: %v", err)
	}
	f := c.judge(ctx, x)
	if ctx.Err() != nil && f.Verdict != harness.Invalid {
		return unknown("the check was cut short: %v", context.Cause(ctx))
	}
	return f
}

func newCheck(name string, judge func(context.Context, *index) harness.Finding) harness.Checker {
	return &check{name: name, index: newIndex, judge: judge}
}
