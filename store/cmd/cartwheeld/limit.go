package main

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A limited listener closes connections that are one too many: whoever asked learns it at once and
// goes elsewhere, where a listener that stopped accepting would leave them waiting.
type limited struct {
	net.Listener
	most int64
	log  *slog.Logger
	open atomic.Int64
	told atomic.Int64 // when a refusal was last logged, in seconds
}

// limit bounds the connections that a listener has open at a time.
func limit(l net.Listener, most int, log *slog.Logger) net.Listener {
	return &limited{Listener: l, most: int64(most), log: log}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			return &counted{Conn: conn, end: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		l.refuse(conn)
	}
}

// refuse closes a connection, and says so once a second at most.
func (l *limited) refuse(conn net.Conn) {
	err := conn.Close()
	if now := time.Now().Unix(); l.told.Swap(now) != now {
		l.log.Warn("refused a connection: there are too many", "from", conn.RemoteAddr().String(), "connections_max", l.most, "err", err)
	}
}

// A counted connection gives its place back when it is closed.
type counted struct {
	net.Conn
	end func()
}

func (c *counted) Close() error {
	c.end()
	return c.Conn.Close()
}
