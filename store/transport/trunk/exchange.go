package trunk

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cartwheel/store/storepb"
	"cartwheel/store/worker"
)

const (
	// servedMax is how many calls of one stream are served, or wait for their answers to leave, at a time; further ones wait
	// unread. It is more than a line sends, so that calls which wait for calls of the other node cannot keep those from being read.
	servedMax = 4 * callsMax
	// idleMax is how many goroutines of one stream wait for calls.
	idleMax = 64
)

// ExchangeOptions are the options of an [Exchange].
type ExchangeOptions struct {
	Server    grpc.ServiceRegistrar         // serves ordinary calls, and the streams; required
	Intercept []grpc.UnaryServerInterceptor // around each call on a stream, the first outermost: those of the server
}

// An Exchange is the server's side of streams. What is registered with it is served both ways.
type Exchange struct {
	storepb.UnimplementedTrunkServer
	server    grpc.ServiceRegistrar
	intercept grpc.UnaryServerInterceptor
	methods   map[string]method // by "/service/method"; it does not change once the server serves

	drained chan struct{} // closed: streams are to end
	drain   sync.Once
}

// A method is how one is served.
type method struct {
	impl   any
	handle grpc.MethodHandler
}

// NewExchange registers the service Trunk.
func NewExchange(o ExchangeOptions) *Exchange {
	e := &Exchange{server: o.Server, intercept: chain(o.Intercept), methods: map[string]method{}, drained: make(chan struct{})}
	storepb.RegisterTrunkServer(o.Server, e)
	return e
}

// chain makes one interceptor of several; nil of none.
func chain(all []grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	if len(all) == 0 {
		return nil
	}
	outer, rest := all[0], chain(all[1:])
	if rest == nil {
		return outer
	}
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return outer(ctx, req, info, func(ctx context.Context, req any) (any, error) { return rest(ctx, req, info, handler) })
	}
}

// RegisterService registers a service for ordinary calls and for those on streams. Like that of a server it is for the time before it serves.
func (e *Exchange) RegisterService(desc *grpc.ServiceDesc, impl any) {
	e.server.RegisterService(desc, impl)
	for _, m := range desc.Methods {
		e.methods["/"+desc.ServiceName+"/"+m.MethodName] = method{impl, m.Handler}
	}
}

// Drain asks callers to make further calls elsewhere, and ends each stream when its calls have got their answers. A server that is
// stopped gracefully would wait for streams that nobody ends.
func (e *Exchange) Drain() { e.drain.Do(func() { close(e.drained) }) }

// Carry serves a stream.
func (e *Exchange) Carry(conn storepb.Trunk_CarryServer) error {
	select {
	case <-e.drained:
		return status.Error(codes.Unavailable, "the node is about to end")
	default:
	}
	ctx, cancel := context.WithCancel(conn.Context())
	defer cancel()
	s := &serving{
		exchange: e, ctx: ctx, box: newOutbox(), slots: make(chan struct{}, servedMax),
		pool: worker.NewPool(idleMax), cancels: map[uint64]context.CancelFunc{},
	}
	if err := conn.Send(&storepb.Batch{}); err != nil {
		return err
	}
	over := make(chan struct{}) // closed: all answers are in the outbox
	var sending sync.WaitGroup
	sending.Go(func() {
		defer cancel() // who does not take answers sends no more calls
		_ = s.box.run(over, func(b *storepb.Batch) error { return s.send(conn, b) })
	})
	sending.Go(func() {
		select {
		case <-e.drained:
			s.box.add(entry{closing: true})
		case <-over:
		}
	})
	err := s.receive(conn)
	if err != nil {
		cancel()
	}
	s.pool.Close()
	close(over)
	sending.Wait()
	return err
}

// A served call has its context, which ends when its answer is made.
type served struct {
	*storepb.Call
	ctx    context.Context
	cancel context.CancelFunc
}

// serving is one stream.
type serving struct {
	exchange *Exchange
	ctx      context.Context // of all its calls
	box      *outbox
	slots    chan struct{} // one message for each call that was read and whose answer was not sent
	pool     *worker.Pool

	mu      sync.Mutex
	cancels map[uint64]context.CancelFunc // of calls being served
}

func (s *serving) send(conn storepb.Trunk_CarryServer, b *storepb.Batch) error {
	err := conn.Send(b)
	for range b.GetAnswers() {
		<-s.slots
	}
	return err
}

// receive serves calls until the caller ends its side, which is no error.
func (s *serving) receive(conn storepb.Trunk_CarryServer) error {
	for {
		b, err := conn.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, c := range b.GetCalls() {
			select {
			case s.slots <- struct{}{}:
			case <-s.ctx.Done():
				return status.FromContextError(s.ctx.Err()).Err()
			}
			call := s.begin(c)
			s.pool.Go(func() { s.serve(call) })
		}
		s.giveUp(b.GetGivenUp())
	}
}

// begin makes a call known by its number before anything that follows it on the stream is read.
func (s *serving) begin(c *storepb.Call) served {
	begun := served{Call: c}
	ctx := metadata.NewIncomingContext(s.ctx, incoming(c.GetHeaders()))
	if c.GetTimeoutNanos() > 0 {
		begun.ctx, begun.cancel = context.WithTimeout(ctx, time.Duration(c.GetTimeoutNanos()))
	} else {
		begun.ctx, begun.cancel = context.WithCancel(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancels[c.GetNumber()] = begun.cancel
	return begun
}

// serve makes the answer to a call.
func (s *serving) serve(c served) {
	defer c.cancel()
	a := &storepb.Answer{Number: c.GetNumber()}
	var err error
	if a.Reply, err = s.exchange.call(c.ctx, c.Call); err != nil {
		a.Status = encodeStatus(err)
	}
	s.mu.Lock()
	delete(s.cancels, c.GetNumber())
	s.mu.Unlock()
	s.box.add(entry{answer: a})
}

// giveUp ends the contexts of calls whose answers are not wanted any more.
func (s *serving) giveUp(numbers []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range numbers {
		if cancel := s.cancels[n]; cancel != nil {
			cancel()
		}
	}
}

// incoming are the headers of a call, as its handler sees them.
func incoming(pairs []string) metadata.MD {
	md := make(metadata.MD, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		md.Append(pairs[i], pairs[i+1])
	}
	return md
}

// call runs the handler of a call.
func (e *Exchange) call(ctx context.Context, c *storepb.Call) ([]byte, error) {
	m, ok := e.methods[c.GetMethod()]
	if !ok {
		return nil, status.Errorf(codes.Unimplemented, "method %q is not served on streams", c.GetMethod())
	}
	reply, err := m.handle(m.impl, ctx, func(request any) error {
		if err := proto.Unmarshal(c.GetRequest(), request.(proto.Message)); err != nil {
			return status.Errorf(codes.Internal, "request: %v", err)
		}
		return nil
	}, e.intercept)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(reply.(proto.Message))
}

// encodeStatus returns the bytes of an error's status, as gRPC makes one of what handlers return.
func encodeStatus(err error) []byte {
	st, ok := status.FromError(err)
	if !ok {
		st = status.FromContextError(err)
	}
	b, err := proto.Marshal(st.Proto())
	if err != nil || len(b) == 0 {
		b, _ = proto.Marshal(status.New(codes.Internal, "an error that cannot be encoded").Proto())
	}
	return b
}
