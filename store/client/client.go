package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/clock"
	"cartwheel/store/crdt"
	"cartwheel/store/storepb"
	"cartwheel/store/transport"
)

// Options of a client.
type Options struct {
	Addresses []string      // host:port of some nodes, tried in this order; for Dial
	Timeout   time.Duration // of a call, unless its context ends earlier; default 5s
	// Rand names writes. Two clients that draw the same numbers make writes that the store
	// takes for one. Default: the operating system's randomness.
	Rand store.Rand
	// Clock stamps what a Register is set to. Default: the machine's.
	Clock clock.Clock
	// DialOptions are added to those that the store needs. Interceptors among them do not see the gets, puts and deletes that a
	// ClientDriven client makes on its streams (package trunk).
	DialOptions []grpc.DialOption

	Routing         Routing       // who finds a key's nodes; default ServerDriven
	RefreshInterval time.Duration // of the layout of a ClientDriven client; default 10s (paper, section 6.4)
	// Connect returns the connection of a ClientDriven client to a member, which stays the
	// caller's to close; it must not block. Default: the member's address is dialed.
	Connect func(store.Member) (grpc.ClientConnInterface, error)

	// HedgeAfter is how long a read may take before another node is asked as well, or HedgeP95. At
	// most one in ten reads is hedged. Default: never.
	HedgeAfter time.Duration
}

// A Client reads and writes keys.
type Client struct {
	opts   Options
	conns  []grpc.ClientConnInterface
	close  func() error
	writes atomic.Uint64 // ids drawn from Options.Rand
	calls  atomic.Uint64 // the same, of requests
	last   atomic.Int64  // index of the connection that worked last
	router *router       // nil: ServerDriven
	pace   pace
	work   sync.WaitGroup // calls, and reads that lost against their hedge

	direct, redirects, hedges, hedgeWins atomic.Uint64

	mu      sync.Mutex // guards what follows, never a wait
	closed  bool
	authors map[store.Key]crdt.Author
}

// Dial returns a client of the cluster to which the addresses belong. It does not wait
// for a connection.
func Dial(o Options) (*Client, error) {
	if len(o.Addresses) == 0 {
		return nil, fmt.Errorf("client: no addresses: %w", store.ErrInvalid)
	}
	var conns []*grpc.ClientConn
	closeAll := func() (err error) {
		for _, c := range conns {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	c := &Client{opts: o.withDefaults(), close: closeAll}
	for _, address := range o.Addresses {
		conn, err := transport.Dial(address, o.DialOptions...)
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		conns = append(conns, conn)
		c.conns = append(c.conns, conn)
	}
	return c.start(), nil
}

// New returns a client that uses a connection of the caller's, which stays the caller's to close.
func New(conn grpc.ClientConnInterface, o Options) *Client {
	c := &Client{opts: o.withDefaults(), conns: []grpc.ClientConnInterface{conn}, close: func() error { return nil }}
	return c.start()
}

func (c *Client) start() *Client {
	if c.opts.Routing == ClientDriven {
		c.router = startRouter(c.opts, c.conns)
	}
	return c
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.RefreshInterval <= 0 {
		o.RefreshInterval = 10 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.System
	}
	return o
}

// Close closes the connections that Dial made, and those to members. Calls in flight fail, unless their
// connection is the caller's; when Close returns there are none.
func (c *Client) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	var err error
	if first {
		if c.router != nil {
			err = c.router.Close()
		}
		err = errors.Join(err, c.close())
	}
	c.work.Wait()
	return err
}

// Get reads a key. A key that was never written is no error: the result has no siblings.
func (c *Client) Get(ctx context.Context, key store.Key, o store.ReadOptions) (res store.ReadResult, err error) {
	ctx = c.request(ctx)
	err = c.serve(ctx, func(ctx context.Context) error {
		reply, err := c.read(ctx, target{key: key, read: true}, transport.GetRequest(key, o))
		if err != nil {
			return err
		}
		res, err = transport.ReadResult(reply)
		return err
	})
	if err != nil {
		return store.ReadResult{}, &Error{Op: "get", Key: key, Err: err, Request: store.RequestOf(ctx), definite: true}
	}
	return res, nil
}

// Put writes a value that supersedes what the context covers; the empty context
// supersedes nothing. The result shows all siblings, the value among them.
func (c *Client) Put(ctx context.Context, key store.Key, value []byte, past store.Context, o store.WriteOptions) (store.WriteResult, error) {
	return c.write(ctx, "put", transport.Write{Key: key, Value: value, Context: past, Options: o})
}

// Delete removes what the context covers, which must not be empty, and nothing else.
func (c *Client) Delete(ctx context.Context, key store.Key, past store.Context, o store.WriteOptions) (store.WriteResult, error) {
	return c.write(ctx, "delete", transport.Write{Key: key, Tombstone: true, Context: past, Options: o})
}

// A request is a put or delete with its name.
type request = transport.Write

func (c *Client) write(ctx context.Context, op string, w request) (store.WriteResult, error) {
	w, err := c.name(op, w)
	if err != nil {
		return store.WriteResult{}, err
	}
	return c.send(ctx, w)
}

// name gives a write a name that no other write has.
func (c *Client) name(op string, w request) (request, error) {
	var err error
	if w.WriteID, err = c.newWriteID(); err != nil {
		return w, &Error{Op: op, Key: w.Key, Err: err, definite: true}
	}
	return w, nil
}

// send makes one attempt at a write.
func (c *Client) send(ctx context.Context, w request) (res store.WriteResult, err error) {
	op := "put"
	if w.Tombstone {
		op = "delete"
	}
	ctx = c.request(ctx)
	t := targetOfWrite(w)
	attempt := func(ctx context.Context, kv storepb.KVClient) error {
		var reply *storepb.PutReply
		var err error
		if w.Tombstone {
			reply, err = kv.Delete(ctx, transport.DeleteRequest(w))
		} else {
			reply, err = kv.Put(ctx, transport.PutRequest(w))
		}
		if err != nil {
			return err
		}
		if res, err = transport.WriteResult(reply, w.Value); err != nil {
			return fmt.Errorf("reply: %v", err) // not wrapped: it says nothing of the write
		}
		return nil
	}
	err = c.serve(ctx, func(ctx context.Context) error { return c.walk(ctx, t, c.route(t), attempt) })
	res.WriteID = w.WriteID
	if err != nil {
		return store.WriteResult{}, &Error{Op: op, Key: w.Key, Err: err, WriteID: w.WriteID, Request: store.RequestOf(ctx), definite: store.Definite(err)}
	}
	return res, nil
}

// newWriteID draws a name for a write that no other write has.
func (c *Client) newWriteID() (id store.WriteID, err error) {
	if c.opts.Rand == nil {
		_, err = rand.Read(id[:])
		return id, err
	}
	n := c.writes.Add(1)
	binary.BigEndian.PutUint64(id[:8], c.opts.Rand(n, 0))
	binary.BigEndian.PutUint64(id[8:], c.opts.Rand(n, 1))
	return id, nil
}
