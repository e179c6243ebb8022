// Package bench measures a cluster of three daemons on loopback: how much it serves when each
// client asks again at once (closed loop), how long a request takes at a given rate (open
// loop), and what either costs the servers. Each daemon is a process of its own, so that its
// processor time can be told from that of the load. It runs on Linux, by 'make bench-store'.
package bench
