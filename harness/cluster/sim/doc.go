// Package sim runs a cluster in one process, in virtual time, so that one seed gives
// one run, always.
//
// The nodes are the store's own, opened with other seams: messages go through package
// wire, files and storage operations through package disk, choices through a hash of
// names, timestamps through a clock that can be skewed. Nothing of the store is
// replaced and nothing in it knows. Waiting is package time's: inside a bubble
// (package bubble) minutes pass in milliseconds and a seed replays to the byte, outside of one
// a [Cluster] works in real time and does not replay.
//
// It offers what a cluster of containers offers (partitions, pauses, logs) and more:
// [Cluster.Kill] with the loss of what was not synced, [Cluster.Restart], disturbed
// links, slow and failing disks, skewed clocks.
//
// Three tiers share all of this. As it is, calls are carried at gRPC's own seams; that is fast. With
// Options.GRPC, gRPC's client and server run as in production over simulated sockets, so that the
// store's transport, gRPC's reconnects, keepalive and flow control are part of the run: two to
// three times the work, and it replays as well. With Wire.Round messages arrive at once, for the race
// detector to see the store's code run in parallel; that does not replay.
//
// What it does not show: races inside one instant (one thing happens at a time), the work
// itself taking time, timers that drift. A paused node is one whose
// messages wait; its own timers go on.
package sim
