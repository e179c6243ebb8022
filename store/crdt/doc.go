// Package crdt holds values that resolve their own conflicts.
//
// The store shows concurrent writes as siblings and leaves it to the application to make
// one value of them (Dynamo paper, section 4.4). For four common cases the merge is here: a
// [Set] in which an add beats a concurrent removal, a shopping [Cart] of quantities, a
// [Counter] that loses and doubles nothing, and a [Register] in which the last write wins.
//
// Each is a state-based replicated data type (Shapiro et al., "A Comprehensive Study of
// Convergent and Commutative Replicated Data Types", 2011): merging is commutative,
// associative and idempotent, so the order in which siblings are met does not matter and a
// put that arrives twice counts once. All are version sets (package version) with an element,
// a part of the sum or a stamped value where the store has a version; an [Author] is their actor.
//
// Values are never changed in place. All functions are pure and safe for concurrent use.
package crdt
