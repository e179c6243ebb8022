package shrink

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNotShown means that the case does not show the anomaly to begin with.
var ErrNotShown = errors.New("the anomaly does not show")

// A Judge plays a case and reports whether it still shows the anomaly. An error means
// that it cannot tell and ends the search.
type Judge func(ctx context.Context, c Case) (shows bool, err error)

// Options say how to search. Judge is required.
type Options struct {
	Judge    Judge
	NodesMin int            // never fewer nodes; default 3
	TriesMax int            // judgements at most; default 100000
	Progress func(Progress) // told of every judgement; optional
}

// Progress is a snapshot of the search.
type Progress struct {
	Tries int    // judgements so far
	Doing string // what is being taken away
	Size  Size   // of the smallest case so far
	Shown bool   // the last judgement
}

// An Outcome is what was found.
type Outcome struct {
	Case    Case
	Tries   int  // judgements
	Cached  int  // candidates that had been judged before
	Minimal bool // nothing more can be taken away by one more try; false: the budget was used up
}

// Shrink searches for a smaller case. When ctx ends, the smallest one so far is the
// outcome, and that is no error. With any error the outcome is what was known until then.
func Shrink(ctx context.Context, c Case, o Options) (Outcome, error) {
	if o.NodesMin == 0 {
		o.NodesMin = 3
	}
	if o.TriesMax == 0 {
		o.TriesMax = 100000
	}
	s := &search{o: o, best: c, known: make(map[string]bool)}
	if err := c.Validate(); err != nil {
		return s.outcome(false), err
	}
	s.doing = "nothing"
	if !s.judge(ctx, c) {
		if err := s.problem(ctx); err != nil {
			return s.outcome(false), err
		}
		return s.outcome(false), ErrNotShown
	}
	for s.round(ctx) {
	}
	// Once is enough: later rounds move what they move by whole steps of it.
	if s.doing = "rounding times"; s.grid(ctx) {
		for s.round(ctx) {
		}
	}
	return s.outcome(s.over(ctx) == nil), s.err
}

// search is one search under way.
type search struct {
	o     Options
	best  Case
	known map[string]bool // judged cases that do not show it
	doing string

	tries, cached int
	err           error // of the judge
}

func (s *search) outcome(minimal bool) Outcome {
	return Outcome{Case: s.best, Tries: s.tries, Cached: s.cached, Minimal: minimal}
}

// problem is why the very first judgement came to nothing, if it did.
func (s *search) problem(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("judge the case: %w", err)
	}
	return nil
}

var errTries = errors.New("no tries left")

// over is why the search must end; nil if it goes on.
func (s *search) over(ctx context.Context) error {
	switch {
	case s.err != nil:
		return s.err
	case s.tries >= s.o.TriesMax:
		return errTries
	}
	return ctx.Err()
}

// try judges a candidate, unless it is none.
func (s *search) try(ctx context.Context, c Case) bool {
	return len(c.Threads) > 0 && c.id() != s.best.id() && s.judge(ctx, c)
}

// judge judges a case and takes it for the best if it shows the anomaly.
func (s *search) judge(ctx context.Context, c Case) bool {
	if s.over(ctx) != nil {
		return false
	}
	id := c.id()
	if s.known[id] {
		s.cached++
		return false
	}
	shows, err := s.o.Judge(ctx, c)
	switch {
	case err != nil && ctx.Err() != nil: // it was interrupted, so it says nothing
		return false
	case err != nil:
		s.err = fmt.Errorf("judge a case: %w", err)
		return false
	}
	s.tries++
	if shows {
		s.best = c
	} else {
		s.known[id] = true
	}
	if s.o.Progress != nil {
		s.o.Progress(Progress{Tries: s.tries, Doing: s.doing, Size: s.best.Size(), Shown: shows})
	}
	return shows
}

