package anomaly

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/suite"
	"cartwheel/nemesis/schedule"
)

func result(v harness.Verdict, lost float64) harness.Result {
	return harness.Result{
		Plan: harness.Plan{Seed: 7}, Verdict: v,
		Findings: []harness.Finding{
			{Checker: "elements", Figures: map[string]float64{"attempted": 10, "acknowledged": 8, "survivors": 8 - lost, "lost": lost, "recovered": 1}},
			{Checker: "siblings", Figures: map[string]float64{"siblings_max": 3}},
		},
		Faults: []harness.FaultRecord{{Fault: harness.Fault{ID: "f1"}, Evidence: harness.Evidence{
			Injected: 1, Healed: 2, Probes: []harness.Probe{{When: "during", Want: true, Got: true}},
		}}},
	}
}

func TestARunMustGoAsPublished(t *testing.T) {
	losing := Scenario{Verdict: harness.Invalid, Want: []Band{{"elements", "lost", 2, 6}}}
	unproven := result(harness.Invalid, 4)
	unproven.Faults[0].Evidence.Healed = 0
	for _, c := range []struct {
		name string
		s    Scenario
		res  harness.Result
		want string
	}{
		{name: "as published", s: losing, res: result(harness.Invalid, 4)},
		{name: "loses too little", s: losing, res: result(harness.Invalid, 1), want: "lost is 1, want lost 2 to 6"},
		{name: "loses too much", s: losing, res: result(harness.Invalid, 7), want: "lost is 7"},
		{name: "nobody noticed", s: losing, res: result(harness.Valid, 4), want: "the verdict is valid, want invalid"},
		{name: "no such figure", s: Scenario{Want: []Band{atLeast("elements", "gained", 1)}}, res: result(harness.Valid, 0), want: "no figure gained"},
		{name: "no such checker", s: Scenario{Want: []Band{exactly("zones", "lost", 0)}}, res: result(harness.Valid, 0), want: "no figure lost"},
		{name: "any verdict", s: Scenario{}, res: result(harness.Unknown, 0)},
		{name: "the fault did not bite", s: losing, res: unproven, want: "f1 is not proven"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := c.s.Judge(c.res)
			if got := strings.Join(o.Misses, "; "); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if f := o.Figures; f.Attempted != 10 || f.Acknowledged != 8 || f.Recovered != 1 || f.Siblings != 3 || o.Seed != 7 {
				t.Errorf("got %+v", o)
			}
		})
	}
	if got := (Figures{Acknowledged: 8, Lost: 2}).LossRate(); got != 0.25 {
		t.Errorf("2 of 8 are %g", got)
	}
	if got := (Figures{}).LossRate(); got != 0 {
		t.Errorf("none of none are %g", got)
	}
}

func TestBandsSayWhatTheyWant(t *testing.T) {
	for want, b := range map[string]Band{
		"lost 0": exactly("elements", "lost", 0), "lost ≥ 2": atLeast("elements", "lost", 2), "lost 1 to 3": {"elements", "lost", 1, 3},
		"lost ≥ 0": {"elements", "lost", 0, math.Inf(1)},
	} {
		if got := b.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The reference experiment cuts two nodes off from three, both ways, for a quarter of the load.
func TestTheReferencePartition(t *testing.T) {
	nodes := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
	faults := Scenario{Split: true}.Schedule(nodes, time.Minute)
	if err := schedule.Validate(faults, nodes, time.Minute); err != nil {
		t.Fatal(err)
	}
	f := faults[0]
	if len(f.Links) != 12 || f.Start != 10*time.Second || f.Stop != 30*time.Second || !slices.Equal(f.Nodes, nodes[:2]) {
		t.Errorf("got %+v", f)
	}
	if got := (Scenario{}).Schedule(nodes, time.Minute); got != nil {
		t.Errorf("a scenario that leaves its faults to the nemesis has %v", got)
	}
}

func TestEveryScenarioNamesWhatThereIs(t *testing.T) {
	for _, s := range Catalogue() {
		t.Run(s.ID+" "+s.Title, func(t *testing.T) {
			w, err := suite.Workload(s.Workload)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := suite.Nemesis(s.Nemesis); err != nil {
				t.Error(err)
			}
			for _, b := range s.Want {
				if !slices.ContainsFunc(w.Checkers, func(c harness.Checker) bool { return c.Name() == b.Checker }) {
					t.Errorf("workload %s has no checker %q", s.Workload, b.Checker)
				}
			}
			if s.Verdict == "" && len(s.Want) == 0 {
				t.Error("it wants nothing, so it cannot fail")
			}
			if s.Title == "" || s.Published == "" {
				t.Error("it does not say what it is")
			}
		})
	}
}
