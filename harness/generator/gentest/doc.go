// Package gentest runs a generator without a cluster, a client or a clock.
//
// [Simulate] does what the runner does, on a pretended time line: it asks for
// operations, hands them to an executor that says how each ends and how long it takes,
// and tells the generator. The result is the history that a run would have journaled,
// the same for the same seed, so a workload's generator can be tested in microseconds.
package gentest
