package sim

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/store/transport"
)

// A plug connects one life to the network.
type plug interface {
	// peer is the life's connection to a node, always the same one; it need not be up, nor be there.
	peer(to harness.NodeID) (grpc.ClientConnInterface, error)
	// listen begins to serve what register registers.
	listen(register func(grpc.ServiceRegistrar)) error
	// close kills the life's process, if it lives, and returns when its handlers have returned.
	close()
}

// plugOf is how the cluster's lives are connected.
func (c *Cluster) plugOf(id harness.NodeID, p *wire.Proc) plug {
	if c.opts.GRPC {
		return &realGRPC{stagger: c.stagger(id), proc: p}
	}
	return seamPlug{p}
}

// A seamPlug carries calls at gRPC's own seams.
type seamPlug struct{ proc *wire.Proc }

func (p seamPlug) peer(to harness.NodeID) (grpc.ClientConnInterface, error) {
	return p.proc.Dial(to), nil
}

func (p seamPlug) listen(register func(grpc.ServiceRegistrar)) error {
	register(p.proc)
	return p.proc.Listen()
}

func (p seamPlug) close() { p.proc.Close() }

// realGRPC is what cartwheeld has: gRPC's server and the store's own connections, over
// simulated sockets.
type realGRPC struct {
	stagger
	proc   *wire.Proc
	server *grpc.Server
	serves sync.WaitGroup

	mu    sync.Mutex // held for moments only
	conns map[harness.NodeID]*grpc.ClientConn
	over  bool // no more are made
}

func (p *realGRPC) peer(to harness.NodeID) (grpc.ClientConnInterface, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if conn := p.conns[to]; conn != nil {
		return conn, nil
	}
	if p.over {
		return nil, ErrStopped
	}
	conn, err := dialGRPC(p.stagger, to, func(ctx context.Context) (net.Conn, error) { return p.proc.Connect(ctx, to) })
	if err != nil {
		return nil, err
	}
	if p.conns == nil {
		p.conns = map[harness.NodeID]*grpc.ClientConn{}
	}
	p.conns[to] = conn
	return conn, nil
}

func (p *realGRPC) listen(register func(grpc.ServiceRegistrar)) error {
	p.server = grpc.NewServer(append(transport.ServerOptions(),
		grpc.WaitForHandlers(true), grpc.ChainUnaryInterceptor(p.stagger.serve))...)
	register(p.server)
	l, err := p.proc.ListenSockets()
	if err != nil {
		return err
	}
	p.serves.Go(func() { _ = p.server.Serve(l) }) // it ends when the server is stopped or the process dies
	return nil
}

func (p *realGRPC) close() {
	p.proc.Kill()
	p.mu.Lock()
	conns := p.conns
	p.over = true
	p.mu.Unlock()
	for _, to := range slices.Sorted(maps.Keys(conns)) {
		_ = conns[to].Close() // an error says that it was closed before
	}
	if p.server != nil {
		p.server.Stop()
	}
	p.serves.Wait()
	p.proc.Close()
}

// dialGRPC makes a connection as the store does, but over a simulated socket.
func dialGRPC(s stagger, to harness.NodeID, connect func(context.Context) (net.Conn, error)) (*grpc.ClientConn, error) {
	return transport.Dial(string(to),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return connect(ctx) }),
		grpc.WithChainUnaryInterceptor(s.callTo(to)))
}

// staggerMax bounds the moment that a call takes within a process.
const staggerMax = 20 * time.Microsecond

// callHeader carries a call's name to its server.
const callHeader = "sim-call"

// A stagger lets each call of one process begin and return at an instant of its own. Of
// several messages that arrive in one segment, or several calls whose common context has
// ended, the Go scheduler would otherwise decide which acts first.
type stagger struct {
	seed uint64
	at   harness.NodeID // the process

	calls *calls // told of all of them; nil: nobody is
}

func (c *Cluster) stagger(at harness.NodeID) stagger {
	return stagger{seed: c.opts.Seed, at: at, calls: c.calls}
}

// callTo names a call by its caller, its bytes and the instant at which it began, so that of two
// equal ones each has its own name.
func (s stagger) callTo(to harness.NodeID) grpc.UnaryClientInterceptor {
	link := harness.Link{From: s.at, To: to}
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		var body []byte
		if m, ok := req.(proto.Message); ok { // else gRPC complains of it
			body, _ = proto.MarshalOptions{Deterministic: true}.Marshal(m)
		}
		name := fate.Hash(fate.String(string(s.at)), fate.String(cc.Target()+method), fate.Bytes(body), uint64(time.Now().UnixNano()))
		ctx = metadata.AppendToOutgoingContext(ctx, callHeader, strconv.FormatUint(name, 16))
		s.calls.left(name, link, method, body)
		err := invoke(ctx, method, req, reply, cc, opts...)
		s.calls.returned(name, err)
		s.pause('c', name)
		return err
	}
}

func (s stagger) serve(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	header := strings.Join(md.Get(callHeader), ",")
	name, _ := strconv.ParseUint(header, 16, 64) // what is no name is not watched
	s.calls.got(name)
	s.pause('s', fate.String(header))
	reply, err := handler(ctx, req)
	s.calls.served(name, reply, err)
	return reply, err
}

func (s stagger) pause(why, name uint64) {
	time.Sleep(fate.Between(1, staggerMax, fate.Hash(s.seed, why, name, uint64(time.Now().UnixNano()))))
}

// clientConn returns a client's connection, always the same one.
func (c *Cluster) clientConn(n *wire.Net, l harness.Link) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.net != n {
		return nil, fmt.Errorf("connect to %s: %w", l.To, ErrStopped)
	}
	if conn := c.conns[l]; conn != nil {
		return conn, nil
	}
	conn, err := dialGRPC(c.stagger(l.From), l.To, func(ctx context.Context) (net.Conn, error) {
		return n.Connect(ctx, l.From, l.To)
	})
	if err != nil {
		return nil, err
	}
	if c.conns == nil {
		c.conns = map[harness.Link]*grpc.ClientConn{}
	}
	c.conns[l] = conn
	return conn, nil
}
