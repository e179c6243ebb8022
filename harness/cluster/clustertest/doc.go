// Package clustertest holds what every cluster backend must pass, whatever world it
// makes: the contracts of [harness.Cluster], [harness.Partitioner], [harness.Pauser],
// [harness.Killer], [harness.Shaper], [harness.ClockSkewer], [harness.DiskFaulter],
// [harness.Resizer] and [harness.LogFetcher] as tests.
//
// The suite does not know the store. It asks of the nodes only that each keeps talking
// to every other by itself, at least once a second, so that a cut has something to
// discard. It waits on conditions and has no deadline shorter than [Patience], so it
// runs as well on a loaded machine as in virtual time.
package clustertest
