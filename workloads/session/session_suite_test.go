package session_test

import (
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"cartwheel/harness"
	"cartwheel/harness/checker"
	"cartwheel/harness/suite"
	"cartwheel/workloads/spec"
)

func TestSession(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "session")
}

// The tree is built before flags are parsed, so it can know the time limit only.
var limit = SpecTimeout(spec.Limit(os.LookupEnv))

var _ = ReportAfterSuite("runs", spec.Tell)

// In one container specs run in this order, so that the last run, at which results/latest
// points, is not the one that is to be found invalid.
var _ = Describe("a session", func() {
	// The self-test of the checker. Nothing else may be wrong.
	It("is found to read less than it has seen without floors", Label("partition", "fault"), limit, func(ctx SpecContext) {
		res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: "session-weak", Workload: "session-weak", Nemesis: "partition"})
		Expect(res.Verdict).To(Equal(harness.Invalid), spec.Where(res))
		for _, f := range res.Findings {
			if f.Checker == "sessions" {
				Expect(f.Counts).To(HaveKeyWithValue(checker.OwnWriteUnread, BeNumerically(">", 0)), spec.Where(res))
				Expect(f.Counts).To(HaveKeyWithValue(checker.ReadWentBack, BeNumerically(">", 0)), spec.Where(res))
				continue
			}
			Expect(f.Verdict).To(Equal(harness.Valid), "%s: %s\n%s", f.Checker, f.Summary, spec.Where(res))
		}
	})

	DescribeTable("reads what it has written and read, or fails",
		func(ctx SpecContext, nemesis string) {
			// Shorter runs often have one partition only, in which no read needs what its session has seen.
			res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: spec.Suite("session", nemesis), Workload: "session", Nemesis: nemesis, Time: 30 * time.Second})
			Expect(res.Verdict).To(Equal(harness.Valid), spec.Where(res))
		},
		Entry("while the network is cut apart", Label("partition", "fault"), limit, "partition"),
		Entry("while nodes are frozen", Label("pause", "fault"), limit, "pause"),
	)

	DescribeTable("passes what clients do by mistake or for want of an answer",
		func(ctx SpecContext, workload string) {
			res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: workload, Workload: workload, Nemesis: "partition"})
			Expect(res.Verdict).To(Equal(harness.Valid), spec.Where(res))
		},
		Entry("contexts mixed up", Label("partition", "fault"), limit, "session-mixed"),
		Entry("puts made again", Label("partition", "fault"), limit, "session-repeated"),
	)
})
