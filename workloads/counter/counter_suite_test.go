package counter_test

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

func TestCounter(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "counter")
}

// The tree is built before flags are parsed, so it can know the time limit only.
var limit = SpecTimeout(spec.Limit(os.LookupEnv))

var _ = ReportAfterSuite("runs", spec.Tell)

// In one container specs run in this order, so that the last run, at which results/latest
// points, is not the one that is to be found invalid.
var _ = Describe("a counter on siblings", func() {
	// The self-test of the checker. Replicas agree all the same, and no count is invented.
	It("is found to lose increments where the last write wins", Label("partition", "fault"), limit, func(ctx SpecContext) {
		res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: "counter-lww", Workload: "counter-lww", Nemesis: "partition"})
		Expect(res.Verdict).To(Equal(harness.Invalid), spec.Where(res))
		for _, f := range res.Findings {
			switch f.Checker {
			case "counter":
				Expect(f.Counts).To(HaveKeyWithValue(checker.LostCount, BeNumerically(">", 0)), spec.Where(res))
				Expect(f.Counts).NotTo(HaveKey(checker.ImpossibleCount), spec.Where(res))
			case "lost-writes":
				Expect(f.Counts).To(HaveKeyWithValue(checker.LostWrite, BeNumerically(">", 0)), spec.Where(res))
			default:
				Expect(f.Verdict).To(Equal(harness.Valid), "%s: %s\n%s", f.Checker, f.Summary, spec.Where(res))
			}
		}
	})

	DescribeTable("counts every acknowledged increment, and all replicas agree in the end",
		func(ctx SpecContext, nemesis string) {
			res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: spec.Suite("counter", nemesis), Workload: "counter", Nemesis: nemesis})
			Expect(res.Verdict).To(Equal(harness.Valid), spec.Where(res))
		},
		Entry("while the network is cut apart", Label("partition", "fault"), limit, "partition"),
		Entry("while nodes are frozen", Label("pause", "fault"), limit, "pause"),
		Entry("while nodes die and begin again", Label("kill", "fault"), limit, "kill"),
		Entry("while links lose, delay and reorder packets", Label("packet", "fault"), limit, "packet"),
		Entry("while clocks are wrong", Label("clock", "fault"), limit, "clock"),
		Entry("while disks are slow, full or failing", Label("disk", "fault"), limit, "disk"),
		Entry("while the network is cut apart, nodes are frozen and nodes die", Label("soak", "fault"), limit, "partition,pause,kill"),
		Entry("while all nodes die at once, again and again, and the network is cut apart", Label("soak", "fault"), limit, "kill=all,partition"),
		Entry("while all of that happens at once", Label("chaos", "fault"), limit, "all"),
	)
})
