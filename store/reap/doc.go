// Package reap collects tombstones and the entries of retired actors. A tombstone may go only when nothing is left anywhere that it has to
// hold down: no older version on an owner, in a hint, in a message on its way, on a disk whose node owns the key no more. The same is so
// of an entry in the vector of a key that lives, which holds down what its actor has ever written of the key. No clock decides that.
//
// The first owner of a partition sees to it, in steps that each can be broken off:
//
//  1. Confirm. Every owner has the same record of the key, tombstones only, on disk. Or: every owner has the entry with that counter in its
//     vector, on disk, no version of its actor, and is not itself the actor, about to go on.
//  2. Sweep. The layout gets a further version with the same owners (see history.Sweep). When it has settled, every member has
//     ended what it began before, and refuses what others began before and is still on its way.
//  3. Ready. Every member says that it has held no hint since, and no record of a partition that is not its own.
//  4. Sweep once more. Who has been given a disk of the past is found out by the notes of sweeps that are not on it (see
//     history.Outdated), and an image of a disk that has the note of the first may be from before its node was ready. Who has noted the second was.
//  5. Drop. Every owner deletes the record, if it still is the one that was confirmed, or prunes the entry, if it still is in the vector.
//
// A member that is out of reach holds all of it up. So does a change of the layout, and what was confirmed before one that moves
// the partition is forgotten. If some owners have dropped a record or pruned an entry and others could not, the others give it back, and it is
// collected another time. A key that is written anew is safe, also with a context from before: events are counted per
// node, never per key, so that no event of the new value can be one that an old tombstone has covered.
//
// An actor is retired once its node was removed, or has begun another for the key (see storage.Retired). To prune the entry of one that is not
// would do no harm but for a false alarm of amnesia: its next event brings it back. What clients hold does no harm either: a context that names
// a pruned entry claims what is so, and a floor that does is met, since owners keep aside what they have pruned.
//
// Garage collects in the same two steps without the sweeps, and adds a day of waiting; Riak and Cassandra rely on the waiting alone.
package reap
