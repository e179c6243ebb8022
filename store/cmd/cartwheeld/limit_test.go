package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"
)

func TestAConnectionTooManyIsClosedAtOnce(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	l := limit(inner, 2, slog.New(slog.DiscardHandler))
	accepted := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	dial()
	first, second := <-accepted, <-accepted
	third := dial()
	if err := third.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := third.Read(make([]byte, 1)); err == nil || errors.Is(err, io.ErrNoProgress) || isTimeout(err) {
		t.Fatalf("the third connection was not closed: %v", err)
	}
	// A place that is given back, twice by mistake, is one place.
	first.Close()
	first.Close()
	dial()
	<-accepted
	fifth := dial()
	if err := fifth.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fifth.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Fatalf("the connection after two was not closed: %v", err)
	}
	second.Close()
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
