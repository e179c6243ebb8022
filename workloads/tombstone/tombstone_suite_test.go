package tombstone_test

import (
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"cartwheel/harness"
	"cartwheel/harness/suite"
	"cartwheel/workloads/spec"
)

func TestTombstone(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "tombstone")
}

// The tree is built before flags are parsed, so it can know the time limit only.
var limit = SpecTimeout(spec.Limit(os.LookupEnv))

var _ = ReportAfterSuite("runs", spec.Tell)

// Tombstones are collected meanwhile: to see one go, and its key come again, takes a while.
var _ = DescribeTable("what was deleted stays so, and what is written anew stays, while tombstones are collected",
	func(ctx SpecContext, nemesis string) {
		res := spec.Play(ctx, os.LookupEnv, suite.Knobs{Suite: spec.Suite("cart-deleted", nemesis), Workload: "cart-deleted", Nemesis: nemesis, Time: 60 * time.Second})
		Expect(res.Verdict).To(Equal(harness.Valid), spec.Where(res))
	},
	Entry("while the network is cut apart", Label("soak", "fault"), limit, "partition"),
	Entry("while machines are added, taken away and replaced", Label("soak", "fault"), limit, "membership"),
)
