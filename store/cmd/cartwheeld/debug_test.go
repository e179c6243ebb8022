package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"cartwheel/store"
	"cartwheel/store/client"
)

func page(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestMetricsTellWhatTheNodeDid(t *testing.T) {
	address, debug := freeAddress(t), freeAddress(t)
	stop, log := start(t, nil, "--id", "n1", "--listen", address, "--members", "n1="+address, "--replicas", "1", "--read-quorum", "1", "--write-quorum", "1",
		"--partitions", "4", "--data", t.TempDir(), "--debug-listen", debug)
	ready(t, address)
	c, err := client.Dial(client.Options{Addresses: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Put(t.Context(), "k", []byte("v"), nil, store.WriteOptions{}); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	for range 3 {
		if _, err := c.Get(t.Context(), "k", store.ReadOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if status, body := page(t, "http://"+debug+"/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %q", status, body)
	}
	_, body := page(t, "http://"+debug+"/metrics")
	for _, want := range []string{
		`cartwheel_info{node="n1"} 1`,
		"cartwheel_coordinator_writes_total 1",
		"cartwheel_coordinator_gets_total 3",
		`cartwheel_versions_returned_bucket{le="1"} 3`,
		"cartwheel_versions_returned_sum 3",
		"cartwheel_hints_held 0",
		`cartwheel_engine_wal_fsync_seconds_count{engine="data"}`,
		`grpc_server_handling_seconds_count{grpc_method="Get",grpc_service="cartwheel.store.v1.KV",grpc_type="unary"} 3`,
		"process_cpu_seconds_total",
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if status, body := page(t, "http://"+debug+"/debug/pprof/goroutine?debug=1"); status != http.StatusOK || !strings.Contains(body, "goroutine profile") {
		t.Errorf("pprof: %d", status)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+debug+"/metrics", nil)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Error("metrics are served after the end")
	}
}
