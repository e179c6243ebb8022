package sim

import (
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/wire"
)

// calls watches the calls of real gRPC, whose segments say nothing to a reader: what is
// seen where a call leaves, is served and returns becomes the packets of a trace. A nil one watches nothing.
type calls struct {
	trace *recorder

	mu   sync.Mutex          // held for moments only
	open map[uint64]*watched // by the call's name
}

// A watched call is under way.
type watched struct {
	link              harness.Link
	method            string
	size              int
	sent, got, served time.Duration // as in wire.Packet; 0: not yet
	replySizeBytes    int
	status            *status.Status // of what was served
}

// left notes a request. It is called by the goroutine that makes the call, whose stack tells what for.
func (c *calls) left(name uint64, l harness.Link, method string, body []byte) {
	if c == nil {
		return
	}
	c.trace.message(wire.Message{Link: l, Kind: wire.Request, Method: method, Call: name, Body: body})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[name] = &watched{link: l, method: method, size: len(body), sent: c.trace.now()}
}

// got notes that a server has the request.
func (c *calls) got(name uint64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.open[name]; w != nil && w.got == 0 {
		w.got = c.trace.now()
	}
}

// served notes what the server's handler returned. A caller that has given up hears nothing of it.
func (c *calls) served(name uint64, reply any, err error) {
	if c == nil {
		return
	}
	c.mu.Lock()
	w := c.open[name]
	c.mu.Unlock()
	if w == nil {
		return
	}
	m := wire.Message{Kind: wire.Reply, Method: w.method, Call: name, Status: status.Convert(err)}
	if p, ok := reply.(proto.Message); ok && err == nil {
		m.Body, _ = proto.MarshalOptions{Deterministic: true}.Marshal(p) // else gRPC complains of it
	}
	c.trace.message(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	w.served, w.replySizeBytes, w.status = c.trace.now(), len(m.Body), m.Status
}

// returned notes the end of a call, which tells what became of its messages.
func (c *calls) returned(name uint64, err error) {
	if c == nil {
		return
	}
	c.mu.Lock()
	w, now := c.open[name], c.trace.now()
	delete(c.open, name)
	c.mu.Unlock()
	if w == nil { // two equal calls at one instant share a name: the other has told
		return
	}
	request := wire.Packet{Link: w.link, Kind: wire.Request, Method: w.method, Call: name, SizeBytes: w.size, Sent: w.sent, Ended: w.got}
	if w.got == 0 { // gRPC tells of one loss by different codes, as its goroutines happen to run
		request.Ended, request.Fate = now, wire.Lost
	}
	c.trace.packet(request)
	if w.served == 0 {
		return
	}
	reply := wire.Packet{
		Link: harness.Link{From: w.link.To, To: w.link.From}, Kind: wire.Reply, Method: w.method, Call: name,
		SizeBytes: w.replySizeBytes, Sent: w.served, Ended: now,
	}
	if status.Code(err) != w.status.Code() { // the caller did not wait for it, or it did not come
		reply.Fate = wire.Lost
	}
	c.trace.packet(reply)
}
