package spec

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"cartwheel/harness"
	"cartwheel/harness/report"
	"cartwheel/harness/runner"
	"cartwheel/harness/suite"
)

// tellEvery is how often a run that goes on says how far it is.
const tellEvery = 5 * time.Second

// Play does a run and returns what came of it. The knobs' seed, cluster and results folder come from the environment;
// so does the load's length, where the knobs do not ask for a longer one.
func Play(ctx ginkgo.SpecContext, lookup func(string) (string, bool), k suite.Knobs) harness.Result {
	ginkgo.GinkgoHelper()
	s, err := Read(lookup, ginkgo.GinkgoRandomSeed(), ginkgo.GinkgoLabelFilter())
	if err != nil {
		ginkgo.Fail("settings from the environment: " + err.Error())
	}
	s, warning := s.Settle(func(cluster string) error { return suite.Reach(ctx, cluster) })
	k.Cluster, k.Seed, k.Time, k.Results = s.Cluster, s.Seed, max(s.Time, k.Time), s.Results
	say := func(format string, args ...any) { fmt.Fprintf(ginkgo.GinkgoWriter, format+"\n", args...) }
	if warning != "" {
		say("%s", warning)
		ginkgo.AddReportEntry("SIMULATED", "there is no Docker Engine")
	}
	say("SEED %d", k.Seed)
	ginkgo.AddReportEntry("seed", k.Seed)
	ginkgo.AddReportEntry("repeat", k.Command())
	res, err := suite.Run(ctx, k, suite.Hooks{
		Note:     func(text string) { say("%s", text) },
		Planned:  func(p harness.Plan, _ string) { told(report.Plan(ginkgo.GinkgoWriter, p)) },
		Progress: teller(say),
	})
	ginkgo.AddReportEntry("verdict", string(res.Verdict), ginkgo.ReportEntryVisibilityNever)
	if res.Dir != "" {
		if at, err := filepath.Abs(res.Dir); err == nil {
			res.Dir = at
		}
		ginkgo.AddReportEntry("report", filepath.Join(res.Dir, report.IndexFile))
	}
	if len(res.Plan.Nodes) > 0 { // else there was no run to tell of
		told(report.Text(ginkgo.GinkgoWriter, res))
	}
	if err != nil { // in its own words: what it is made of helps nobody
		ginkgo.Fail("the harness failed, which is no verdict: " + err.Error())
	}
	return res
}

// Suite names a run of a workload under faults, in a way that makes a good folder's name.
func Suite(workload, nemesis string) string {
	if nemesis == "all" {
		return workload + "-chaos"
	}
	return workload + "-" + strings.NewReplacer(",", "-", "=", "-").Replace(nemesis)
}

// Tell lists the runs of a suite at its end, with what they found and where their reports
// are. It is for ReportAfterSuite.
func Tell(r ginkgo.Report) { fmt.Print(listed(r)) }

func listed(r ginkgo.Report) string {
	var b strings.Builder
	for _, s := range r.SpecReports {
		entries := make(map[string]string)
		for _, e := range s.ReportEntries {
			entries[e.Name] = e.StringRepresentation()
		}
		if entries["verdict"] != "" {
			fmt.Fprintf(&b, "%-6s  %-8s  %-40s  %s\n", s.State, entries["verdict"], s.LeafNodeText, entries["report"])
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\nspec    verdict   what it is about                          report\n" + b.String()
}

// told fails the spec when its story cannot be written.
func told(err error) {
	ginkgo.GinkgoHelper()
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
}

// Where says where the evidence of a run is, for the message of an assertion.
func Where(res harness.Result) string {
	see := ""
	if res.Dir != "" {
		see = "see " + filepath.Join(res.Dir, report.IndexFile) + "\n"
	}
	return fmt.Sprintf("%s: %s\n%srepeat: %s", res.Verdict, strings.Join(res.Reasons, "\n"), see, res.Plan.Repeat)
}

// teller says how far a run is: when its phase changes, when something happens, and
// every few seconds.
func teller(say func(string, ...any)) func(runner.Progress) {
	var phase harness.Phase
	var next time.Duration
	return func(p runner.Progress) {
		if p.Phase == phase && p.Note == "" && p.Elapsed < next {
			return
		}
		if p.Phase != phase {
			phase, next = p.Phase, 0
		}
		next = max(next, p.Elapsed.Truncate(tellEvery)+tellEvery)
		line := fmt.Sprintf("%-7s %4.0fs %5.0f ops/s  %d ok %d fail %d info", p.Phase, p.Elapsed.Seconds(), p.OpsPerSecond, p.OK, p.Fail, p.Info)
		for _, f := range p.Active {
			line += fmt.Sprintf("  [%s %s %s]", f.ID, f.Kind, f.Name)
		}
		if p.Note != "" {
			line += "  " + p.Note
		}
		say("%s", line)
	}
}
