package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/client"
)

// count reads a counter of gRPC from a page of metrics; 0 if it is not there.
func count(t *testing.T, page, metric, method string) int {
	t.Helper()
	m := regexp.MustCompile(fmt.Sprintf(`(?m)^%s\{[^}]*grpc_method="%s"[^}]*\} (\d+)$`, metric, method)).FindAllStringSubmatch(page, -1)
	sum := 0
	for _, line := range m {
		n, err := strconv.Atoi(line[1])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

func TestNodesCallEachOtherOnAStreamThatIsMeasuredByMethod(t *testing.T) {
	one, two, debug := freeAddress(t), freeAddress(t), freeAddress(t)
	members := "n1=" + one + ",n2=" + two
	flags := []string{"--members", members, "--replicas", "2", "--read-quorum", "2", "--write-quorum", "2", "--partitions", "4"}
	stopOne, _ := start(t, nil, append(flags, "--id", "n1", "--listen", one, "--data", t.TempDir())...)
	stopTwo, _ := start(t, nil, append(flags, "--id", "n2", "--listen", two, "--data", t.TempDir(), "--debug-listen", debug)...)
	ready(t, one)
	ready(t, two)
	c, err := client.Dial(client.Options{Addresses: []string{one}}) // n1 coordinates: it is an owner of everything
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var body string
	puts := 0
	for deadline := time.Now().Add(30 * time.Second); ; { // until the stream is open and has carried a call
		if _, err := c.Put(t.Context(), "k", []byte("v"), nil, store.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		puts++
		if _, body = page(t, "http://"+debug+"/metrics"); count(t, body, "grpc_server_msg_received_total", "Carry") > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no call came on a stream")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if merges := count(t, body, "grpc_server_handled_total", "ReplicaMerge"); merges < puts {
		t.Errorf("%d merges are measured, want %d or more\n%s", merges, puts, strings.Join(regexp.MustCompile(`(?m)^grpc_server_handled_total.*`).FindAllString(body, -1), "\n"))
	}
	for _, stop := range []func() error{stopTwo, stopOne} {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}
