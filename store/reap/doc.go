// Package reap collects tombstones. A tombstone may go only when nothing is left anywhere that it has to hold down: no older
// version on an owner, in a hint, in a message on its way, on a disk whose node owns the key no more. No clock decides that.
//
// The first owner of a partition sees to it, in steps that each can be broken off:
//
//  1. Confirm. Every owner has the same record of the key, tombstones only, on disk.
//  2. Sweep. The layout gets a further version with the same owners (see history.Sweep). When it has settled, every member has
//     ended what it began before, and refuses what others began before and is still on its way.
//  3. Ready. Every member says that it has held no hint since, and no record of a partition that is not its own.
//  4. Drop. Every owner deletes the record, if it still is the one that was confirmed.
//
// A member that is out of reach holds all of it up. So does a change of the layout, and what was confirmed before one that moves
// the partition is forgotten. If some owners have dropped a record and others could not, the others give it back, and it is
// collected another time. A key that is written anew is safe, also with a context from before: events are counted per
// node, never per key, so that no event of the new value can be one that an old tombstone has covered.
//
// Garage collects in the same two steps without the sweep, and adds a day of waiting; Riak and Cassandra rely on the waiting alone.
package reap
