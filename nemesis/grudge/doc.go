// Package grudge turns a set of nodes into the links to cut.
//
// A [Cut] is a shape of network partition with the nodes already chosen: which links
// lose their packets, and which nodes are the named side. All randomness comes from
// the caller; links and sides are sorted, so equal draws give equal cuts. The shapes
// follow Jepsen's grudges; one-way cuts are ours.
package grudge
