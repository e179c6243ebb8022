// Package repair compares what the owners of a partition hold and mends what differs
// (anti-entropy; paper, section 4.7).
//
// In each round an [AntiEntropy] compares with one peer the hash trees of all partitions that both own
// (package merkle). If all is equal, that is one call with one hash. Otherwise it goes down the trees that
// differ, to the keys. Each is fetched, joined into this node's record, and the joined state is sent
// back, so that both hold the same. States are only ever merged. Peers take turns, in an order
// drawn anew for each cycle; those believed down are passed over. From time to time the node
// compares its own trees with its records, which finds bytes that went bad on disk.
//
// A round mends so many keys at most. One that ends early, for that or because a call failed, is
// continued where it ended by the next with the same peer: a key that cannot be sent in time costs
// one round, and the keys behind it do not wait.
//
// A round that found all equal is remembered with the moment at which it began: what
// either node had stored by then, both now hold. An AntiEntropy is safe for
// concurrent use.
package repair
