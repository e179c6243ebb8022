// Package clock tells wall time, so that a test can tell another.
//
// Only code whose result depends on the time of day takes a [Clock]: the stamps of
// versions and the age of tombstones. Waiting is package time's work, and causal
// order never comes from a clock. Clocks are safe for concurrent use.
package clock
