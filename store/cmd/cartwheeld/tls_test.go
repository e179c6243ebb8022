package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/credentials"
	"cartwheel/store/credentials/certtest"
)

func secured(t *testing.T, f credentials.Files) []grpc.DialOption {
	t.Helper()
	s, err := credentials.Open(f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return []grpc.DialOption{grpc.WithTransportCredentials(s.Client())}
}

// A put needs both nodes, so it shows that peers, too, reach each other by TLS. Then all certificates
// pass to another authority: whoever still has an old one is refused from then on.
func TestNodesTalkByTLSAndTakeNewCertificatesWithoutARestart(t *testing.T) {
	old, next := certtest.New(t), certtest.New(t)
	addresses, dirs := map[string]string{"n1": freeAddress(t), "n2": freeAddress(t)}, map[string]string{"n1": t.TempDir(), "n2": t.TempDir()}
	stops := map[string]func() error{}
	launch := func(id string) {
		f := old.Write(t, dirs[id], id)
		stops[id], _ = start(t, nil, "--id", id, "--listen", addresses[id], "--members", "n1="+addresses["n1"]+",n2="+addresses["n2"], "--data", t.TempDir(),
			"--replicas", "2", "--partitions", "8", "--tls-cert", f.Cert, "--tls-key", f.Key, "--tls-ca", f.CA, "--tls-peer-names", "n1,n2", "--tls-admin-names", "ops")
	}
	launch("n1")
	launch("n2")
	shopper := old.Write(t, t.TempDir(), "shopper")
	put(t, addresses["n1"], secured(t, shopper), true)
	put(t, addresses["n1"], nil, false)
	put(t, addresses["n1"], secured(t, next.Write(t, t.TempDir(), "shopper")), false)

	for name, allowed := range map[string]bool{"ops": true, "n1": false} {
		admin, err := client.DialAdmin(addresses["n1"], client.Options{DialOptions: secured(t, old.Write(t, t.TempDir(), name))})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Status(t.Context()); errors.Is(err, store.ErrDenied) == allowed || allowed && err != nil {
			t.Errorf("%s asks for the status: %v, want allowed: %v", name, err, allowed)
		}
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	}

	next.Write(t, dirs["n1"], "n1")
	next.Write(t, dirs["n2"], "n2")
	put(t, addresses["n2"], secured(t, shopper), false)
	put(t, addresses["n2"], secured(t, next.Write(t, t.TempDir(), "shopper")), true)
	for id, stop := range stops {
		if err := stop(); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// put tries for at most half a minute to write through a node if it is to be allowed, and once otherwise:
// a server that is up by then must refuse.
func put(t *testing.T, address string, secure []grpc.DialOption, allowed bool) {
	t.Helper()
	c, err := client.Dial(client.Options{Addresses: []string{address}, DialOptions: secure})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		_, err = c.Put(ctx, "k", []byte("v"), nil, store.WriteOptions{Mode: store.Strict})
		if (err == nil) == allowed || ctx.Err() != nil || !allowed {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if refusal := errors.Is(err, store.ErrDenied) && strings.Contains(err.Error(), "certificate refused: "); secure != nil && refusal == allowed {
		t.Errorf("put through %s: %v, want it told as a refused certificate: %v", address, err, !allowed)
	}
	if !allowed && client.Outcome(err) != store.OutcomeNotWritten {
		t.Errorf("put through %s: %v, want it definite: the handshake failed", address, err)
	}
	if (err == nil) != allowed {
		t.Errorf("put through %s: %v, want allowed: %v", address, err, allowed)
	}
}

func TestTLSSettingsThatGuardNothingAreRefused(t *testing.T) {
	for _, args := range [][]string{{"--tls-cert", "c", "--tls-key", "k"}, {"--tls-peer-names", "n1"}, {"--tls-client-cert-optional"}} {
		var out buffer
		err := run(t.Context(), append(args, "--id", "n1", "--members", "n1=a:1", "--data", t.TempDir()), environment(nil), &out, &out)
		if err == nil || !strings.Contains(err.Error(), "--tls-cert, --tls-key and --tls-ca") {
			t.Errorf("%v: got %v", args, err)
		}
	}
}
