// Package counter counts up and down and asks whether the sum is right.
//
// A store of siblings has no counters, so the application keeps one, as section 4.4 of
// the Dynamo paper leaves merging to it: a value holds the sums of every session, each
// session adds to its own, and siblings are merged by taking the greater sum of each
// (the PN-counter of Shapiro and others, 2011). Each client reads a counter, merges what
// it is shown, counts up or down by one and writes the result with the read's context.
// When the read failed it counts all the same, blindly. A session remembers its own sum:
// an old read must not make it count from there again.
//
// Quorums are sloppy, so that counting goes on under partitions. An acknowledged
// increment is counted in the end, an increment that was never attempted is not, and
// one of unknown outcome may be. It ends its session, since nobody knows its sum any more.
package counter
