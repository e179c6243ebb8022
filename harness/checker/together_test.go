package checker

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	"cartwheel/harness"
)

// TestCheckersTogetherFindWhatEachFindsAlone also runs them side by side, several
// histories at a time, for the race detector.
func TestCheckersTogetherFindWhatEachFindsAlone(t *testing.T) {
	alone := []harness.Checker{Sanity(), Siblings(), Convergence(), LostWrites(), Elements()}
	together := Together(alone...)
	var wg sync.WaitGroup
	for seed := range uint64(6) {
		for _, b := range []bug{correct, lastWins, noPruning} {
			h := simulate(seed, b)
			for i := range alone {
				wg.Go(func() {
					got, want := together[i].Check(t.Context(), h), alone[i].Check(t.Context(), h)
					if !reflect.DeepEqual(got, want) {
						t.Errorf("seed %d, %s, %s:\ngot  %+v\nwant %+v", seed, b, want.Checker, got, want)
					}
				})
			}
		}
	}
	wg.Wait()
}

func TestAnIndexIsBuiltOnceAndLetGo(t *testing.T) {
	h := simulate(1, correct)
	s := &shared{members: 2, indices: make(map[*harness.Op]*sharing)}
	a, b := s.member(0), s.member(1)
	x, err := a(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if y, _ := b(t.Context(), h); x != y {
		t.Error("two members got two indices")
	}
	if len(s.indices) != 0 {
		t.Error("the index is kept although both members had it")
	}
	if y, _ := a(t.Context(), h); x == y {
		t.Error("a second judgement got the index of the first")
	}
	cut, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	s = &shared{members: 2, indices: make(map[*harness.Op]*sharing)}
	if _, err := s.member(0)(cut, h); err == nil {
		t.Error("a context that was over gave an index")
	}
	if _, err := s.member(1)(t.Context(), h); err != nil {
		t.Errorf("one member's budget was over, and another got: %v", err)
	}
}
