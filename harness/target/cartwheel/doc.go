// Package cartwheel is the harness's adapter of this repository's own store.
//
// It turns the store's client library into a [harness.Target]: gets, puts and deletes
// with all their consistency knobs, one node's own copy of a key with a digest of its
// canonical bytes, and whether the cluster is quiet. A call is one attempt. Errors
// pass through as the client library made them, so that a write counts as not done
// only if the store swore to it.
//
// Nodes are reached at the address that the cluster gives, or through the cluster's own
// connections if it has any (see [Connector]), as a simulated one does. Every client
// has a connection of its own, as separate processes would.
package cartwheel
