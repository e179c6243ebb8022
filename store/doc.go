// Package store holds the words that every part of the reference store shares.
//
// Keys, values, causal contexts, siblings, node names and the errors that a
// caller may test for. It decides nothing and imports nothing of ours, so any
// package under store may import it. The nouns are those of the Dynamo paper
// (DeCandia et al., "Dynamo: Amazon's Highly Available Key-value Store",
// SOSP 2007).
package store
