// Package register asks whether the store can be used as a linearizable register.
//
// Dynamo promises no such thing in general, but it follows where four conditions meet:
// R + W > N with strict quorums, so that every read meets the last write (section 4.5 of
// the paper); reads that write back before they answer, so that a later read cannot see
// less; one writer a key, who continues its own last version, so that versions never
// branch; and a key left alone after a put of unknown outcome, since the next put could
// not supersede a version that its writer has not seen. The workload keeps to all four,
// and Porcupine judges each key.
//
// One is the same with R = 1 and W = N: a single owner that lacks something shows, so it is the one to
// play while members change and data moves.
//
// Weak is the same with R = W = 1 and no repair. It must be found not linearizable: a
// checker that has never failed proves nothing.
package register
