// Package nemesis injects faults and proves that they bit.
//
// Each [harness.Nemesis] acts only through capabilities of the cluster: partitions
// through [harness.Partitioner], pauses through [harness.Pauser], kills through
// [harness.Killer], bad links through [harness.Shaper], wrong clocks through
// [harness.ClockSkewer], bad disks through [harness.DiskFaulter], changes of members
// through [harness.Resizer] and the target's [harness.MemberChanger]. A fault that was
// merely ordered counts for nothing. Every one is observed before it (the negative
// control: what it will break works now), while it is in force, just before its heal
// (it held), and after; the observations are its [harness.Evidence], and whatever was
// not as it had to be is a problem there, which makes the run unknown.
//
// Faults may overlap in time. What another fault of the same nemesis breaks at the
// moment is expected to be broken. Nemeses of nodes that are composed know of each other's
// faults too: a pause leaves out dead nodes and counts as kept until a kill ended it, and
// its evidence says so. One value serves one run; when faults strike and
// whom is decided by package schedule, the shapes of partitions by package grudge.
package nemesis
