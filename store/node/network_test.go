package node_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cartwheel/store"
)

// A network carries unary calls between the nodes of a test, on virtual time. A cut link
// swallows messages, as a real one does: callers wait for their deadline.
type network struct {
	mu       sync.Mutex
	services map[store.NodeID]*registrar
	cut      map[[2]store.NodeID]bool // directed
}

func newNetwork() *network {
	return &network{services: map[store.NodeID]*registrar{}, cut: map[[2]store.NodeID]bool{}}
}

// A registrar is where one life of a node is served.
type registrar struct {
	methods map[string]method
}

type method struct {
	impl    any
	handler grpc.MethodHandler
}

func (r *registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for _, m := range desc.Methods {
		r.methods["/"+desc.ServiceName+"/"+m.MethodName] = method{impl, m.Handler}
	}
}

// listen makes a node reachable; with nil it is refused to connect.
func (n *network) listen(id store.NodeID, r *registrar) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.services[id] = r
}

func (n *network) serving(id store.NodeID) *registrar {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.services[id]
}

// split cuts all links between the two sides, both ways. No sides heal everything.
func (n *network) split(sides ...[]store.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	for i, side := range sides {
		for j, other := range sides {
			if i == j {
				continue
			}
			for _, a := range side {
				for _, b := range other {
					n.cut[[2]store.NodeID{a, b}] = true
				}
			}
		}
	}
}

func (n *network) open(from, to store.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.cut[[2]store.NodeID{from, to}]
}

// A link is the connection from one node, or a client, to a node.
type link struct {
	net      *network
	from, to store.NodeID
}

// latency differs by link, so that answers have an order.
func (l link) latency() time.Duration {
	sum := 0
	for _, c := range l.from + "/" + l.to {
		sum = sum*31 + int(c)
	}
	return time.Millisecond + time.Duration(sum%1_000_003)*time.Nanosecond
}

func (l link) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "unary calls only")
}

func (l link) Invoke(ctx context.Context, name string, args, reply any, _ ...grpc.CallOption) error {
	if err := l.travel(ctx, l.from, l.to); err != nil {
		return err
	}
	r := l.net.serving(l.to)
	if r == nil {
		return status.Error(codes.Unavailable, "connection refused")
	}
	m, ok := r.methods[name]
	if !ok {
		return status.Error(codes.Unimplemented, name)
	}
	body, err := proto.Marshal(args.(proto.Message))
	if err != nil {
		return err
	}
	if sent, ok := metadata.FromOutgoingContext(ctx); ok {
		ctx = metadata.NewIncomingContext(ctx, sent)
	}
	result, err := m.handler(m.impl, ctx, func(into any) error { return proto.Unmarshal(body, into.(proto.Message)) }, nil)
	if lost := l.travel(ctx, l.to, l.from); lost != nil {
		return lost
	}
	if l.net.serving(l.to) != r {
		return status.Error(codes.Unavailable, "connection reset") // that life is over, whatever it did
	}
	if err != nil {
		return err
	}
	if body, err = proto.Marshal(result.(proto.Message)); err != nil {
		return err
	}
	return proto.Unmarshal(body, reply.(proto.Message))
}

// travel takes a message one way, unless the link is cut at either end of the way.
func (l link) travel(ctx context.Context, from, to store.NodeID) error {
	if l.net.open(from, to) {
		wait := time.NewTimer(l.latency())
		defer wait.Stop()
		select {
		case <-wait.C:
			if l.net.open(from, to) {
				return nil
			}
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}

var _ fmt.Stringer = link{}

func (l link) String() string { return strings.Join([]string{string(l.from), string(l.to)}, "->") }
