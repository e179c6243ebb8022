package wire

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
)

// A Proc is one incarnation of a process: a server, and the origin of its own calls.
// It is a grpc.ServiceRegistrar until it listens. It is safe for concurrent use.
type Proc struct {
	net     *Net
	id      harness.NodeID
	methods map[string]method // full name; fixed once it listens

	ctx  context.Context // of every handler
	stop context.CancelFunc
	work sync.WaitGroup // handlers at work

	mu      sync.Mutex // held for moments only
	over    bool       // closed or killed
	calling map[*call]struct{}
	serving map[*call]int        // handlers at work for the call: two for a duplicate
	sockets map[*Socket]struct{} // open ones
	backlog chan *Socket         // connections that wait for Accept; nil: it does not listen for any
}

type method struct {
	impl    any
	handler grpc.MethodHandler
}

// Start makes a new incarnation. It can make calls; it is called once it listens. The
// one before it must be over.
func (n *Net) Start(id harness.NodeID) *Proc {
	p := &Proc{
		net: n, id: id, methods: map[string]method{},
		calling: map[*call]struct{}{}, serving: map[*call]int{}, sockets: map[*Socket]struct{}{},
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// RegisterService adds a service before Listen. As in gRPC, an implementation of the
// wrong type and a method that is there already are bugs and panic. Streams of a service are left out.
func (p *Proc) RegisterService(d *grpc.ServiceDesc, impl any) {
	for _, m := range d.Methods {
		name := "/" + d.ServiceName + "/" + m.MethodName
		if _, ok := p.methods[name]; ok {
			panic(fmt.Sprintf("wire: %s is registered twice", name))
		}
		p.methods[name] = method{impl: impl, handler: m.Handler}
	}
}

// Listen begins to serve. A second incarnation may not listen beside a living one.
func (p *Proc) Listen() error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if other := p.net.procs[p.id]; other != nil && other != p {
		return fmt.Errorf("listen at %s: the address is in use", p.id)
	}
	p.net.procs[p.id] = p
	return nil
}

// listener returns the process that listens at the node, or nil.
func (n *Net) listener(id harness.NodeID) *Proc {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.procs[id]
}

// Kill ends the process at once, as power loss or SIGKILL would: it sends and receives
// nothing from now on, and a freeze ends with it. Its kernel breaks its connections,
// which the other ends learn in time, links permitting. Handlers at work are
// cancelled, not joined: see Close.
func (p *Proc) Kill() {
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		return
	}
	p.over = true
	serving, calling, sockets := keys(p.serving), keys(p.calling), keys(p.sockets)
	p.mu.Unlock()

	p.net.mu.Lock()
	if p.net.procs[p.id] == p {
		delete(p.net.procs, p.id)
	}
	p.net.mu.Unlock()
	p.net.Thaw(p.id)
	p.stop()
	for _, k := range serving { // in any order: each packet's fate has a name
		p.net.sendReset(k, "connection reset: the process died", false)
	}
	for _, k := range calling {
		p.net.sendCancel(k, nil)
	}
	for _, s := range sockets {
		s.abort()
	}
}

// Close kills the process and returns when its handlers have returned. It is idempotent.
func (p *Proc) Close() {
	p.Kill()
	p.work.Wait()
}

func (p *Proc) dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

// admit takes a request that has arrived and returns the work that it makes.
func (p *Proc) admit(k *call) (Fate, func()) {
	m, known := p.methods[k.method]
	if limit := p.net.opts.MessageBytesMax; len(k.body) > limit {
		p.respond(k, answer{status: status.Newf(codes.ResourceExhausted, "received message larger than max (%d vs. %d)", len(k.body), limit)})
		return Delivered, nil
	}
	if !known {
		p.respond(k, answer{status: status.Newf(codes.Unimplemented, "unknown method %s", k.method)})
		return Delivered, nil
	}
	ctx, stop := k.context(p)
	k.mu.Lock()
	if k.cancelled || k.refused {
		k.mu.Unlock()
		stop()
		return Ignored, nil // its cancellation overtook it, or its twin's refusal
	}
	k.admitted = true
	k.stops = append(k.stops, stop)
	k.mu.Unlock()
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		stop()
		p.net.sendReset(k, "connection reset: the process died", false)
		return Refused, nil
	}
	p.serving[k]++
	p.work.Add(1)
	p.mu.Unlock()
	return Delivered, func() {
		defer p.work.Done()
		defer stop()
		_ = deepen(len(k.body))
		p.serve(ctx, k, m)
	}
}

