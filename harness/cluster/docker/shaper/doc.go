// Package shaper makes a pod's incoming links bad in user space: it delays, reorders,
// duplicates and corrupts packets and limits their rate, where the kernel has no netem.
//
// It runs in a container of its own that joins the pod's network namespace. A rule of the
// pod's packet filter hands the packets of shaped peers to a queue (NFQUEUE); [Serve] takes
// them from there, decides what happens to each, and gives them back in time. So it sees
// packets, not byte streams, and every protocol between nodes, in both directions of a
// connection by itself; a proxy would not. Should it die, the rule lets packets pass and
// [Ask] fails. Which packets are lost is not its business: the packet filter can do that alone.
//
// A packet that is held stays in the kernel, which keeps 8,192 of them and discards more.
package shaper
