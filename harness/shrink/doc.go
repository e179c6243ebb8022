// Package shrink finds the smallest run that still shows an anomaly.
//
// A [Case] is a run as data: its seed, its nodes and clients, the faults and what each
// client did when. [Shrink] takes parts of it away for as long as a [Judge] still says
// that the anomaly shows: whole keys, faults, clients and nodes first, since that
// takes away most for one try, then halves, quarters and at last single steps, which is
// delta debugging (Zeller and Hildebrandt, IEEE TSE 2002) without its search among
// subsets. Then it gives the steps of two clients to one, closes gaps in time and
// rounds times. It goes round until a whole round changes nothing.
//
// The search starts no goroutines, reads no clock and draws no random numbers: the same
// judge leads it to the same case. The context is its budget. A judge need not be
// monotone: taking a step away moves all that follows in a distributed system, and
// the result is then small and not the smallest.
package shrink
