// Package trial plays the cases of a search for a smaller run on the simulated cluster,
// where one case gives one history, and judges whether they show an anomaly.
//
// An anomaly is the same if the same checker reports the same kind: keys and operations
// change while a run is made smaller. A case that runs for too long in real time does not show it, nor one
// that cannot be played to its end. One that no longer ends at all is an error, since a simulation
// cannot be stopped from outside; its goroutines are then left behind.
package trial
