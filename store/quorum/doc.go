// Package quorum decides when a coordinator has heard enough.
//
// A [Tracker] is a pure state machine: the names of nodes that acknowledged or
// failed go in, a [Verdict] comes out. It counts distinct nodes, so that an answer
// that arrives twice, or a node that stands for two replicas, is one. It starts no
// goroutines, reads no clock and draws no random numbers. It is not safe for
// concurrent use: a request owns its tracker.
//
// R, W and N are those of section 4.5 of the Dynamo paper; strict and sloppy
// counting those of section 4.6.
package quorum
