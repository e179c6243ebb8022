package transport

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"cartwheel/store"
	"cartwheel/store/storepb"
)

// A Guard says who may call which service, by the DNS names of certificates. Calls of the services
// Peer and Admin need a certificate; an empty list lets in every one that an authority has signed.
// Other services are open to whoever was let in by the handshake; a call on a stream (package trunk) is checked like any other.
type Guard struct {
	Peers  []string // may call Peer: the other nodes
	Admins []string // may call Admin: operators and their tools
}

// Interceptor refuses the calls of others, with store.ErrDenied.
func (g Guard) Interceptor() grpc.UnaryServerInterceptor {
	names := map[string][]string{storepb.Peer_ServiceDesc.ServiceName: g.Peers, storepb.Admin_ServiceDesc.ServiceName: g.Admins}
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, serve grpc.UnaryHandler) (any, error) {
		service, _, _ := strings.Cut(strings.TrimPrefix(info.FullMethod, "/"), "/")
		if allowed, guarded := names[service]; guarded {
			if err := admit(ctx, allowed); err != nil {
				return nil, encode(fmt.Errorf("%s: %w", info.FullMethod, err), requestFrom(ctx))
			}
		}
		return serve(ctx, request)
	}
}

// headerToken carries an operator's secret, as HTTP does (RFC 6750).
const (
	headerToken = "authorization"
	bearer      = "Bearer "
)

// ForBearers returns an interceptor that lets in calls of the service Admin only with a secret that is admitted; others get
// store.ErrDenied. Other services are open. The secret itself is as safe as the connection.
func ForBearers(admits func(token string) bool) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, serve grpc.UnaryHandler) (any, error) {
		if ofAdmin(info.FullMethod) && !admits(tokenFrom(ctx)) {
			err := fmt.Errorf("%s: the caller did not show the operators' token: %w", info.FullMethod, store.ErrDenied)
			return nil, encode(err, requestFrom(ctx))
		}
		return serve(ctx, request)
	}
}

// tokenFrom returns the secret that came with a call; empty: none.
func tokenFrom(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	shown := md.Get(headerToken)
	if len(shown) != 1 {
		return ""
	}
	token, ok := strings.CutPrefix(shown[0], bearer)
	if !ok {
		return ""
	}
	return token
}

// WithBearer returns an option of Dial with which calls of the service Admin, and no others, show a secret.
func WithBearer(token func() string) grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if ofAdmin(method) {
			ctx = metadata.AppendToOutgoingContext(ctx, headerToken, bearer+token())
		}
		return invoke(ctx, method, req, reply, conn, opts...)
	})
}

func ofAdmin(method string) bool {
	return strings.HasPrefix(method, "/"+storepb.Admin_ServiceDesc.ServiceName+"/")
}

// admit looks for an allowed name in the certificate of a caller, which the handshake has verified.
func admit(ctx context.Context, allowed []string) error {
	p, _ := peer.FromContext(ctx)
	if p == nil {
		return fmt.Errorf("the caller is not known: %w", store.ErrDenied)
	}
	tls, _ := p.AuthInfo.(credentials.TLSInfo)
	if len(tls.State.VerifiedChains) == 0 {
		return fmt.Errorf("the caller showed no certificate: %w", store.ErrDenied)
	}
	names := tls.State.PeerCertificates[0].DNSNames
	if len(allowed) == 0 || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(allowed, n) }) {
		return nil
	}
	return fmt.Errorf("the caller is %s: %w", strings.Join(names, ", "), store.ErrDenied)
}
