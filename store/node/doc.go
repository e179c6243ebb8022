// Package node wires the parts of the store into one node; it is the only package that may.
//
// All that a node needs from outside comes in through [Config]: connections to its peers, a
// registrar for its services, a file system, wall time, monotonic time and random draws. So the
// same node runs as a process on a real network and, many at a time, on virtual time
// inside one test.
//
// [Open] starts it, [Node.Register] adds its services to a gRPC server, [Node.Close]
// ends it: it refuses new calls, gives up those in flight, parks as hints what could not
// be delivered any more, joins every goroutine and closes the disk last.
package node
