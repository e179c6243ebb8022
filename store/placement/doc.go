// Package placement holds what a node knows of its cluster's layouts while they change under
// running requests.
//
// Every request takes one [history.History] when it begins and keeps it to its end. A [Placement] hands
// it out and counts who is still at work with which, because a change of the layout must wait, at
// two places of its protocol, until no request is left that began without it (see package history: ack
// and sync-ack). It decides nothing: package history does.
package placement
