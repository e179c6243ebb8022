// Package membership takes a node through changes of its cluster's layout: it keeps what the node knows,
// and does what package history says is next.
//
// The [Keeper] is the only one who changes a node's history. It writes the new one to disk first: what a
// node has noted there others build on, so nobody may hear of a note that a crash could take back. The [Driver]
// watches the history and does the node's steps of a change in their order: it lets writes end and acks, has the data
// copied and syncs, lets reads end and sync-acks. Nothing happens because time has passed; a step that fails is tried again.
//
// A [Planner] holds an operator's wishes until they are committed as one change: to add and remove members is an
// explicit act, apart from nodes being up or down (paper, section 4.8.1).
//
// All of it is safe for concurrent use.
package membership
