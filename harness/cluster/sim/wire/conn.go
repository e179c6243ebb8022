package wire

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
)

// A Conn is a connection that is always there: it connects when it is used. It is safe
// for concurrent use.
type Conn struct {
	net  *Net
	link harness.Link
	from *Proc // nil: the caller is a client outside the cluster
}

// Dial returns a connection of a client outside the cluster. The client's name makes
// the link; clients never die and are never frozen.
func (n *Net) Dial(client, to harness.NodeID) *Conn {
	return &Conn{net: n, link: harness.Link{From: client, To: to}}
}

// Dial returns a connection of this process. It works before Listen and dies with the process.
func (p *Proc) Dial(to harness.NodeID) *Conn {
	return &Conn{net: p.net, link: harness.Link{From: p.id, To: to}, from: p}
}

// NewStream refuses: only unary calls are simulated.
func (c *Conn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "the simulated network carries unary calls only")
}

// pauseMax bounds what a call takes in its own process: to leave, and to return once its
// context has ended or its process is dead.
const pauseMax = 20 * time.Microsecond

// pause is a moment that a call spends in its own process.
func (n *Net) pause(why uint64, k *call) time.Duration {
	return fate.Between(1, pauseMax, fate.Hash(n.opts.Seed, why, k.name))
}

// A call is one request and what comes of it. Both ends share it.
type call struct {
	conn    *Conn
	name    uint64
	method  string
	meta    metadata.MD   // sent along
	body    []byte        // the request
	timeout time.Duration // remaining when the request left; 0: none
	target  *Proc         // the incarnation that listened when the request left; nil: none did

	answer chan answer // room for one: the first counts

	mu        sync.Mutex
	cancelled bool                 // the caller's cancellation arrived, or its process died
	admitted  bool                 // a process has seen the request
	refused   bool                 // the caller was sworn that none will
	stops     []context.CancelFunc // of the handlers at work
}

// An answer is what a caller gets.
type answer struct {
	body            []byte
	status          *status.Status
	unsent          bool // no process has seen the request or will
	header, trailer metadata.MD
}

// Invoke makes one call. It returns when the answer is here or soon after ctx has ended,
// whichever is first.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	req, ok := args.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%s: request is a %T, not a protobuf message", method, args)
	}
	_ = deepen(len(method))
	body, err := marshal(req)
	if err != nil {
		return status.Errorf(codes.Internal, "%s: marshal request: %v", method, err)
	}
	k := &call{conn: c, method: method, body: body, answer: make(chan answer, 1)}
	k.meta, _ = metadata.FromOutgoingContext(ctx) // a copy, keys in lower case
	k.target = c.net.listener(c.link.To)
	k.name = fate.Hash(linkName(c.link), uint64(c.net.now()), fate.String(method), metaName(k.meta), fate.Bytes(body))
	if err := c.begin(ctx, k); err != nil {
		// One death, or one end of a context, meets many that begin in that instant: these
		// return at instants of their own as well.
		time.Sleep(c.net.pause('g', k))
		return err
	}
	defer c.end(k)
	if deadline, ok := ctx.Deadline(); ok {
		// A little is spent on the way to the wire. Without that, limits that both ends
		// take from one constant would end at one instant.
		k.timeout = max(time.Until(deadline)-c.net.pause('o', k), 1)
	}
	c.net.say(k, c.link, Request, body, nil)
	c.net.sendRequest(k)
	select {
	case a := <-k.answer:
		return k.accept(a, reply, opts)
	case <-ctx.Done():
		// A handler that is at work has the deadline itself.
		if ctx.Err() != context.DeadlineExceeded || !k.beingServed() {
			c.net.sendCancel(k, c.from)
		}
		// The end of one context wakes many. A call returns at an instant of its own, so
		// that the scheduler need not decide who of them acts first.
		time.Sleep(c.net.pause('g', k))
		return status.FromContextError(ctx.Err()).Err()
	}
}

// accept turns an answer into what the generated client returns.
func (k *call) accept(a answer, reply any, opts []grpc.CallOption) error {
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			*o.HeaderAddr = a.header
		case grpc.TrailerCallOption:
			*o.TrailerAddr = a.trailer
		case grpc.PeerCallOption:
			o.PeerAddr.Addr = address(k.conn.link.To)
		}
	}
	if unsent := k.conn.net.opts.Unsent; a.unsent && unsent != nil {
		return unsent(a.status.Err())
	}
	if a.status.Code() != codes.OK {
		return a.status.Err()
	}
	if limit := k.conn.net.opts.MessageBytesMax; len(a.body) > limit {
		return status.Errorf(codes.ResourceExhausted, "received message larger than max (%d vs. %d)", len(a.body), limit)
	}
	msg, ok := reply.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%s: reply is a %T, not a protobuf message", k.method, reply)
	}
	if err := proto.Unmarshal(a.body, msg); err != nil {
		return status.Errorf(codes.Internal, "%s: unmarshal reply: %v", k.method, err)
	}
	return nil
}

