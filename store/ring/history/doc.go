// Package history decides how a cluster passes from one layout to the next without losing a
// write or showing an old one: the protocol of membership change as values and functions.
//
// A [History] is what a node knows of the cluster's layouts: those that are live, oldest
// first, and who has come how far with each. A settled cluster has one live version. A
// change appends one, and while there are several
//
//   - every write goes to the owners of all live versions, and needs its quorum in each;
//   - every read goes to the owners of one: the newest whose owners have all the data.
//
// Each node notes its progress, and all notes of all nodes are to reach all others:
//
//	ack      it knows the version, and every write that it began without it has ended
//	sync     it has what its partitions of that version held before
//	sync-ack it knows that all have synced, and every read of an older version has ended
//
// Copying begins when all have acked: from then on the new owners miss nothing. Reads move
// when all have synced. When all have sync-acked nobody reads the older versions, and they
// are dropped: only then may a node delete what it no longer owns. Nothing is decided by
// time. A node that is out of reach holds a change up until it is back, or until an operator
// removes it by force.
//
// Changes are proposed against a version number (compare and set), on a member, one at a
// time. Two members that did not hear of each other may still append different versions of
// one number. Then all nodes take the one with the larger id, or the one that is no sweep. That is safe because no other
// can have been acked by all: the member that proposed the larger one acks nothing less. A
// pending change is aborted by a further version with the old owners, never by forgetting it.
//
// Histories form a join-semilattice under [Merge]. A History is immutable and safe for
// concurrent use. The protocol follows Garage (layout versions with three trackers) and
// Scylla (write both, read old; write both, read new); the paper leaves it open (section 4.8,
// and the confirmation round of 4.9).
package history
