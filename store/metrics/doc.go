// Package metrics shows a node's counts, gauges and latencies to Prometheus.
//
// What the node counts itself is read when a scraper asks, from the same status that
// 'cartwheelctl status' shows, so both agree. Latencies of requests are measured around the
// gRPC handlers by the middleware's own histograms. It is safe for concurrent use and
// changes nothing.
package metrics
