package register_test

import (
	"os"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"cartwheel/harness"
	"cartwheel/harness/checker"
	"cartwheel/harness/suite"
	"cartwheel/workloads/spec"
)

func TestRegister(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "register")
}

// The tree is built before flags are parsed, so it can know the time limit only.
var limit = SpecTimeout(spec.Limit(os.LookupEnv))

var _ = ReportAfterSuite("runs", spec.Tell)

// In one container specs run in this order, so that the last run, at which results/latest
// points, is not the one that is to be found invalid.
var _ = Describe("the register", func() {
	// The self-test of the checker: what R = W = 1 promises is neither linearizable nor fresh, and
	// must be found not to be. Nothing else may be wrong with it.
	It("finds that R = W = 1 makes none", Label("partition", "fault"), limit, func(ctx SpecContext) {
		res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: "register-weak", Workload: "register-weak", Nemesis: "partition"})
		Expect(res.Verdict).To(Equal(harness.Invalid), spec.Where(res))
		for _, f := range res.Findings {
			if f.Checker == "linearizable" {
				Expect(f.Counts).To(HaveKeyWithValue(checker.NotLinearizable, BeNumerically(">", 0)), spec.Where(res))
				continue
			}
			if f.Checker == "recency" {
				Expect(f.Figures).To(HaveKeyWithValue("measured/"+checker.Stale, BeNumerically(">", 0)), spec.Where(res))
			}
			Expect(f.Verdict).To(Equal(harness.Valid), "%s: %s\n%s", f.Checker, f.Summary, spec.Where(res))
		}
	})

	DescribeTable("one writer a key, strict quorums and blocking repair make a linearizable register",
		func(ctx SpecContext, nemesis string) {
			res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: spec.Suite("register", nemesis), Workload: "register", Nemesis: nemesis})
			Expect(res.Verdict).To(Equal(harness.Valid), spec.Where(res))
		},
		Entry("while the network is cut apart", Label("partition", "fault"), limit, "partition"),
		Entry("while nodes are frozen", Label("pause", "fault"), limit, "pause"),
		Entry("while nodes die and begin again", Label("kill", "fault"), limit, "kill"),
		Entry("while links lose, delay and reorder packets", Label("packet", "fault"), limit, "packet"),
		Entry("while clocks are wrong", Label("clock", "fault"), limit, "clock"),
		Entry("while disks are slow, full or failing", Label("disk", "fault"), limit, "disk"),
		Entry("while a node leaves and others are heard but hear nobody", Label("membership", "fault"), limit, "membership=amid-leave,partition=deaf"),
		Entry("while all of that happens at once", Label("chaos", "fault"), limit, "all"),
	)

	It("is one also where reads ask one owner and writes all, while members change", Label("membership", "fault"), limit, func(ctx SpecContext) {
		res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: "register-one", Workload: "register-one", Nemesis: "membership"})
		Expect(res.Verdict).To(Equal(harness.Valid), spec.Where(res))
	})
})
