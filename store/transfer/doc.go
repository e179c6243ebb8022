// Package transfer moves the data when the layout of the cluster changes.
//
// A node that is to own a partition copies it from *all* who owned it before ([Transfers.Sync]): any one of them may have
// missed a write. It goes down the hash trees (package merkle), asks for the keys that differ, a page at a time, and merges
// them into what it has, since writes arrive meanwhile. Then it compares again, until nothing is left to bring. The
// trees are the bookmark: after a restart only what is still missing is asked for.
//
// A node that is to own a partition no more compares with all who do, hands over what they lack ([Transfers.HandOver]), and
// keeps its records until the change has settled. Then it compares once more and drops those that all owners have, and no
// others: a record that was written to meanwhile stays for the next round. A node that was removed hands on the hints that it still holds.
//
// Partitions go one at a time and bytes at a limited rate, so that requests are served beside them.
// Transfers are the paper's (sections 4.9 and 6.2); the order of the steps is package history's.
package transfer
