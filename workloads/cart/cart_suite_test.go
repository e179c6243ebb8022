package cart_test

import (
	"os"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"cartwheel/harness"
	"cartwheel/harness/suite"
	"cartwheel/workloads/spec"
)

func TestCart(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "cart")
}

// The tree is built before flags are parsed, so it can know the time limit only.
var limit = SpecTimeout(spec.Limit(os.LookupEnv))

var _ = ReportAfterSuite("runs", spec.Tell)

var _ = DescribeTable("an acknowledged add is never lost, and all replicas agree in the end",
	func(ctx SpecContext, nemesis string) {
		res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: spec.Suite("cart", nemesis), Workload: "cart", Nemesis: nemesis})
		Expect(res.Verdict).To(Equal(harness.Valid), spec.Where(res))
	},
	Entry("while the network is cut apart", Label("partition", "fault"), limit, "partition"),
	Entry("while nodes are frozen", Label("pause", "fault"), limit, "pause"),
	Entry("while nodes die and begin again", Label("kill", "fault"), limit, "kill"),
	Entry("while all of that happens at once", Label("chaos", "fault"), limit, "partition,pause,kill"),
)
