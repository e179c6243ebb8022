// Package seeds runs many seeds of a simulation in worker processes and watches them.
//
// A seed needs a process that may be lost: a panic in any goroutine of the store ends
// it, and a goroutine that waits for a mutex stops virtual time for ever. So the parent ([Run])
// hands seeds to workers ([Work]), which say which one they begin before they do. A
// worker that dies or does not finish in real time is an outcome of that seed, with what
// it wrote to its standard error: its panic, or the stacks of all its goroutines. Another takes its place.
//
// Some seeds run twice, under another GOMAXPROCS, and must give the same sum: that guards
// the promise that a seed repeats.
//
// The package knows nothing of what a seed does. The two sides talk in lines of JSON
// over standard input and output.
package seeds
