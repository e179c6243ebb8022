// Package detector says which peers this node believes to be up.
//
// The belief is purely local (paper, section 4.8.3): it comes from the round trips
// that this node made, and no node is told of it. A peer goes down after a few failures in a
// row and comes up again only when a round trip of ours has succeeded: a peer that can reach
// us may be out of our reach. Peers that are down, suspected or idle are probed.
//
// A node that was itself stopped for a while, and so missed every deadline, does not accuse
// others: failures from around such a stall are not counted. (The idea is local health, from
// Dadgar, Phillips and Currey, "Lifeguard: Local Health Awareness for More Accurate Failure
// Detection", 2018.)
//
// A [Detector] is safe for concurrent use. Its decisions are made by a pure state machine
// that is told the time.
package detector
