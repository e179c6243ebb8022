package checker

import (
	"maps"
	"slices"
	"testing"

	"cartwheel/harness"
)

func streamed() []harness.Checker {
	return []harness.Checker{
		Sanity(), Convergence(), LostWrites(), Elements(), Copies(), Recency(), Sessions(), Causal(), MVR(), Siblings(),
	}
}

// TestAStreamFindsWhatAWholeHistoryShows: verdicts, counts and figures are the same, and
// what is wrong has its story.
func TestAStreamFindsWhatAWholeHistoryShows(t *testing.T) {
	for seed := range uint64(10) {
		for _, b := range []bug{correct, noPruning, lastWins, forgets, noAntiEntropy} {
			h := simulate(seed, b)
			s, err := NewStream(Under(Claims{Mode: Strict}, streamed()...)...)
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range h {
				s.Add(op)
			}
			got := s.Judge(t.Context(), slices.Values(h))
			for i, c := range Under(Claims{Mode: Strict}, streamed()...) {
				want := c.Check(t.Context(), h)
				if got[i].Checker != want.Checker || got[i].Verdict != want.Verdict || !maps.Equal(got[i].Counts, want.Counts) || !maps.Equal(got[i].Figures, want.Figures) {
					t.Errorf("seed %d, %s:\nstream %+v\nwhole  %+v", seed, b, got[i], want)
				}
				if want.Verdict == harness.Invalid && want.Checker != "causal" && (len(got[i].Anomalies) == 0 || len(got[i].Anomalies[0].Story) == 0) {
					t.Errorf("seed %d, %s: %s has no story", seed, b, want.Checker)
				}
			}
		}
	}
}

func TestAStreamTakesOnlyCheckersOfAnIndex(t *testing.T) {
	if _, err := NewStream(Sanity(), Zones()); err == nil {
		t.Error("zones want all operations of a key at once, and were taken")
	}
}
