// Package spec is what the workloads' Ginkgo suites share: settings from the
// environment, playing a run as a spec, and telling what came of it.
//
//	CLUSTER  docker or sim; default docker if specs were chosen by label, else specs are skipped
//	SEED     of operations and faults; default Ginkgo's own random seed
//	TIME     of the load; default 30s
//	RESULTS  folder for results; default the repository's
//
// A run prints its seed and plan first, its progress, and its verdict in sentences with
// the path of the report last. Judging the verdict is the suite's.
package spec
