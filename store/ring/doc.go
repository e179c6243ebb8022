// Package ring says which nodes hold a key.
//
// Keys hash by MD5 onto a ring that is cut into Q equal partitions, each a virtual
// node (paper, section 6.2, strategy 3). A [Layout] assigns to every partition an
// explicit set of N distinct owners; the preference list of a partition is its
// owners followed by all other nodes in the partition's own order, so that any
// number of unreachable owners can be stood in for (sections 4.3 and 4.6).
//
// A new cluster's layout follows from its member list ([New]). From then on layouts
// change: [Layout.Change] takes the roles that nodes are to have (zone, capacity) and moves as few
// replicas as it can, by a flow of least cost; [Moves] and [Shares] say what a change would
// copy, before anyone commits to it.
//
// A Layout is immutable and safe for concurrent use. It depends on what it was
// computed from only: every node that is given the same computes the same layout.
// Explicit owner sets are used in place of a walk along the ring because every known
// claim bug of ring-ordered stores comes from adjacency.
package ring
