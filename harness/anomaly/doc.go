// Package anomaly repeats the published anomalies of Dynamo-like stores.
//
// A [Scenario] is an experiment whose outcome is known: last-write-wins that loses what it
// acknowledged, siblings that lose nothing, clocks that make siblings without end. Some
// must go wrong and some must go right, and both are asserted: as a band that a figure has
// to lie in, since the published figure itself depends on the machine of its day. What
// goes wrong only in a store with a known bug names the planted bug.
//
// The package holds the scenarios and judges results; who runs them is the command line.
package anomaly
