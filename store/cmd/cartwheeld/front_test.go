package main

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"cartwheel/store/client"
)

// Whoever takes all connections of the clients' port does not keep operators out.
func TestOperatorsComeInWhereClientsFillTheirPort(t *testing.T) {
	address, admin := freeAddress(t), freeAddress(t)
	stop, log := start(t, nil, "--id", "n1", "--listen", address, "--admin-listen", admin, "--connections-max", "1", "--members", "n1="+address,
		"--replicas", "1", "--read-quorum", "1", "--write-quorum", "1", "--partitions", "4", "--data", t.TempDir())
	ready(t, admin)
	crowd, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer crowd.Close()
	// The port is full once one more is closed without a word.
	for begun := time.Now(); !strings.Contains(log.String(), "refused a connection"); {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("the port never filled:\n%s", log)
		}
		more, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		more.Close()
		time.Sleep(10 * time.Millisecond)
	}
	c, err := client.DialAdmin(admin, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if st, err := c.Status(t.Context()); err != nil || st.Node != "n1" {
		t.Errorf("got %+v, %v", st, err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestADaemonThatCannotHaveBothPortsLetsGoOfTheFirst(t *testing.T) {
	address := freeAddress(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	quiet := slog.New(slog.DiscardHandler)
	if _, err := listen(settings{listen: address, adminListen: taken.Addr().String()}, quiet); err == nil || !strings.Contains(err.Error(), "another daemon") {
		t.Errorf("got %v", err)
	}
	again, err := listen(settings{listen: address}, quiet)
	if err != nil {
		t.Fatalf("the first port was kept: %v", err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
}
