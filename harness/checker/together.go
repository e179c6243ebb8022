package checker

import (
	"context"
	"sync"

	"cartwheel/harness"
)

// Together returns the same checkers, those of this package sharing one index of each
// history. An index is let go when every one of them has had it.
func Together(checkers ...harness.Checker) []harness.Checker {
	s := &shared{indices: make(map[*harness.Op]*sharing)}
	out := make([]harness.Checker, len(checkers))
	for i, c := range checkers {
		out[i] = c
		if own, ok := c.(*check); ok {
			member := *own
			s.members++
			member.index = s.member(i)
			out[i] = &member
		}
	}
	return out
}

// Alone returns the checker as it is without others: what it is asked about the part of a
// history concerns nobody else, and is not to be kept for them.
func (c *check) Alone() harness.Checker {
	alone := *c
	alone.index = newIndex
	return &alone
}

// shared keeps the indices of histories that are being judged, by their first line.
type shared struct {
	members int
	mu      sync.Mutex
	indices map[*harness.Op]*sharing
}

type sharing struct {
	lines int
	had   map[int]bool // members that took it
	once  sync.Once
	x     *index
	err   error
}

func (s *shared) member(id int) func(context.Context, []harness.Op) (*index, error) {
	return func(ctx context.Context, h []harness.Op) (*index, error) {
		if len(h) == 0 {
			return newIndex(ctx, h)
		}
		it := s.take(id, h)
		it.once.Do(func() { it.x, it.err = newIndex(ctx, h) })
		if it.err != nil && ctx.Err() == nil {
			return newIndex(ctx, h) // it was the other's budget that was over
		}
		return it.x, it.err
	}
}

// take returns the entry of a history. A member that comes a second time judges anew.
func (s *shared) take(id int, h []harness.Op) *sharing {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.indices[&h[0]]
	if it == nil || it.lines != len(h) || it.had[id] {
		it = &sharing{lines: len(h), had: make(map[int]bool)}
		s.indices[&h[0]] = it
	}
	it.had[id] = true
	if len(it.had) == s.members {
		delete(s.indices, &h[0])
	}
	return it
}
