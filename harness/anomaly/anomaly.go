package anomaly

import (
	"fmt"
	"math"
	"slices"
	"time"

	"cartwheel/harness"
)

// A Scenario is an experiment with a known outcome.
type Scenario struct {
	ID        string // "KA-05", as in the literature list of docs/DETECTION.md
	Title     string
	Published string // what was published, with its source

	Workload      string
	Nemesis       string
	R, W          int           // 0: the workload's
	Quorum        string        // "strict", "sloppy"; "": the workload's
	Mutant        string        // planted bug that it needs; "": none
	Durability    string        // of writes: "all", "one", "none"; "": the store's default
	FlushAfter    time.Duration // what is not durable at once is on disk so much later; 0: the store's default
	NoAntiEntropy bool
	HintBytes     uint64        // bytes of hints that a node keeps for others; 0: the store's default
	Skew          time.Duration // by so much the clock of the node that coordinates most is ahead, all the time
	Split         bool          // the reference experiment's partition, n1 n2 | n3 n4 n5, from a quarter to half of the load

	Verdict harness.Verdict // that the run must end with; "": any
	Loss    float64         // the least part of what was acknowledged that must be lost, 0 to 1
	Want    []Band          // all of them
}

// A Band is where a figure of a checker must lie.
type Band struct {
	Checker, Figure string
	Min, Max        float64
}

// String says what is wanted.
func (b Band) String() string {
	switch {
	case b.Min == b.Max:
		return fmt.Sprintf("%s %g", b.Figure, b.Min)
	case math.IsInf(b.Max, 1):
		return fmt.Sprintf("%s ≥ %g", b.Figure, b.Min)
	}
	return fmt.Sprintf("%s %g to %g", b.Figure, b.Min, b.Max)
}

// exactly, atLeast and atMost make bands.
func exactly(checker, figure string, x float64) Band { return Band{checker, figure, x, x} }

func atLeast(checker, figure string, x float64) Band { return Band{checker, figure, x, math.Inf(1)} }

// An Outcome is what came of one run.
type Outcome struct {
	Seed    uint64
	Figures Figures
	Misses  []string // what was not as it must be; empty: as published
}

// Figures are those that the field quotes of such a run.
type Figures struct {
	Attempted, Acknowledged, Survivors, Lost, Recovered int
	Siblings                                            int // most that one answer showed
}

// LossRate is the part of what was acknowledged that was lost, 0 to 1; 0 of none.
func (f Figures) LossRate() float64 { return float64(f.Lost) / float64(max(f.Acknowledged, 1)) }

// Judge compares a result with what is known.
func (s Scenario) Judge(res harness.Result) Outcome {
	o := Outcome{Seed: res.Plan.Seed}
	get := func(checker, figure string) (float64, bool) {
		i := slices.IndexFunc(res.Findings, func(f harness.Finding) bool { return f.Checker == checker })
		if i < 0 {
			return 0, false
		}
		x, ok := res.Findings[i].Figures[figure]
		return x, ok
	}
	whole := func(checker, figure string) int {
		x, _ := get(checker, figure)
		return int(x)
	}
	o.Figures = Figures{
		Attempted: whole("elements", "attempted"), Acknowledged: whole("elements", "acknowledged"), Survivors: whole("elements", "survivors"),
		Lost: whole("elements", "lost"), Recovered: whole("elements", "recovered"), Siblings: whole("siblings", "siblings_max"),
	}
	if s.Verdict != "" && res.Verdict != s.Verdict {
		o.Misses = append(o.Misses, fmt.Sprintf("the verdict is %s, want %s", res.Verdict, s.Verdict))
	}
	if o.Figures.LossRate() < s.Loss {
		o.Misses = append(o.Misses, fmt.Sprintf("%.1f %% of what was acknowledged is lost, want %.1f %% at least", 100*o.Figures.LossRate(), 100*s.Loss))
	}
	for _, b := range s.Want {
		x, ok := get(b.Checker, b.Figure)
		switch {
		case !ok:
			o.Misses = append(o.Misses, fmt.Sprintf("%s has no figure %s", b.Checker, b.Figure))
		case x < b.Min || x > b.Max:
			o.Misses = append(o.Misses, fmt.Sprintf("%s is %g, want %v", b.Figure, x, b))
		}
	}
	for _, f := range res.Faults {
		if !f.Evidence.Proven() {
			o.Misses = append(o.Misses, "fault "+f.Fault.ID+" is not proven")
		}
	}
	return o
}

// Schedule is the scenario's faults for a load of the given length; nil: its nemesis plans them.
func (s Scenario) Schedule(nodes []harness.NodeID, load time.Duration) []harness.Fault {
	if s.Skew > 0 {
		return []harness.Fault{{
			ID: "f1", Kind: "clock", Name: "bump", Role: &harness.Role{Name: harness.Coordinator}, Start: time.Second, Stop: load - 3*time.Second,
			Skew: &harness.Skew{Offset: s.Skew},
		}}
	}
	if !s.Split {
		return nil
	}
	small, large := nodes[:2], nodes[2:]
	f := harness.Fault{
		ID: "f1", Kind: "partition", Name: "halves", Nodes: slices.Clone(small),
		Start: min(10*time.Second, load/4), Stop: load / 2,
	}
	for _, a := range small {
		for _, b := range large {
			f.Links = append(f.Links, harness.Link{From: a, To: b}, harness.Link{From: b, To: a})
		}
	}
	return []harness.Fault{f}
}
