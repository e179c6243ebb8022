package report

import (
	"reflect"
	"strings"
	"testing"

	"cartwheel/harness"
)

func TestCoverageCountsWhatWasProvenAndWhatWasNot(t *testing.T) {
	proven := harness.Evidence{Injected: 1, Healed: 2, Probes: []harness.Probe{{When: "before"}}}
	fault := func(id, kind, name string) harness.Fault { return harness.Fault{ID: id, Kind: kind, Name: name} }
	run := func(workload string, records ...harness.FaultRecord) harness.Result {
		res := harness.Result{Plan: harness.Plan{Workload: workload, World: "sim"}, Faults: records}
		for _, f := range records {
			res.Plan.Schedule = append(res.Plan.Schedule, f.Fault)
		}
		return res
	}
	a := run("cart", harness.FaultRecord{Fault: fault("f1", "kill", "one"), Evidence: proven}, harness.FaultRecord{Fault: fault("f2", "kill", "one")})
	a.Plan.Schedule = append(a.Plan.Schedule, fault("f3", "pause", "one")) // never begun
	b := run("register", harness.FaultRecord{Fault: fault("f1", "kill", "one"), Evidence: proven})
	b.Plan.Skipped = []harness.Skip{{Kind: "disk", Why: "no tracer"}, {Kind: "packet", Name: "narrow", Why: "no queue"}}
	want := []CoverageRow{
		{Kind: "disk", Name: "*", Workload: "register", World: "sim", Skipped: 1, Why: "no tracer"},
		{Kind: "kill", Name: "one", Workload: "cart", World: "sim", Installed: 1, Indeterminate: 1},
		{Kind: "kill", Name: "one", Workload: "register", World: "sim", Installed: 1},
		{Kind: "packet", Name: "narrow", Workload: "register", World: "sim", Skipped: 1, Why: "no queue"},
		{Kind: "pause", Name: "one", Workload: "cart", World: "sim", Indeterminate: 1},
	}
	got := Coverage([]harness.Result{a, b})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	var table strings.Builder
	if err := WriteCoverage(&table, got); err != nil {
		t.Fatal(err)
	}
	last := strings.Fields(table.String()[strings.LastIndex(strings.TrimSpace(table.String()), "\n"):])
	if !reflect.DeepEqual(last, []string{"all", "2", "2", "2"}) {
		t.Errorf("the sum is %v in\n%s", last, &table)
	}
}
