package transport

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"
)

// MessageSizeBytesMax bounds a message either way. It is sized for a state of
// store.SiblingsMax values of the largest size.
const MessageSizeBytesMax = 128 << 20

// What may be on its way to a reader that does not read, of one stream and of all of a connection. They are fixed: to
// find out how much the link takes, gRPC would send a ping behind nearly every message.
const (
	streamWindowBytes     = 1 << 20
	connectionWindowBytes = 4 << 20
)

// Dial returns a connection to host:port, which connects when it is first used and again
// whenever it is broken. It does not retry calls: whether a write may be sent twice is
// for its caller to say.
//
// A link that has healed is in use again within two seconds: the pause between attempts
// to connect stays below half a second, and an attempt, or a connection whose packets are not
// acknowledged, is given up soon (the keepalive's timeout is also TCP_USER_TIMEOUT on Linux).
func Dial(address string, extra ...grpc.DialOption) (*grpc.ClientConn, error) {
	opts := append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: time.Second, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			// Without jitter: gRPC would draw it from the process's global random numbers.
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 500 * time.Millisecond,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MessageSizeBytesMax), grpc.MaxCallSendMsgSize(MessageSizeBytesMax)),
		grpc.WithStaticStreamWindowSize(streamWindowBytes), grpc.WithStaticConnWindowSize(connectionWindowBytes),
		grpc.WithStatsHandler(departures{}),
		grpc.WithUnaryInterceptor(swearUnsent),
	}, extra...)
	// passthrough: the dialer resolves the name at each attempt, so that an address that
	// changed is found and nothing is looked up besides it.
	conn, err := grpc.NewClient("passthrough:///"+address, opts...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return conn, nil
}

// ServerOptions are what a gRPC server of this store needs.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(MessageSizeBytesMax),
		grpc.MaxSendMsgSize(MessageSizeBytesMax),
		grpc.MaxConcurrentStreams(4096),
		grpc.StaticStreamWindowSize(streamWindowBytes), grpc.StaticConnWindowSize(connectionWindowBytes),
		grpc.ConnectionTimeout(5 * time.Second),
	}
}

// A departure notes whether a call's request has left for the connection.
type departure struct{ left atomic.Bool }

type departureKey struct{}

// swearUnsent marks the error of a call that failed before its request left: nobody can
// have acted on it, so it may safely be sent elsewhere.
func swearUnsent(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	d := &departure{}
	err := invoke(context.WithValue(ctx, departureKey{}, d), method, req, reply, conn, opts...)
	if err != nil && !d.left.Load() {
		return notSent(err)
	}
	return err
}

// departures is told by gRPC when a request's header is handed to the connection, in the
// goroutine of the call and before its body is.
type departures struct{}

func (departures) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (departures) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutHeader); !ok {
		return
	}
	if d, ok := ctx.Value(departureKey{}).(*departure); ok {
		d.left.Store(true)
	}
}

func (departures) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (departures) HandleConn(context.Context, stats.ConnStats) {}
