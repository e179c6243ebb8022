// Package bubble opens a bubble of testing/synctest in an ordinary program.
//
// In a bubble package time is virtual: the clock stands still while anyone runs and
// jumps to the next timer when everyone waits. Waiting on channels of the bubble, on
// timers, on a sync.Cond or a sync.WaitGroup counts; waiting for a mutex, the network or
// a system call does not and holds the clock.
//
// synctest promises to work under go test only. That it works in a program too, for as
// long as nothing is reported through the testing.T, is an observation that this
// package's test keeps alive, and nothing else of ours leans on it.
package bubble
