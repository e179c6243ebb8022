package credentials_test

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpccredentials "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"cartwheel/store"
	"cartwheel/store/credentials"
	"cartwheel/store/credentials/certtest"
)

func open(t *testing.T, f credentials.Files) *credentials.Source {
	t.Helper()
	s, err := credentials.Open(f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve runs a server and returns its address.
func serve(t *testing.T, c grpccredentials.TransportCredentials) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(c))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) }) // what went wrong is seen by callers
	t.Cleanup(func() { server.Stop(); wg.Wait() })
	return l.Addr().String()
}

// call connects anew and returns the certificate that the server showed.
func call(t *testing.T, address string, c grpccredentials.TransportCredentials) (*x509.Certificate, error) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(c))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var p peer.Peer
	if _, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Peer(&p)); err != nil {
		return nil, err
	}
	return p.AuthInfo.(grpccredentials.TLSInfo).State.PeerCertificates[0], nil
}

func TestWhoMayConnect(t *testing.T) {
	ours, others := certtest.New(t), certtest.New(t)
	server := ours.Write(t, t.TempDir(), "n1")
	good, foreign := ours.Write(t, t.TempDir(), "c1"), others.Write(t, t.TempDir(), "c2")
	for _, c := range []struct {
		name     string
		optional bool
		files    credentials.Files
		refused  bool
		want     string // of the error, where it is the client that refuses: a server may just hang up
	}{
		{name: "own authority", files: good},
		{name: "client trusts another authority", files: credentials.Files{Cert: good.Cert, Key: good.Key, CA: foreign.CA}, refused: true, want: "unknown authority"},
		{name: "server trusts another authority", files: credentials.Files{Cert: foreign.Cert, Key: foreign.Key, CA: good.CA}, refused: true},
		{name: "no certificate", files: credentials.Files{CA: good.CA}, refused: true},
		{name: "no certificate, which is optional", optional: true, files: credentials.Files{CA: good.CA}},
		{name: "wrong certificate, which is optional", optional: true, files: credentials.Files{Cert: foreign.Cert, Key: foreign.Key, CA: good.CA}, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := call(t, serve(t, open(t, server).Server(c.optional)), open(t, c.files).Client())
			if c.refused != (status.Code(err) == codes.Unavailable) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want refused: %v, with %q", err, c.refused, c.want)
			}
		})
	}
}

func TestAServerForAnotherHostIsRefused(t *testing.T) {
	ours := certtest.New(t)
	s := open(t, ours.Write(t, t.TempDir(), "n1"))
	_, port, err := net.SplitHostPort(serve(t, s.Server(false)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, "localhost:"+port, s.Client()); err == nil || !strings.Contains(err.Error(), "localhost") {
		t.Errorf("a certificate of n1 and 127.0.0.1 was taken for localhost: %v", err)
	}
}

// Both sides pass from one authority to another without a restart, by way of files that fit nothing.
func TestNewHandshakesUseNewCertificates(t *testing.T) {
	dir, old, next := t.TempDir(), certtest.New(t), certtest.New(t)
	files := old.Write(t, dir, "n1")
	s := open(t, files)
	address := serve(t, s.Server(false))
	before, err := call(t, address, s.Client())
	if err != nil {
		t.Fatal(err)
	}

	key, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files.Key, key[:len(key)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if during, err := call(t, address, s.Client()); err != nil || !during.Equal(before) {
		t.Errorf("with half a key on disk: %v, want the old certificate to be shown", err)
	}

	next.Write(t, dir, "n1")
	after, err := call(t, address, s.Client())
	if err != nil {
		t.Fatal(err)
	}
	if after.Equal(before) {
		t.Error("the old certificate was shown after it had been replaced")
	}
	if _, err := call(t, address, open(t, old.Write(t, t.TempDir(), "c1")).Client()); err == nil {
		t.Error("a client of the old authority was let in")
	}
}

func TestFilesThatCannotBeUsedAreRefused(t *testing.T) {
	good := certtest.New(t).Write(t, t.TempDir(), "n1")
	for name, f := range map[string]credentials.Files{
		"no authority":        {Cert: good.Cert, Key: good.Key},
		"certificate, no key": {Cert: good.Cert, CA: good.CA},
		"key, no certificate": {Key: good.Key, CA: good.CA},
		"authority is a key":  {CA: good.Key},
	} {
		if _, err := credentials.Open(f, slog.New(slog.DiscardHandler)); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	if _, err := credentials.Open(credentials.Files{CA: good.CA + ".missing"}, slog.New(slog.DiscardHandler)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: got %v", err)
	}
}
