// Package generator composes the operations of a workload from small pieces.
//
// A [harness.Generator] is a value: asking it changes nothing, and an answer that is
// not used is simply forgotten. So combinators may ask several children, take the
// soonest answer and drop the rest; a scheduler may drop an answer that lies in the
// future when something else happens first. Everything here keeps two promises that
// make this sound:
//
//   - The generator that Next returns with a Ready draw assumes the operation happens;
//     with a Pending draw it may be kept as well.
//   - Times are decided once, from a seed of their own, never again at each asking,
//     so that being asked often does not make an operation come sooner.
//
// Combinators that watch their own operations know them by process, since a process
// has one operation at a time. A child that is confined to some threads sees only
// those in Free; All is always complete.
//
// The package starts nothing, reads no clock, and draws only from the GenContext's
// random numbers. Package gentest runs generators without any cluster. The algebra
// follows the pure generators of Jepsen (K. Kingsbury).
package generator
