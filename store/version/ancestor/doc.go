// Package ancestor has the clocks that came before dots, and an experiment that says what each costs: the paper's vector clock taken at
// its word, the same with counters that always rise, one vector for all siblings of a key (as Riak had before its version 2), and
// clocks that are truncated (section 4.4 of the paper). Nothing of the store uses them; the experiment plays them beside package version.
//
// [Play] lets clients add items to one cart without any fault. Every add is acknowledged, none removes anything, so whatever is
// missing in the end was lost by the clocks alone, and siblings of which one has superseded the other are the clocks' mistake as
// well. Everything follows from the options and the random numbers that the caller brings.
package ancestor
