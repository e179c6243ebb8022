// Package core finds the few operations of a history that an anomaly needs: a history so
// small that it can be read, in which the same checker, knowing nothing of the rest, finds the
// same anomaly.
//
// What a checker shows as its proof is tried first, then all operations of the key, then all of all
// keys. From that, operations are taken away, halves first and single ones last, for as long as
// the anomaly shows: delta debugging (Zeller and Hildebrandt, IEEE TSE 2002) without its
// search among subsets. An operation that stays keeps what explains it: a read, the writes
// that it shows; a write, the operation that its context came from. Without them much would
// be strange that was not.
//
// It is pure but for the checker: no clock, no goroutines. The context is its budget.
package core
