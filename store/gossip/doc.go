// Package gossip brings what one node knows of the cluster's layouts to all others.
//
// Once a second each node compares with one other, chosen at random (paper, section 4.8.2). Digests go first, so
// that two who know the same say so in few bytes; otherwise both send their history, and both have the join of the two
// ([history.Merge]) on disk before they tell anybody of it. What is new is pushed to a few nodes at once. Members are asked
// whether or not they are believed to be up, and never forgotten: after a heal nobody has to do anything. A node without a history
// asks its seeds, and waits to be given a role; nodes with seeds ask them now and then, too, so that parts of one
// cluster that lost sight of each other meet (section 4.8.3).
//
// A node that was removed is still told, so that it learns of it, but not believed. Histories of two clusters are never
// joined: that is an operator's mistake, logged as an error and shown by [Gossip.Forked].
//
// The form is the paper's; it goes over the connections that carry everything else, so that it is cut and delayed
// with them. For hundreds of nodes SWIM would be the choice: each change here costs messages to all.
package gossip
