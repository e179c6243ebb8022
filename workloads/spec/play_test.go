package spec

import (
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
)

func TestTheRunsOfASuiteAreListedWithTheirReports(t *testing.T) {
	entry := func(name, value string) types.ReportEntry {
		return types.ReportEntry{Name: name, Value: types.WrapEntryValue(value)}
	}
	r := ginkgo.Report{SpecReports: []ginkgo.SpecReport{
		{LeafNodeText: "cuts", State: types.SpecStatePassed, ReportEntries: types.ReportEntries{entry("verdict", "invalid"), entry("report", "results/a/index.html")}},
		{LeafNodeText: "pauses", State: types.SpecStateSkipped},
	}}
	const want = `
spec    verdict   what it is about                          report
passed  invalid   cuts                                      results/a/index.html
`
	if got := listed(r); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := listed(ginkgo.Report{}); got != "" {
		t.Errorf("got %q for no runs, want nothing", got)
	}
}
