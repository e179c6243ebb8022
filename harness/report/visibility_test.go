package report

import (
	"math"
	"strings"
	"testing"

	"cartwheel/harness"
)

// TestVisibilityIsDrawnWhereItWasMeasured: the axis begins and ends with the points there
// are, and a step without gets is a gap.
func TestVisibilityIsDrawnWhereItWasMeasured(t *testing.T) {
	a := analyse(harness.Result{Findings: []harness.Finding{{Checker: "recency", Figures: map[string]float64{
		"visible_within/4ms": 0.5, "visible_within_reads/4ms": 10,
		"visible_within/16ms": 1, "visible_within_reads/16ms": 1000,
	}}}}, nil)
	s, ok := a.visibilityPlot()
	if !ok || s.plot.X.Max != 3 || s.legend[0].Label != "measured on "+thousands(1010)+" gets" {
		t.Fatalf("drawn %t, %+v to %v", ok, s.legend, s.plot.X.Max)
	}
	if first := s.plot.X.Tick.Marker.Ticks(0, 3)[0].Label; first != "4 ms" {
		t.Errorf("the axis begins at %s, want 4 ms", first)
	}
	if len(s.legend) != 1 || strings.Contains(s.caption, "prediction") {
		t.Errorf("nothing was predicted, but told: %+v, %s", s.legend, s.caption)
	}
	if v := a.figureNamed("visible_within/8ms"); !math.IsNaN(v) {
		t.Errorf("a step without gets is %v", v)
	}
	if _, ok := analyse(harness.Result{}, nil).visibilityPlot(); ok {
		t.Error("a curve without a measurement")
	}
}

// TestAPredictionStandsBesideTheMeasurement, with the quorums that it was made for.
func TestAPredictionStandsBesideTheMeasurement(t *testing.T) {
	s, _ := analyse(harness.Result{Findings: []harness.Finding{{Checker: "recency", Figures: map[string]float64{
		"visible_within/4ms": 0.5, "visible_within_reads/4ms": 10, "visible_predicted/4ms": 0.9,
		"predicted_n": 3, "predicted_r": 1, "predicted_w": 2,
	}}}}, nil).visibilityPlot()
	if len(s.legend) != 2 || !strings.HasSuffix(s.legend[1].Label, "N=3 R=1 W=2") || s.legend[1].Role == s.legend[0].Role {
		t.Errorf("told: %+v", s.legend)
	}
}