// begin notes the call with the process that makes it, unless that is dead or ctx has ended. Of the
// two the death counts: a node that closes ends its contexts in the instant in which calls begin.
func (c *Conn) begin(ctx context.Context, k *call) error {
	if c.from != nil {
		c.from.mu.Lock()
		defer c.from.mu.Unlock()
		if c.from.over {
			return status.Error(codes.Unavailable, "this process is dead")
		}
	}
	if err := ctx.Err(); err != nil {
		return status.FromContextError(err).Err()
	}
	if c.from != nil {
		c.from.calling[k] = struct{}{}
	}
	return nil
}

func (c *Conn) end(k *call) {
	if c.from != nil {
		c.from.mu.Lock()
		delete(c.from.calling, k)
		c.from.mu.Unlock()
	}
}

func (k *call) beingServed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.stops) > 0
}

// back is the link of the call's answers.
func (k *call) back() harness.Link {
	return harness.Link{From: k.conn.link.To, To: k.conn.link.From}
}

func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// metaName names metadata; the empty one is 0.
func metaName(md metadata.MD) uint64 {
	var sum uint64
	for key, values := range md {
		for i, v := range values {
			sum += fate.Hash(fate.String(key), uint64(i), fate.String(v)) // a sum: maps have no order
		}
	}
	return sum
}

// An address names a process as a net.Addr.
type address harness.NodeID

func (a address) Network() string { return "sim" }
func (a address) String() string  { return fmt.Sprintf("sim://%s", string(a)) }

var _ grpc.ClientConnInterface = (*Conn)(nil)

// sendRequest sends a call to whoever listens at the other end.
func (n *Net) sendRequest(k *call) {
	f := k.flight(Request, k.conn.link, k.conn.from, fate.Bytes(k.body), len(k.body))
	f.deliver = func() (Fate, func()) {
		p := n.listener(k.conn.link.To)
		if p == nil || k.target != nil && p != k.target {
			n.sendReset(k, "connection refused: nobody listens", k.refuse())
			return Refused, nil
		}
		return p.admit(k)
	}
	n.send(f)
}

// sendCancel tells the other end that the caller has given up.
func (n *Net) sendCancel(k *call, owner *Proc) {
	f := k.flight(Cancel, k.conn.link, owner, 0, 0)
	f.deliver = func() (Fate, func()) {
		k.mu.Lock()
		k.cancelled = true
		stops := slices.Clone(k.stops)
		k.mu.Unlock()
		for _, stop := range stops {
			stop()
		}
		if len(stops) == 0 {
			return Ignored, nil
		}
		return Delivered, nil
	}
	n.send(f)
}

// refuse reports whether it is certain that no process has seen or will see the request:
// it never found a listener, nor does a duplicate from now on.
func (k *call) refuse() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused = k.refused || k.target == nil && !k.admitted
	return k.refused
}

// sendReset tells the caller that nobody serves the call. Kernels send it, not processes.
func (n *Net) sendReset(k *call, why string, unsent bool) {
	n.sendAnswer(k, Reset, nil, answer{status: status.New(codes.Unavailable, why), unsent: unsent}, 0)
}

// sendAnswer takes an answer to the caller. Only the first to arrive counts.
func (n *Net) sendAnswer(k *call, kind Kind, owner *Proc, a answer, name uint64) {
	n.say(k, k.back(), kind, a.body, a.status)
	f := k.flight(kind, k.back(), owner, name, len(a.body))
	f.deliver = func() (Fate, func()) {
		if from := k.conn.from; from != nil && from.dead() {
			return Refused, nil
		}
		select {
		case k.answer <- a:
			return Delivered, nil
		default:
			return Ignored, nil
		}
	}
	n.send(f)
}

func (k *call) flight(kind Kind, l harness.Link, owner *Proc, bytes uint64, size int) *flight {
	return &flight{
		link: l, kind: kind, method: k.method, call: k.name, size: size, owner: owner,
		name: fate.Hash(uint64(kind), k.name, bytes),
	}
}
