package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/node"
	"cartwheel/store/transport"
	"cartwheel/store/transport/trunk"
)

// connections are those to other nodes, one an address. None connects before it is used; members
// come and go, so more are made on the way. Safe for concurrent use.
type connections struct {
	log     *slog.Logger
	options []grpc.DialOption

	mu     sync.Mutex // held for moments only: to make a connection sends nothing
	open   map[string]*trunk.Line
	closed bool
}

func newConnections(log *slog.Logger, options ...grpc.DialOption) *connections {
	return &connections{log: log, options: options, open: map[string]*trunk.Line{}}
}

// to returns the connection to host:port.
func (c *connections) to(address string) (*trunk.Line, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.open[address]; conn != nil {
		return conn, nil
	}
	if c.closed {
		return nil, fmt.Errorf("connect to %s: %w", address, store.ErrClosed)
	}
	conn, err := transport.Dial(address, c.options...)
	if err != nil {
		return nil, err
	}
	line := trunk.Start(trunk.LineOptions{Conn: conn, Methods: transport.Frequent, Logger: c.log})
	c.open[address] = line
	return line, nil
}

// peer returns the connection to a node, nil if its address is none.
func (c *connections) peer(m store.Member) node.Connection {
	conn, err := c.to(m.Address)
	if err != nil {
		c.log.Warn("no connection to a node", "peer", m.ID, "address", m.Address, "err", err)
		return nil // and not a nil *trunk.Line
	}
	return conn
}

// keep closes the connections to all but the seeds and the members: nobody is at another address any more, or somebody else. They are made
// again should they be asked for. Calls under way on them fail.
func (c *connections) keep(seeds []string, members []store.Member) {
	addresses := slices.Clone(seeds)
	for _, m := range members {
		addresses = append(addresses, m.Address)
	}
	former := map[string]*trunk.Line{} // to close one takes until its goroutines have ended: not under the lock
	c.mu.Lock()
	for address, line := range c.open {
		if !slices.Contains(addresses, address) {
			former[address] = line
			delete(c.open, address)
		}
	}
	c.mu.Unlock()
	for _, address := range slices.Sorted(maps.Keys(former)) {
		err := former[address].Close()
		c.log.Info("closed the connection to a former address", "address", address, "err", err)
	}
}

// Close closes all of them, and no more are made.
func (c *connections) Close() (err error) {
	c.mu.Lock()
	open := c.open
	c.open, c.closed = nil, true
	c.mu.Unlock()
	for _, address := range slices.Sorted(maps.Keys(open)) {
		err = errors.Join(err, open[address].Close())
	}
	return err
}
