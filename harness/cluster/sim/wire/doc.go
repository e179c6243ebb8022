// Package wire carries messages between simulated processes: unary gRPC calls at gRPC's
// own seams, or bytes over sockets.
//
// Generated clients send through a [Conn] (a grpc.ClientConnInterface), generated
// servers register with a [Proc] (a grpc.ServiceRegistrar), and the [Net] between
// them decides what becomes of every packet. What a process would see of gRPC is kept:
// protobuf bytes, metadata both ways, deadlines on the wire as a remaining time,
// cancellation, status details, the size limit, Unavailable when nobody listens. What is
// not there: streams, interceptors of a connection, HTTP/2 with its flow control, and
// connections that stall as a whole or back off before they connect again.
//
// For those there is a second way through the same Net: [Proc.Connect] and [Proc.ListenSockets]
// give a [Socket], a net.Conn, to gRPC itself. A socket's packets meet the same faults.
//
// A packet's fate depends on its name alone: the seed, the link, the instant, the bytes
// (see package fate). Packets that a fault holds back leave it one by one, each at an
// instant of its own. The faults:
//
//   - a cut link loses what would enter or leave it. As TCP would, the sender tries again
//     after a while and doubles the pause, so a request may arrive after the heal and long
//     after its caller has given up. A caller sees nothing but its deadline.
//   - a frozen process neither sends nor receives; what comes for it waits in its kernel.
//   - a dead process refuses: callers get Unavailable after a round trip, and those that it
//     was serving hear that their connection broke.
//   - a shaped link delays, loses (and so delays), duplicates and reorders.
//
// Time is package time's, so a Net lives in a bubble of testing/synctest, though nothing
// here knows of it. No lock is held while anything waits.
package wire
