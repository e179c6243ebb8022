// Package paper repeats experiments of the Dynamo paper (DeCandia et al., SOSP 2007) at a small scale, and puts what comes out beside what was
// published.
//
// A [Figure] is one experiment. Clocks and rings are computed (packages ancestor and strategy); what needs a cluster is played on the
// simulated one, in virtual time. So a seed gives the same numbers on every machine, and none of them depends on how fast it is. What does depend on
// that, latency with and without the object buffer and under background work, is for "make bench-buffer" and "make bench-admission".
package paper
