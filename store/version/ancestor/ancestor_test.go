package ancestor_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"cartwheel/store/version/ancestor"

	"pgregory.net/rapid"
)

// many adds up experiments that differ by their seed.
func many(o ancestor.Options, seeds uint64) (sum ancestor.Outcome) {
	for seed := range seeds {
		o.Rand = rand.New(rand.NewPCG(seed, 1))
		sum = sum.Add(ancestor.Play(o))
	}
	return sum
}

// The table of our reference, which another simulation has made: what part of the acknowledged adds each rule loses, and how many siblings it shows.
func TestWhatEachClockLoses(t *testing.T) {
	settings := []struct{ clients, coordinators int }{{2, 1}, {2, 3}, {8, 3}, {8, 1}}
	for _, c := range []struct {
		rule     ancestor.Rule
		lost     [4]float64 // percent
		siblings [4]int
		exact    bool // about siblings
	}{
		{ancestor.Literal, [4]float64{29.5, 13.5, 44, 63.7}, [4]int{1, 2, 3, 1}, true},
		{ancestor.Raised, [4]float64{37.1, 7.7, 14.2, 79.2}, [4]int{1, 2, 7, 1}, false},
		{ancestor.Shared, [4]float64{}, [4]int{9, 9, 38, 42}, false},
		{ancestor.Dotted, [4]float64{}, [4]int{2, 2, 8, 8}, true},
	} {
		for i, s := range settings {
			got := many(ancestor.Options{Rule: c.rule, Clients: s.clients, Coordinators: s.coordinators, Adds: 20}, 30)
			if rate := 100 * got.LossRate(); math.Abs(rate-c.lost[i]) > 5 || c.lost[i] == 0 && got.Lost > 0 {
				t.Errorf("%v, %d clients, %d coordinators: lost %.1f %%, want about %.1f %%", c.rule, s.clients, s.coordinators, rate, c.lost[i])
			}
			if want := c.siblings[i]; got.Siblings > want*3/2 || got.Siblings < want/2 || c.exact && max(got.Siblings, want)-min(got.Siblings, want) > 1 {
				t.Errorf("%v, %d clients, %d coordinators: %d siblings, want about %d", c.rule, s.clients, s.coordinators, got.Siblings, want)
			}
		}
	}
}

func TestDotsLoseNothingAndShowNothingThatWasSuperseded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := ancestor.Options{
			Clients: rapid.IntRange(1, 6).Draw(t, "clients"), Coordinators: rapid.IntRange(1, 12).Draw(t, "coordinators"), Adds: rapid.IntRange(1, 12).Draw(t, "adds"),
		}
		seed := rapid.Uint64().Draw(t, "seed")
		o.Rule, o.Rand = ancestor.Dotted, rand.New(rand.NewPCG(seed, 1))
		if got := ancestor.Play(o); got.Lost > 0 || got.False > 0 || got.Siblings > o.Clients || got.Added != o.Clients*o.Adds {
			t.Fatalf("dotted: %+v", got)
		}
		o.Coordinators = min(o.Coordinators, 3) // a node that forgets what it stood in for counts anew, and that loses writes under this rule
		o.Rule, o.Rand = ancestor.Shared, rand.New(rand.NewPCG(seed, 1))
		if got := ancestor.Play(o); got.Lost > 0 {
			t.Fatalf("one vector a key: %+v", got)
		}
	})
}

// A sole client that reads what it has written makes no siblings, as long as clocks are whole. Truncated, one clock no longer covers
// another that it follows.
func TestTruncationMakesFalseSiblings(t *testing.T) {
	for _, rule := range []ancestor.Rule{ancestor.Literal, ancestor.Raised} {
		o := ancestor.Options{Rule: rule, Clients: 1, Coordinators: 12, Adds: 60}
		if got := many(o, 10); got.False > 0 || got.Siblings != 1 || got.Entries != 12 {
			t.Errorf("%v, whole: %+v", rule, got)
		}
		o.Limit = 10
		cut := many(o, 10)
		if cut.FalseRate() < 0.3 || cut.Siblings < 5 || cut.Entries != 10 {
			t.Errorf("%v, ten pairs: %+v", rule, cut)
		}
		o.Limit = 5
		if shorter := many(o, 10); shorter.FalseRate() <= cut.FalseRate() {
			t.Errorf("%v: five pairs show %.2f false siblings, ten %.2f", rule, shorter.FalseRate(), cut.FalseRate())
		}
		o.Coordinators, o.Limit = 8, 10
		if got := many(o, 10); got.False > 0 {
			t.Errorf("%v: eight nodes never need more than ten pairs: %+v", rule, got)
		}
	}
}

func TestASeedRepeatsAnExperiment(t *testing.T) {
	for _, rule := range ancestor.Rules {
		o := ancestor.Options{Rule: rule, Clients: 4, Coordinators: 6, Adds: 20, Limit: 3}
		if a, b := many(o, 3), many(o, 3); a != b {
			t.Errorf("%v: %+v and %+v", rule, a, b)
		}
	}
}
