package checker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"cartwheel/harness"
)

// examplesMax is how many anomalies of a kind are told in full.
const examplesMax = 3

// A collector counts anomalies by kind and keeps the best examples of each. Stories
// are made for those alone: a broken store may yield thousands.
type collector struct {
	kinds  []string // worst first
	claims Claims
	mute   bool // there are no lines to tell stories from
	counts map[string]int
	best   map[string][]example
}

type example struct {
	rank int // the smaller the better
	tell func() harness.Anomaly
}

// collect begins a collection under the claims of the check that looks.
func (x *index) collect(kinds ...string) *collector {
	c := collect(x.claims, kinds...)
	c.mute = x.h == nil
	return c
}

func collect(claims Claims, kinds ...string) *collector {
	return &collector{kinds: kinds, claims: claims, counts: make(map[string]int), best: make(map[string][]example)}
}

func (c *collector) add(kind string, rank int, tell func() harness.Anomaly) {
	c.counts[kind]++
	if c.mute {
		return
	}
	best := append(c.best[kind], example{rank, tell})
	slices.SortStableFunc(best, func(a, b example) int { return cmp.Compare(a.rank, b.rank) })
	c.best[kind] = best[:min(len(best), examplesMax)]
}

// total counts what was found and should not have been.
func (c *collector) total() int {
	n := 0
	for kind, k := range c.counts {
		if c.claims.Promise(kind) {
			n += k
		}
	}
	return n
}

// anomalies tells the examples, kind by kind.
func (c *collector) anomalies() []harness.Anomaly {
	var out []harness.Anomaly
	for _, kind := range c.kinds {
		if c.mute || !c.claims.Promise(kind) {
			continue
		}
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

// told lists the counts in a sentence: "2 lost-write, 1 resurrected": of what breaks
// promises, or of what is only measured.
func (c *collector) told(broken bool) string {
	s := ""
	for _, kind := range c.kinds {
		if n := c.counts[kind]; n > 0 && c.claims.Promise(kind) == broken {
			if s != "" {
				s += ", "
			}
			s += fmt.Sprintf("%d %s", n, kind)
		}
	}
	return s
}

// finding makes the result: invalid with any promise broken, else unknown with doubts.
// What is not promised is counted among the figures.
func (c *collector) finding(checked string, doubts []string, figures map[string]float64) harness.Finding {
	f := harness.Finding{Verdict: harness.Valid, Summary: "checked " + checked, Anomalies: c.anomalies(), Figures: figures}
	for kind, n := range c.counts {
		if !c.claims.Promise(kind) {
			f.Figures["measured/"+kind] = float64(n)
		}
	}
	if c.total() > 0 {
		f.Verdict, f.Counts = harness.Invalid, maps.Clone(c.counts)
		maps.DeleteFunc(f.Counts, func(kind string, _ int) bool { return !c.claims.Promise(kind) })
		f.Summary = c.told(true) + " in " + checked
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
	if s := c.told(false); s != "" {
		f.Summary += "; measured, not promised: " + s
	}
	return f
}

// unknown is the result of a check that was not made.
func unknown(format string, args ...any) harness.Finding {
	return harness.Finding{Verdict: harness.Unknown, Summary: fmt.Sprintf(format, args...)}
}

// A check is a checker made of a function of a history's index.
type check struct {
	name   string
	claims Claims
	index  func(context.Context, []harness.Op) (*index, error)
	judge  func(context.Context, *index) harness.Finding
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
	view := x.under(c.claims)
	f := c.judge(ctx, &view)
	if ctx.Err() != nil && f.Verdict != harness.Invalid {
		return unknown("the check was cut short: %v", context.Cause(ctx))
	}
	return f
}

func newCheck(name string, judge func(context.Context, *index) harness.Finding) harness.Checker {
	return &check{name: name, index: newIndex, judge: judge}
}
