package main

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"cartwheel/store/credentials"
	"cartwheel/store/credentials/certtest"
	"cartwheel/store/transport"
)

// 'get' asks one node, 'status' all of them: either must show the certificate that the flags name.
func TestEveryConnectionIsByTLSIfAskedFor(t *testing.T) {
	authority := certtest.New(t)
	source, err := credentials.Open(authority.Write(t, t.TempDir(), "n1"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	guard := transport.Guard{Peers: []string{"n1"}, Admins: []string{"ops"}}
	servers := clusterWith(t, []grpc.DialOption{grpc.WithTransportCredentials(source.Client())},
		[]grpc.ServerOption{grpc.Creds(source.Server(false)), grpc.ChainUnaryInterceptor(guard.Interceptor())})
	flags := func(f credentials.Files) []string {
		return slices.Concat(servers, []string{"--tls-ca", f.CA, "--tls-cert", f.Cert, "--tls-key", f.Key})
	}
	ops, shopper := flags(authority.Write(t, t.TempDir(), "ops")), flags(authority.Write(t, t.TempDir(), "shopper"))

	if _, stderr, err := ctl(t, append([]string{"put", "k", "v"}, ops...)...); err != nil {
		t.Fatalf("put: %v, %s", err, stderr)
	}
	if out, stderr, err := ctl(t, append([]string{"get", "k"}, shopper...)...); err != nil || !strings.Contains(out, "v") {
		t.Errorf("get: %q, %v, %s", out, err, stderr)
	}
	if out, stderr, err := ctl(t, append([]string{"status"}, ops...)...); err != nil || strings.Contains(out, "denied") {
		t.Errorf("an operator's status: %s, %v, %s", out, err, stderr)
	}
	if out, _, err := ctl(t, append([]string{"status"}, shopper...)...); !strings.Contains(out, "permission denied") {
		t.Errorf("a client's status: %s, %v, want permission denied", out, err)
	}
	if out, _, err := ctl(t, append([]string{"get", "k"}, servers...)...); err == nil {
		t.Errorf("get without a certificate: %q, want an error", out)
	}
	if _, _, err := ctl(t, append([]string{"get", "k", "--tls-cert", "only"}, servers...)...); exitCode(err) != 254 {
		t.Errorf("a certificate without its key: %v, want wrong usage", err)
	}
}
