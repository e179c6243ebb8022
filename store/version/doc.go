// Package version keeps the causal history of one key: dotted version vector sets.
//
// A [Set] is a [Vector] (everything this copy has ever heard of) and the versions
// that nothing else in the set supersedes, each named by the [Dot] of the event
// that made it. [Set.Put] adds a version, [Merge] joins two copies. Merge is
// commutative, associative and idempotent, so replicas converge in whatever order
// they exchange states. A dot that a vector does not cover is never dropped: this
// is what keeps acknowledged writes.
//
// Sets and vectors are values: no function changes its arguments, and the byte
// slices inside are shared, never written to. All functions are pure and safe for
// concurrent use.
//
// The paper's vector clocks (section 4.4) name versions by (node, counter) pairs
// that a client's context may repeat, and so lose concurrent writes made through
// one coordinator; dots cure this (Preguiça et al., "Dotted Version Vectors",
// 2010, and Almeida et al., "Scalable and Accurate Causality Tracking", 2014).
package version
