// Package strategy computes who would own what under the three ways of partitioning that the Dynamo paper compares in section 6.2,
// and under that of package ring, so that figure 8 can be drawn again. Nothing of the store uses it.
//
// A [Placement] is a ring cut into ranges, each with its owners. It knows how evenly it loads the nodes, how many bytes every
// node must keep of it, and what the step from one to another moves. Everything follows from the numbers that are given and from the
// random numbers that the caller brings.
package strategy
