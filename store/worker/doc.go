// Package worker runs functions on goroutines that stay for the next one.
//
// A new goroutine begins with a small stack, and has it copied several times until it holds what a
// read of the disk or a call to another node needs; one that stays has paid for it. A [Pool] never makes
// a function wait: it starts a goroutine where none is idle, so whoever uses one bounds how much goes on.
package worker
