// Package fake is a cluster in memory, for tests of what acts upon clusters.
//
// It keeps the whole contract of [harness.Cluster] and of its capabilities, but runs
// nothing: a test that wants traffic asks [Cluster.Send] whether a packet arrives. A
// [Store] on it is a target whose members change. Its [Defects] are the ways in
// which a real backend can fail to do what it says; whoever relies on a backend must
// notice each of them. A Cluster may be used in a bubble of testing/synctest, and takes
// no time.
package fake
