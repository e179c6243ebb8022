package main

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/health/grpc_health_v1"

	"cartwheel/store/client"
	"cartwheel/store/transport"
)

func TestADrainedDaemonTellsItsHealth(t *testing.T) {
	address, debug := freeAddress(t), freeAddress(t)
	stop, _ := start(t, nil, "--id", "n1", "--listen", address, "--members", "n1="+address, "--data", t.TempDir(), "--partitions", "8",
		"--replicas", "1", "--read-quorum", "1", "--write-quorum", "1", "--debug-listen", debug)
	ready(t, address)
	a, err := client.DialAdmin(address, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	conn, err := transport.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, draining := range []bool{true, false} {
		if d, err := a.Drain(t.Context(), !draining); err != nil || d.Draining != draining {
			t.Fatalf("drain %t: %+v, %v", draining, d, err)
		}
		reply, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err != nil || reply.GetStatus() != healthOf(draining) {
			t.Errorf("draining %t: health is %v, %v", draining, reply.GetStatus(), err)
		}
		status, body := page(t, "http://"+debug+"/healthz")
		if (status == http.StatusOK) == draining || strings.Contains(body, "--undo") != draining {
			t.Errorf("draining %t: /healthz is %d %q", draining, status, body)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