// round tries everything once and reports whether anything became smaller.
func (s *search) round(ctx context.Context) bool {
	some := false
	for _, d := range dimensions {
		s.doing = d.name
		some = s.remove(ctx, d) || some
	}
	for _, pass := range []struct {
		name string
		run  func(context.Context) bool
	}{
		{"merging clients", s.merge},
		{"nodes", s.nodes},
		{"closing gaps", s.gaps},
	} {
		s.doing = pass.name
		some = pass.run(ctx) || some
	}
	return some
}

// A dimension is a way to take parts of a case away: so many units, any run of them at once.
type dimension struct {
	name  string
	units func(Case) int
	drop  func(c Case, from, to int) Case
}

// dimensions are in the order of how much one unit takes with it.
var dimensions = []dimension{
	{"keys", func(c Case) int { return len(c.keys()) }, Case.withoutKeys},
	{"faults", func(c Case) int { return len(c.Schedule) }, Case.withoutFaults},
	{"clients", func(c Case) int { return len(c.Threads) }, Case.withoutThreads},
	{"operations", func(c Case) int { return len(c.Steps) }, Case.withoutSteps},
	{"targets of faults", Case.targets, Case.withoutTargets},
}

// remove takes away ever smaller runs of units, the later ones first, since what
// came after an anomaly did not make it. At the end no single unit can go.
func (s *search) remove(ctx context.Context, d dimension) bool {
	some := false
	for size := d.units(s.best); size >= 1; {
		removed := false
		for to := d.units(s.best); to > 0; to -= size {
			// Units before those that are gone are where they were.
			if to = min(to, d.units(s.best)); to <= 0 {
				break
			}
			if s.try(ctx, d.drop(s.best, max(0, to-size), to)) {
				removed = true
			}
		}
		some = some || removed
		switch {
		case s.over(ctx) != nil:
			return some
		case size > 1:
			size = min(size/2, max(1, d.units(s.best)))
		case !removed:
			return some
		}
	}
	return some
}

// merge lets one client do what two did.
func (s *search) merge(ctx context.Context) bool {
	some := false
	for from := len(s.best.Threads) - 1; from > 0; from-- {
		for into := range len(s.best.Threads) {
			if from < len(s.best.Threads) && into != from && s.try(ctx, s.best.merged(from, into)) {
				some = true
				break
			}
		}
	}
	return some
}

// nodes takes nodes away, one at a time, in every turn of the names.
func (s *search) nodes(ctx context.Context) bool {
	some := false
	for again := true; again && len(s.best.Nodes) > s.o.NodesMin; {
		again = false
	search:
		for at := len(s.best.Nodes) - 1; at >= 0; at-- {
			for turn := range len(s.best.Nodes) - 1 {
				if s.try(ctx, s.best.withoutNode(at, turn)) {
					some, again = true, true
					break search
				}
			}
		}
	}
	return some
}

// gapMin is the gap that may stay between two moments: less would not read better.
const gapMin = 10 * time.Millisecond

// gaps makes waiting shorter, the later first: by all but a little, else by half, a
// quarter and an eighth of that.
func (s *search) gaps(ctx context.Context) bool {
	some := false
	for i := len(s.best.moments()) - 1; i > 0; i-- {
		for range 8 { // times that one gap is made shorter, at most
			if !s.narrow(ctx, i) {
				break
			}
			some = true
		}
	}
	return some
}

// narrow takes the most out of the gap before the i-th moment that can be taken out.
func (s *search) narrow(ctx context.Context, i int) bool {
	m := s.best.moments()
	most := m[i] - m[i-1] - gapMin
	for share := time.Duration(1); share <= 8; share *= 2 {
		by := most / share
		if share > 1 {
			by = by / gapMin * gapMin
		}
		if by > 0 && (share == 1 || by >= 5*gapMin) && s.try(ctx, s.best.closed(m[i], by)) {
			return true
		}
	}
	return false
}

// grid rounds times up, as coarsely as it goes.
func (s *search) grid(ctx context.Context) bool {
	for to := gapMin; to >= time.Microsecond; to /= 10 {
		if s.try(ctx, s.best.rounded(to)) {
			return true
		}
	}
	return false
}
