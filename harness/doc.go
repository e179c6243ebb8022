// Package harness holds the words that every part of the test harness shares.
//
// An [Op] is a line of a run's history. A [Client] talks to one node of a
// [Target], the store under test, which runs on a [Cluster]. A [Workload] says
// which operations to do, a [Nemesis] which faults to inject, a [Checker] judges
// the history, and a [Verdict] sums it up. What a cluster or target can do beyond
// the basics are small interfaces of their own, found by type assertion, so that
// another backend or store brings only what it has.
//
// The package decides nothing and imports nothing of ours. Interfaces say in
// prose who may call them and when; everything else is plain data.
package harness
