// Package repair compares what the owners of a partition hold and mends what differs
// (anti-entropy; paper, section 4.7).
//
// In each round an [AntiEntropy] walks with one peer through all keys that both own, in
// pages of checksums, in the order of partition and key on both sides. A key whose
// sums differ is fetched, joined into this node's record, and the joined state is sent back, so
// that both hold the same. States are only ever merged. Peers take turns, in an order
// drawn anew for each cycle; those believed down are passed over.
//
// The comparison is a full scan: its cost grows with the keys held, not with those that
// differ. A Merkle exchange, as in the paper, replaces it later.
//
// A round that found no difference is remembered with the moment at which it began: what
// either node had stored by then, both now hold. An AntiEntropy is safe for
// concurrent use.
package repair