// deepen grows the caller's stack while there is little on it that would have to move. A
// handler goes deep into the engine: growing step by step on the way cost a tenth of a run.
//
//go:noinline
func deepen(i int) byte {
	var room [10 << 10]byte
	return room[i%len(room)]
}

// context is what a handler gets: the caller's deadline and metadata, no more.
func (k *call) context(p *Proc) (context.Context, context.CancelFunc) {
	ctx := peer.NewContext(p.ctx, &peer.Peer{Addr: address(k.conn.link.From), LocalAddr: address(p.id)})
	ctx = metadata.NewIncomingContext(ctx, k.meta.Copy())
	ctx = grpc.NewContextWithServerTransportStream(ctx, &stream{method: k.method})
	if k.timeout > 0 {
		return context.WithTimeout(ctx, k.timeout)
	}
	return context.WithCancel(ctx)
}

// serve runs the handler and answers, unless the process died meanwhile.
func (p *Proc) serve(ctx context.Context, k *call, m method) {
	out, err := m.handler(m.impl, ctx, func(v any) error {
		msg, ok := v.(proto.Message)
		if !ok {
			return status.Errorf(codes.Internal, "%s: request is a %T, not a protobuf message", k.method, v)
		}
		if err := proto.Unmarshal(k.body, msg); err != nil {
			return status.Errorf(codes.Internal, "%s: unmarshal request: %v", k.method, err)
		}
		return nil
	}, nil)
	a := outcome(k.method, out, err)
	s := grpc.ServerTransportStreamFromContext(ctx).(*stream)
	a.header, a.trailer = s.metadata()

	p.mu.Lock()
	over := p.over
	if p.serving[k]--; p.serving[k] == 0 {
		delete(p.serving, k)
	}
	p.mu.Unlock()
	if !over {
		p.respond(k, a)
	}
}

// outcome is what a handler's results look like on the wire.
func outcome(name string, out any, err error) answer {
	if err != nil {
		s, ok := status.FromError(err)
		if !ok {
			s = status.FromContextError(err)
		}
		return answer{status: s}
	}
	msg, ok := out.(proto.Message)
	if !ok {
		return answer{status: status.Newf(codes.Internal, "%s: reply is a %T, not a protobuf message", name, out)}
	}
	body, err := marshal(msg)
	if err != nil {
		return answer{status: status.Newf(codes.Internal, "%s: marshal reply: %v", name, err)}
	}
	return answer{body: body}
}

func (p *Proc) respond(k *call, a answer) {
	name := fate.Bytes(a.body)
	if a.status != nil {
		var wire []byte
		a.status, wire = canonical(a.status)
		name = fate.Hash(name, fate.Bytes(wire))
	}
	name += metaName(a.header) + metaName(a.trailer)
	p.net.sendAnswer(k, Reply, p, a, name)
}

// canonical takes a status apart and puts it together again, so that nothing of the
// server's is shared with the caller, and its details' maps come in one order: they were
// marshalled in whatever order, and a name must not depend on that.
func canonical(s *status.Status) (*status.Status, []byte) {
	p := s.Proto() // a copy
	for _, detail := range p.GetDetails() {
		if m, err := detail.UnmarshalNew(); err == nil { // else it stays as it is
			if b, err := marshal(m); err == nil {
				detail.Value = b
			}
		}
	}
	wire, err := marshal(p)
	if err != nil {
		wire = []byte(err.Error()) // text that is not UTF-8; the caller gets it all the same
	}
	return status.FromProto(p), wire
}

func keys[K comparable, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
