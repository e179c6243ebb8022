// Package runner plays a workload and a nemesis against a cluster and judges what
// happened.
//
// [Run] is [Play] and then [Conclude]. Play does everything that touches the cluster:
// it starts it, lets clients work while faults strike, heals, waits until the store is
// quiet and reads every replica; all of it goes into the journal at once. Conclude
// judges the journal alone, so [Judge] gives the same verdict for a stored history
// (see [JudgeDir]). A simulation plays inside its bubble and concludes outside, where
// the checkers' budgets are real.
//
// One goroutine owns the generator and the journal of client operations, one goroutine
// serves each client thread, one each fault. All waiting is package time, no lock is
// held while waiting, and no two operations begin at the same instant, so that in a
// bubble of testing/synctest one seed gives one history. Nothing outlives Play but a
// client that does not return from a call: it is waited for up to a limit.
//
// The zero of all times is the beginning of the load.
package runner
