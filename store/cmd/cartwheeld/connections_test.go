package main

import (
	"log/slog"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"cartwheel/store"
	"cartwheel/store/transport/trunk"
)

func state(l *trunk.Line) connectivity.State { return l.Connection.(*grpc.ClientConn).GetState() }

func TestConnectionsToFormerAddressesAreClosed(t *testing.T) {
	c := newConnections(slog.New(slog.DiscardHandler))
	stays, err := c.to("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	former, err := c.to("127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	c.keep([]string{"127.0.0.1:3"}, []store.Member{{ID: "n1", Address: "127.0.0.1:1"}})
	if state(stays) == connectivity.Shutdown || state(former) != connectivity.Shutdown {
		t.Errorf("who stays is %v, the former %v", state(stays), state(former))
	}
	if again := c.peer(store.Member{ID: "n2", Address: "127.0.0.1:2"}); again == nil || again == former {
		t.Error("a former address that is asked for again gets no new connection")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
