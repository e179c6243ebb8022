// Package docker runs the nodes of a store as pods on a Docker Engine.
//
// A pod is two containers. The host container owns the network namespace: it has a
// fixed address, the published port and the packet filter rules, and it idles for as
// long as the cluster lives. The store container joins that namespace with nothing but
// the store in it, as an ordinary user on a read-only root. So addresses and rules
// survive whatever happens to the store, also its end and its next life, and any image can
// be tested unmodified. A pod whose packets are shaped gets a third container; see package
// shaper. One whose packets are recorded has a container for that, too. One whose disk is bad gets a tracer, which fails the store's system calls.
//
// Everything goes through the Engine API and ports published on the loopback address:
// nothing on the machine itself is touched, and an engine in a virtual machine serves
// as well. Cuts are rules in a chain of our own, rewritten as a whole by one atomic
// iptables-restore a node. The pods' network is IPv4; IPv6 between them is refused from
// the start, so that no cut can be walked around.
//
// Every object carries labels that name its run, and each run holds a locked file that
// the kernel releases when its process dies, however it dies: so [Clean] can tell what
// a killed run has left from what a live one uses.
//
// A [Cluster] is safe for concurrent use. It is the only package that knows an engine.
package docker
