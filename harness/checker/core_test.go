package checker

import (
	"slices"
	"testing"

	"github.com/cockroachdb/datadriven"

	"cartwheel/harness"
	"cartwheel/harness/core"
	"cartwheel/harness/history"
)

// TestEveryAnomalyHasACore: what is left of a history is valid as a history, no larger than it
// was, and the checker finds the same anomaly in it.
func TestEveryAnomalyHasACore(t *testing.T) {
	anomalies, before, after := 0, 0, 0
	datadriven.Walk(t, "testdata/litmus", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "check" {
				return d.Expected
			}
			var claims Claims
			if d.HasArg("mode") {
				d.ScanArgs(t, "mode", (*string)(&claims.Mode))
			}
			claims.Sessions, claims.all = d.HasArg("clients-retry"), d.HasArg("told")
			h := must(t, d.Input)
			for _, arg := range d.CmdArgs {
				if slices.Contains(scriptOptions, arg.Key) {
					continue
				}
				c := Under(claims, checkerNamed(t, arg.Key))[0]
				if _, ok := c.(harness.Briefed); ok {
					break // what it finds takes a plan and faults, and a core has neither
				}
				f := c.Check(t.Context(), h)
				if f.Verdict != harness.Invalid {
					continue
				}
				for _, a := range f.Anomalies {
					left := core.Of(t.Context(), c, h, f, a)
					small := slices.DeleteFunc(slices.Clone(h), func(op harness.Op) bool { return !slices.Contains(left, op.Index) })
					if err := history.Validate(small); err != nil {
						t.Errorf("%s: %s: the core of %s is no history: %v", d.Pos, c.Name(), a.Kind, err)
					}
					again := c.Check(t.Context(), small)
					if !slices.ContainsFunc(again.Anomalies, func(b harness.Anomaly) bool {
						return a.Kind == b.Kind && a.Key == b.Key && a.Element == b.Element
					}) {
						t.Errorf("%s: %s: %s of %q: %v of %d lines do not show it", d.Pos, c.Name(), a.Kind, a.Key, left, len(h))
					}
					anomalies, before, after = anomalies+1, before+len(h), after+len(left)
				}
			}
			return d.Expected
		})
	})
	if anomalies < 50 || after >= before {
		t.Errorf("%d anomalies, of %d lines %d are left", anomalies, before, after)
	}
	t.Logf("%d anomalies: %d lines, %d in cores", anomalies, before, after)
}
