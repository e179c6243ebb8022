// Package trunk carries unary calls between two nodes on one stream of gRPC, so that calls
// which begin or end at about the same time share messages, system calls and wake-ups. An
// ordinary call costs both of its ends more than what a replica does for it.
//
// A [Line] is the caller's side, a [grpc.ClientConnInterface] around a connection. It puts
// its calls into a batch; the batch leaves as soon as the last one has, with whatever has
// gathered by then, and answers come back likewise. An [Exchange] is the server's side, which
// hands each call to the handler that was registered for it, through the same interceptors
// as an ordinary call and with its deadline, cancellation, headers, peer and details of errors.
//
// Nothing depends on a line being there. A call goes as an ordinary one while there is no stream
// (an older node has none), if it is large, or if too many are out already; so does a call that
// was not sent before its stream broke. A call that was sent fails as UNAVAILABLE then, as with any
// broken connection: whether it took effect nobody knows. All types are safe for concurrent use.
package trunk
