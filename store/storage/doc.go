// Package storage keeps everything durable of a node: its records, the hints it
// holds for others, and its identity.
//
// A [Replica] reads and writes version sets. Every write is on disk before the call
// returns, and no read shows a write that a loss of power could still take back. Writes that
// were asked to be buffered ([Write.Buffered], [Replica.Buffer]) are the exception: they are on disk
// soon after, and any later write that is not buffered takes them along.
// Records are joined ([Replica.Merge]) or extended by one event ([Replica.Put]),
// never replaced. Damaged bytes are an error that wraps store.ErrCorrupt, never "not
// found": a damaged record is in quarantine until other owners have restored it ([Replica.Restore]).
// The first write error of the engine is final, after it only reads are served.
// A Replica is safe for concurrent use; operations on one key happen one at a time,
// those on different keys side by side.
//
// Beside each of the node's own records, in the same batch, is its leaf in the hash tree of the
// partition ([Replica.TreeRoots]; package merkle); [Replica.CheckTrees] compares all trees with the
// records. Hints have limits on their size; one that exceeds them is refused.
//
// The engine is Pebble, twice: data, and hints in a database of their own (paper,
// section 4.6), whose deletions do not weigh on the data. Both are reached through
// [KV], which is all the disk there is: a simulator wraps it to add delay and faults.
package storage
