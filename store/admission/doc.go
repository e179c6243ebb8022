// Package admission decides how much background work a node may do beside the requests of clients.
//
// Delivery of hints, transfers, anti-entropy, checks of hash trees and the search for tombstones ask a [Gate] for slices before they go on. A [Controller]
// says how many slices there are a second, by feedback: it looks at the 99th percentile of the latencies of foreground
// operations in a trailing window, halves the slices when that exceeds a target or the engine stalls writes, and
// gives a few more back otherwise. There is always a floor, so that repair never stops, and where nothing is in the foreground there
// is no limit. The controller is pure; the gate is safe for concurrent use. Nothing depends on it but
// speed. See section 6.5 of the Dynamo paper (DeCandia et al., SOSP 2007).
package admission
