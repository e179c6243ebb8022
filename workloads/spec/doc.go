// Package spec is what the workloads' Ginkgo suites share: settings from the
// environment, playing a run as a spec, and telling what came of it.
//
//	CLUSTER  docker or sim; default docker if specs were chosen by label, else sim;
//	         where no engine answers, that default plays in simulation and says so loudly
//	SEED     of operations and faults; default 1 if nothing was chosen, else Ginkgo's own
//	TIME     of the load; default 10s if nothing was chosen, else 30s
//	RESULTS  folder for results; default the repository's
//
// So a plain "go test" plays all specs in simulation, in virtual time, the same way
// every time; it writes no results, because its verdict can be had again by the command
// that it prints. "make test-partition" plays those with that label in containers.
//
// A run prints its seed and plan first, its progress, and its verdict in sentences with
// the path of the report last. Judging the verdict is the suite's.
package spec
