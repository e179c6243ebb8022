package trunk_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"cartwheel/store/storepb"
	"cartwheel/store/transport/trunk"
)

// node serves what a test says.
type node struct {
	storepb.UnimplementedPeerServer
	get func(context.Context, *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error)
}

func (n *node) ReplicaGet(ctx context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
	return n.get(ctx, r)
}

// A world is a node and a line to it.
type world struct {
	t         *testing.T
	node      *node
	listener  atomic.Pointer[bufconn.Listener]
	server    *grpc.Server
	exchange  *trunk.Exchange
	serving   sync.WaitGroup
	conn      *grpc.ClientConn
	line      *trunk.Line
	ordinary  atomic.Int32 // calls that the server got by themselves
	attempts  atomic.Int32 // streams that were asked for
	intercept []string     // methods that went through the interceptors
	mu        sync.Mutex
}

func newWorld(t *testing.T, knowsStreams bool) *world {
	w := &world{t: t, node: &node{}}
	w.node.get = func(_ context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
		return &storepb.ReplicaGetReply{State: r.GetKey()}, nil
	}
	w.serve(knowsStreams)
	conn, err := grpc.NewClient("passthrough:///node", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return w.listener.Load().DialContext(ctx) }),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			w.ordinary.Add(1)
			return invoke(ctx, method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			w.attempts.Add(1)
			return streamer(ctx, desc, cc, method, opts...)
		}))
	if err != nil {
		t.Fatal(err)
	}
	w.conn = conn
	w.line = trunk.Start(trunk.LineOptions{Conn: conn, Methods: []string{storepb.Peer_ReplicaGet_FullMethodName}})
	return w
}

// serve starts a process of the node.
func (w *world) serve(knowsStreams bool) {
	l := bufconn.Listen(1 << 20)
	w.listener.Store(l)
	w.server = grpc.NewServer(grpc.WaitForHandlers(true))
	var to grpc.ServiceRegistrar = w.server
	if knowsStreams {
		w.exchange = trunk.NewExchange(trunk.ExchangeOptions{Server: w.server, Intercept: []grpc.UnaryServerInterceptor{w.note("outer"), w.note("inner")}})
		to = w.exchange
	}
	storepb.RegisterPeerServer(to, w.node)
	server := w.server
	w.serving.Go(func() { _ = server.Serve(l) })
}

func (w *world) note(name string) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		w.mu.Lock()
		w.intercept = append(w.intercept, name+" "+info.FullMethod)
		w.mu.Unlock()
		return handle(ctx, req)
	}
}

func (w *world) close() {
	_ = w.line.Close() // an error says that a test has closed it
	w.server.Stop()
	w.serving.Wait()
}

func (w *world) get(ctx context.Context, key string) (string, error) {
	reply, err := storepb.NewPeerClient(w.line).ReplicaGet(ctx, &storepb.ReplicaGetRequest{Key: []byte(key)})
	return string(reply.GetState()), err
}

// carried makes a first call, which goes by itself, and waits until calls go by the stream.
func (w *world) carried() {
	w.t.Helper()
	if _, err := w.get(w.t.Context(), "first"); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
	w.ordinary.Store(0)
}

func inWorld(t *testing.T, f func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, true)
		defer w.close()
		f(t, w)
	})
}

func TestCallsOnAStreamAreLikeOthers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.carried()
		w.node.get = func(ctx context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			deadline, _ := ctx.Deadline()
			if p, ok := peer.FromContext(ctx); !ok || p.Addr == nil {
				t.Error("the handler does not see its peer")
			}
			return &storepb.ReplicaGetReply{State: fmt.Appendf(nil, "%s %v %v", r.GetKey(), md.Get("name"), time.Until(deadline))}, nil
		}
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "Name", "a", "name", "b"), time.Minute)
		defer cancel()
		got, err := w.get(ctx, "milk")
		if want := "milk [a b] 1m0s"; err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		if w.ordinary.Load() != 0 {
			t.Error("the call went by itself")
		}
		if got, want := strings.Join(w.intercept, ", "), "outer /cartwheel.store.v1.Peer/ReplicaGet, inner /cartwheel.store.v1.Peer/ReplicaGet"; got != want {
			t.Errorf("interceptors: %s, want %s", got, want)
		}
	})
}

func TestErrorsKeepTheirDetails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.carried()
		w.node.get = func(context.Context, *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			st, err := status.New(codes.ResourceExhausted, "too much").WithDetails(&errdetails.ErrorInfo{Reason: "OVERLOADED"})
			if err != nil {
				t.Error(err)
			}
			return nil, st.Err()
		}
		_, err := w.get(t.Context(), "milk")
		st := status.Convert(err)
		if st.Code() != codes.ResourceExhausted || st.Message() != "too much" || len(st.Details()) != 1 || st.Details()[0].(*errdetails.ErrorInfo).GetReason() != "OVERLOADED" {
			t.Errorf("got %v with %v", err, st.Details())
		}
	})
}

