package wire

import (
	"google.golang.org/grpc/status"

	"cartwheel/harness"
)

// A Message is what a packet carries. It is told apart from the [Packet], which says
// what became of it, because a message may travel more than once.
type Message struct {
	Link   harness.Link
	Kind   Kind
	Method string         // full gRPC method name
	Call   uint64         // as in Packet
	Body   []byte         // protobuf bytes; not to be changed
	Status *status.Status // of a reply or a reset; nil if all is well
}

// say tells of a message before it leaves.
func (n *Net) say(k *call, l harness.Link, kind Kind, body []byte, s *status.Status) {
	if n.opts.Message != nil {
		n.opts.Message(Message{Link: l, Kind: kind, Method: k.method, Call: k.name, Body: body, Status: s})
	}
}
