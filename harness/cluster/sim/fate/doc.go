// Package fate decides what happens to things by their names.
//
// A simulator that draws its delays from one stream of random numbers gives the n-th
// number to whoever asks n-th, and goroutines do not ask in a fixed order. Here a fate is
// a function: [Hash] of the seed and of everything that tells one event from
// another (who, to whom, when, what). Equal names have equal fates, whoever asks first,
// so one seed gives one run under any scheduler.
//
// Delays are taken to the nanosecond ([Between]): two events of a run practically
// never share an instant, so the scheduler has nothing to decide that shows.
package fate
