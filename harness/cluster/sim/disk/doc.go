// Package disk is what a simulated node remembers of its life when it is killed.
//
// A [Disk] is one machine's, in memory. Each life of the node mounts it ([Disk.Mount])
// and gets a file system for its engine, and a wrapper of storage.KV that makes
// operations take virtual time and fail on purpose. [Disk.Crash] is a loss of power: what
// was not synced is gone, for ever, and every call of the old life fails.
//
// Delay and faults are put above the engine, outside its locks: an engine that slept
// under a mutex would hold the clock of its bubble still. Both are functions of the seed,
// the node, the operation, its bytes and the instant (see package fate). Unsynced data
// are lost whole, since a choice among them would depend on the order of a map.
package disk