func TestAHandlerEndsWithItsCall(t *testing.T) {
	for _, c := range []struct {
		name string
		of   func(context.Context) (context.Context, context.CancelFunc)
		code codes.Code
	}{
		{"given up", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			stop := time.AfterFunc(time.Second, cancel)
			return ctx, func() { stop.Stop(); cancel() }
		}, codes.Canceled},
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, codes.DeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.carried()
				ended := make(chan struct{})
				w.node.get = func(ctx context.Context, _ *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
					<-ctx.Done()
					close(ended)
					return nil, ctx.Err()
				}
				ctx, cancel := c.of(t.Context())
				defer cancel()
				if _, err := w.get(ctx, "milk"); status.Code(err) != c.code {
					t.Errorf("got %v, want %v", err, c.code)
				}
				synctest.Wait()
				select {
				case <-ended:
				default:
					t.Error("the handler goes on")
				}
			})
		})
	}
}

func TestABrokenStreamFailsWhatWasSent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.carried()
		w.node.get = func(ctx context.Context, _ *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		failed := make(chan error, 1)
		go func() { _, err := w.get(t.Context(), "milk"); failed <- err }()
		synctest.Wait()
		w.server.Stop()
		w.serving.Wait()
		if err := <-failed; status.Code(err) != codes.Unavailable || len(status.Convert(err).Details()) != 0 {
			t.Errorf("got %v, want UNAVAILABLE, which swears to nothing", err)
		}

		w.node.get = func(context.Context, *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			return &storepb.ReplicaGetReply{State: []byte("back")}, nil
		}
		w.serve(true)
		time.Sleep(10 * time.Second)
		for range 2 { // by itself; by the new stream
			if got, err := w.get(t.Context(), "milk"); err != nil || got != "back" {
				t.Errorf("after a restart: %q, %v", got, err)
			}
			time.Sleep(time.Second)
		}
		if w.ordinary.Load() != 1 {
			t.Errorf("%d calls went by themselves after the restart, want the first only", w.ordinary.Load())
		}
	})
}

func TestAnOlderNodeGetsOrdinaryCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false)
		defer w.close()
		for range 600 {
			if got, err := w.get(t.Context(), "milk"); err != nil || got != "milk" {
				t.Fatalf("got %q, %v", got, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := w.attempts.Load(); n < 1 || n > 3 {
			t.Errorf("%d attempts to open a stream in a minute", n)
		}
	})
}

func TestADrainedServerAnswersWhatItHas(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.carried()
		release := make(chan struct{})
		w.node.get = func(_ context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			<-release
			return &storepb.ReplicaGetReply{State: r.GetKey()}, nil
		}
		got := make(chan string, 1)
		go func() { state, err := w.get(t.Context(), "milk"); got <- fmt.Sprint(state, " ", err) }()
		synctest.Wait()
		w.exchange.Drain()
		synctest.Wait()
		stopped := make(chan struct{})
		go func() { w.server.GracefulStop(); close(stopped) }()
		synctest.Wait()
		select {
		case <-stopped:
			t.Error("the server stopped with a call under way")
		default:
		}
		close(release)
		if g := <-got; g != "milk <nil>" {
			t.Errorf("the call that was under way: %s", g)
		}
		<-stopped
	})
}

func TestLargeRequestsGoByThemselves(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.carried()
		key := strings.Repeat("k", 1<<20)
		if got, err := w.get(t.Context(), key); err != nil || got != key {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		if w.ordinary.Load() != 1 {
			t.Error("a large request shared the stream")
		}
	})
}

func TestOtherMethodsGoByThemselves(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.carried()
		if _, err := storepb.NewPeerClient(w.line).Ping(t.Context(), &storepb.PingRequest{}); status.Code(err) != codes.Unimplemented {
			t.Error(err)
		}
		if w.ordinary.Load() != 1 {
			t.Error("the call did not go by itself")
		}
	})
}

// More calls than share a stream at a time, each with an answer of its own.
func TestManyCallsAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.carried()
		release := make(chan struct{})
		w.node.get = func(_ context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			<-release
			return &storepb.ReplicaGetReply{State: r.GetKey()}, nil
		}
		var calls sync.WaitGroup
		for i := range 1500 {
			calls.Go(func() {
				if got, err := w.get(t.Context(), fmt.Sprint(i)); err != nil || got != fmt.Sprint(i) {
					t.Errorf("call %d: %q, %v", i, got, err)
				}
			})
		}
		synctest.Wait()
		if n := w.ordinary.Load(); n != 1500-1024 {
			t.Errorf("%d calls went by themselves, want those beyond 1024", n)
		}
		close(release)
		calls.Wait()
	})
}

func TestClosingALineFailsItsCalls(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.carried()
		w.node.get = func(ctx context.Context, _ *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		failed := make(chan error, 1)
		go func() { _, err := w.get(t.Context(), "milk"); failed <- err }()
		synctest.Wait()
		if err := w.line.Close(); err != nil {
			t.Error(err)
		}
		if err := <-failed; status.Code(err) != codes.Canceled {
			t.Errorf("got %v, want CANCELED, as of a connection that this side closes", err)
		}
	})
}
