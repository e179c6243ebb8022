package cart_test

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

func TestCart(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "cart")
}

// The tree is built before flags are parsed, so it can know the time limit only.
var limit = SpecTimeout(spec.Limit(os.LookupEnv))

var _ = ReportAfterSuite("runs", spec.Tell)

// The self-test of the checkers: where the last write wins, adds are lost, with faults and
// without. Replicas agree all the same, and nothing else is wrong.
var _ = It("finds that carts lose adds where the last write wins", Label("partition", "fault"), limit, func(ctx SpecContext) {
	res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: "cart-lww", Workload: "cart-lww", Nemesis: "partition"})
	Expect(res.Verdict).To(Equal(harness.Invalid), spec.Where(res))
	for _, f := range res.Findings {
		switch f.Checker {
		case "lost-writes":
			Expect(f.Counts).To(HaveKeyWithValue(checker.LostWrite, BeNumerically(">", 0)), spec.Where(res))
		case "elements":
			Expect(f.Verdict).To(Equal(harness.Invalid), spec.Where(res))
		default:
			Expect(f.Verdict).To(Equal(harness.Valid), "%s: %s\n%s", f.Checker, f.Summary, spec.Where(res))
		}
	}
})

var _ = DescribeTable("an acknowledged add is never lost, and all replicas agree in the end",
	func(ctx SpecContext, nemesis string) {
		res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: spec.Suite("cart", nemesis), Workload: "cart", Nemesis: nemesis})
		Expect(res.Verdict).To(Equal(harness.Valid), spec.Where(res))
	},
	Entry("while the network is cut apart", Label("partition", "fault"), limit, "partition"),
	Entry("while nodes are frozen", Label("pause", "fault"), limit, "pause"),
	Entry("while nodes die and begin again", Label("kill", "fault"), limit, "kill"),
	Entry("while links lose, delay and reorder packets", Label("packet", "fault"), limit, "packet"),
	Entry("while clocks are wrong", Label("clock", "fault"), limit, "clock"),
	Entry("while disks are slow, full or failing", Label("disk", "fault"), limit, "disk"),
	Entry("while machines are added, taken away and replaced", Label("membership", "fault"), limit, "membership"),
	Entry("while that happens and the network is cut apart", Label("membership", "fault"), limit, "membership,partition"),
	Entry("while all of that happens at once", Label("chaos", "fault"), limit, "all"),
)

// What takes long: two minutes and a half in containers.
var _ = It("that holds while five nodes become seven, then four, one of which is wiped and replaced, and the network is cut apart",
	Label("soak", "fault"), limit, func(ctx SpecContext) {
		nemesis := "membership=tour,partition"
		res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: spec.Suite("cart", nemesis), Workload: "cart", Nemesis: nemesis, Time: 150 * time.Second})
		Expect(res.Verdict).To(Equal(harness.Valid), spec.Where(res))
	},
)
