package checker

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"cartwheel/harness"
)

// A Stream judges a history that goes by line by line and is never held as a whole: it
// keeps a few hundred bytes an operation, and the values of carts. It is used by one
// goroutine. The history must be one that history.Validate accepts.
type Stream struct {
	checks  []*check
	builder *builder
	part    []harness.Op // being filled
	spare   []harness.Op // being sorted, or empty
	sorted  sync.WaitGroup
	index   *index
	err     error
}

// NewStream makes a stream for checkers that judge by an index of their own: an error
// names one that needs the whole history at once.
func NewStream(checkers ...harness.Checker) (*Stream, error) {
	s := &Stream{builder: newBuilder()}
	for _, c := range checkers {
		own, ok := c.(*check)
		if !ok {
			return nil, fmt.Errorf("checker %q needs the whole history at once", c.Name())
		}
		s.checks = append(s.checks, own)
	}
	return s, nil
}

// Add takes the next line. The stream keeps the strings and the siblings of some lines,
// never the line itself.
func (s *Stream) Add(op harness.Op) {
	if s.part = append(s.part, op); len(s.part) == linesAtOnce {
		s.flush()
	}
}

// flush hands the lines over and lets the caller go on while they are sorted.
func (s *Stream) flush() {
	s.sorted.Wait()
	full := s.part
	s.part, s.spare = s.spare[:0], full
	s.sorted.Go(func() { s.builder.add(full) })
}

// Judge returns a finding for each checker, in their order. If something is wrong and
// again is not nil, it goes through the history a second time to tell the stories of the
// keys concerned; without it only the counts are known. Lines that come later are not
// judged. What only several keys together show is counted without a story.
func (s *Stream) Judge(ctx context.Context, again iter.Seq[harness.Op]) []harness.Finding {
	s.flush()
	s.sorted.Wait()
	s.part, s.spare = nil, nil
	s.index, s.err = s.builder.index(ctx)
	out := make([]harness.Finding, len(s.checks))
	next := make(chan int)
	var wg sync.WaitGroup
	for range checksAtOnce {
		wg.Go(func() {
			for i := range next {
				out[i] = s.judge(ctx, s.checks[i])
			}
		})
	}
	for i := range s.checks {
		next <- i
	}
	close(next)
	wg.Wait()
	if again != nil && s.err == nil {
		s.tell(ctx, again, out)
	}
	return out
}

// checksAtOnce is how many checkers judge side by side.
const checksAtOnce = 2

func (s *Stream) judge(ctx context.Context, c *check) harness.Finding {
	ready := *c
	ready.index = func(context.Context, []harness.Op) (*index, error) { return s.index, s.err }
	return ready.Check(ctx, nil)
}

// tell replaces findings that have no stories by those of the first keys concerned, with
// the counts of all.
func (s *Stream) tell(ctx context.Context, again iter.Seq[harness.Op], out []harness.Finding) {
	wanted := make(map[string]bool)
	for i, f := range out {
		if f.Verdict == harness.Invalid {
			s.concerned(ctx, s.checks[i], wanted)
		}
	}
	if len(wanted) == 0 {
		return
	}
	var h []harness.Op
	for op := range again {
		if op.Process == harness.NemesisProcess || op.F == "settle" || wanted[op.Key] {
			h = append(h, op)
		}
	}
	for i := range out {
		if out[i].Verdict != harness.Invalid {
			continue
		}
		if told := s.checks[i].Check(ctx, h); told.Verdict == harness.Invalid {
			out[i].Anomalies = told.Anomalies
			if len(told.Anomalies) > 0 {
				out[i].Summary += ": " + told.Anomalies[0].Story[0]
			}
		}
	}
}

// concerned adds the first keys in which a check finds something.
func (s *Stream) concerned(ctx context.Context, c *check, wanted map[string]bool) {
	found := 0
	view := s.index.under(c.claims)
	for _, k := range view.keys {
		part := view
		part.keys = []*keyIndex{k}
		if found == examplesMax || ctx.Err() != nil {
			return
		}
		if c.judge(ctx, &part).Verdict == harness.Invalid {
			wanted[k.key] = true
			found++
		}
	}
}
