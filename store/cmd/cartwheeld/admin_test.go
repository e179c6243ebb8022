package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/storepb"
	"cartwheel/store/transport"
)

// services asks a port by reflection what it serves.
func services(t *testing.T, address string) string {
	t.Helper()
	conn, err := transport.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{ListServices: "*"},
	}); err != nil {
		t.Fatal(err)
	}
	reply, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range reply.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	return strings.Join(names, " ")
}

// With a port of their own, operators are served there and nowhere else, and with a token only who shows it.
func TestOperatorsHaveAPortOfTheirOwn(t *testing.T) {
	address, operators, token := freeAddress(t), freeAddress(t), filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(strings.Repeat("secret", 5)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop, log := start(t, nil, "--id", "n1", "--listen", address, "--members", "n1="+address, "--data", t.TempDir(), "--partitions", "8",
		"--replicas", "1", "--read-quorum", "1", "--write-quorum", "1", "--admin-listen", operators, "--admin-token-file", token)
	ready(t, address)
	ready(t, operators)
	admin, kv, peer := storepb.Admin_ServiceDesc.ServiceName, storepb.KV_ServiceDesc.ServiceName, storepb.Peer_ServiceDesc.ServiceName
	for at, want := range map[string]map[string]bool{address: {admin: false, kv: true, peer: true}, operators: {admin: true, kv: true, peer: false}} {
		got := services(t, at)
		for name, served := range want {
			if strings.Contains(got, name) != served {
				t.Errorf("%s serves %s, want %s among them: %v", at, got, name, served)
			}
		}
	}
	for _, c := range []struct {
		name, at, token string
		denied          bool
		code            codes.Code
	}{
		{name: "on the clients' port", at: address, token: strings.Repeat("secret", 5), code: codes.Unimplemented},
		{name: "with the token", at: operators, token: strings.Repeat("secret", 5)},
		{name: "with another", at: operators, token: strings.Repeat("Secret", 5), denied: true, code: codes.PermissionDenied},
		{name: "with none", at: operators, denied: true, code: codes.PermissionDenied},
	} {
		var options []grpc.DialOption
		if c.token != "" {
			options = append(options, transport.WithBearer(func() string { return c.token }))
		}
		a, err := client.DialAdmin(c.at, client.Options{DialOptions: options})
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Status(context.WithoutCancel(t.Context()))
		if status.Code(err) != c.code || errors.Is(err, store.ErrDenied) != c.denied {
			t.Errorf("%s: got %v, want %v", c.name, err, c.code)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if strings.Contains(log.String(), "secretsecret") {
		t.Error("the token is in the log")
	}
}

func TestAPortForOperatorsMustBeAnother(t *testing.T) {
	var out buffer
	err := run(t.Context(), []string{"--id", "n1", "--members", "n1=a:1", "--listen", ":7070", "--admin-listen", ":7070"}, environment(nil), &out, &out)
	if err == nil || !strings.Contains(err.Error(), "two ports") {
		t.Errorf("got %v", err)
	}
}
