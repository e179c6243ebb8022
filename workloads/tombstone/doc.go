// Package tombstone holds the suite in which whole carts are deleted and written anew while tombstones are collected. The
// workload is package cart's; the suite has a folder of its own, so that it plays beside the long ones of the other carts.
package tombstone
