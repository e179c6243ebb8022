// Package merkle keeps a hash tree over the keys of one partition, so that two owners find
// out what differs between them by comparing few hashes (paper, section 4.7).
//
// A key belongs to one of 4096 segments, by its hash. A [Leaf] is a key with the hash of its
// state. The sum of a segment is the XOR of its leaves, so that a leaf is replaced without
// looking at the others. 64 segments make a group, 64 groups a tree; the sums of groups and of the root
// are hashes of what is below them. What holds no key has the zero sum, whatever it held before.
//
// Comparing goes down: roots, the 64 groups of those that differ, the 64 segments of these, and at
// last the leaves ([Differ], [DifferLeaves]). Sums of another [Format] must never be
// compared: neither equal nor unequal would mean anything.
//
// A [Tree] costs 1 KiB for each group that holds a key, and 8 KiB. It is not safe for concurrent
// use. All functions are pure.
package merkle
