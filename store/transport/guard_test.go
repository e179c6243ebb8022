package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"cartwheel/store"
	"cartwheel/store/storepb"
)

func TestServicesAreForTheCertificatesThatAreNamed(t *testing.T) {
	shown := func(names ...string) credentials.TLSInfo {
		cert := &x509.Certificate{DNSNames: names}
		return credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}}
	}
	named := Guard{Peers: []string{"n1", "n2"}, Admins: []string{"ops"}}
	for _, c := range []struct {
		name   string
		guard  Guard
		method string
		caller credentials.AuthInfo // nil: a connection without TLS
		denied bool
	}{
		{name: "peer of the list", guard: named, method: storepb.Peer_ReplicaMerge_FullMethodName, caller: shown("x", "n2")},
		{name: "client as a peer", guard: named, method: storepb.Peer_ReplicaMerge_FullMethodName, caller: shown("c1"), denied: true},
		{name: "peer as an operator", guard: named, method: storepb.Admin_Status_FullMethodName, caller: shown("n1"), denied: true},
		{name: "operator", guard: named, method: storepb.Admin_Status_FullMethodName, caller: shown("ops")},
		{name: "operator as a client", guard: named, method: storepb.KV_Get_FullMethodName, caller: shown("ops")},
		{name: "client without a certificate", guard: named, method: storepb.KV_Get_FullMethodName, caller: credentials.TLSInfo{}},
		{name: "peer without a certificate, no list", method: storepb.Peer_ReplicaMerge_FullMethodName, caller: credentials.TLSInfo{}, denied: true},
		{name: "peer without TLS, no list", method: storepb.Peer_ReplicaMerge_FullMethodName, denied: true},
		{name: "any certificate, no list", method: storepb.Peer_ReplicaMerge_FullMethodName, caller: shown("c1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := peer.NewContext(t.Context(), &peer.Peer{AuthInfo: c.caller})
			served := false
			_, err := c.guard.Interceptor()(ctx, nil, &grpc.UnaryServerInfo{FullMethod: c.method}, func(context.Context, any) (any, error) {
				served = true
				return nil, nil
			})
			if served == c.denied || errors.Is(Decode(err), store.ErrDenied) != c.denied {
				t.Errorf("served: %v, error: %v, want denied: %v", served, err, c.denied)
			}
			if c.denied && !store.Definite(Decode(err)) {
				t.Errorf("%v does not prove that nothing was written", err)
			}
		})
	}
}

func TestASecretIsShownToTheServiceAdminOnly(t *testing.T) {
	for method, want := range map[string]bool{storepb.Admin_Status_FullMethodName: true, storepb.KV_Get_FullMethodName: false, storepb.Peer_Ping_FullMethodName: false} {
		for name, header := range map[string][]string{
			"right": {"Bearer right"}, "wrong": {"Bearer wrong"}, "of another scheme": {"Basic right"}, "bare": {"right"}, "none": nil, "two": {"Bearer right", "Bearer wrong"},
		} {
			ctx := metadata.NewIncomingContext(t.Context(), metadata.MD{headerToken: header})
			served := false
			_, err := ForBearers(func(token string) bool { return token == "right" })(ctx, nil, &grpc.UnaryServerInfo{FullMethod: method}, func(context.Context, any) (any, error) {
				served = true
				return nil, nil
			})
			if allowed := !want || name == "right"; served != allowed || errors.Is(Decode(err), store.ErrDenied) == allowed {
				t.Errorf("%s, %s: served %v, error %v", method, name, served, err)
			}
		}
	}
}
