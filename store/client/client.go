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
	// DialOptions are added to those that the store needs.
	DialOptions []grpc.DialOption
}

// A Client reads and writes keys.
type Client struct {
	opts   Options
	conns  []grpc.ClientConnInterface
	close  func() error
	writes atomic.Uint64 // ids drawn from Options.Rand
	last   atomic.Int64  // index of the connection that worked last
	closed atomic.Bool

	mu      sync.Mutex // guards authors, never a wait
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
	return c, nil
}

// New returns a client that uses a connection of the caller's, which stays the caller's to close.
func New(conn grpc.ClientConnInterface, o Options) *Client {
	return &Client{opts: o.withDefaults(), conns: []grpc.ClientConnInterface{conn}, close: func() error { return nil }}
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.System
	}
	return o
}

// Close closes the connections that Dial made. Calls in flight fail.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.close()
}

// Get reads a key. A key that was never written is no error: the result has no siblings.
func (c *Client) Get(ctx context.Context, key store.Key, o store.ReadOptions) (res store.ReadResult, err error) {
	err = c.call(ctx, func(ctx context.Context, kv storepb.KVClient) error {
		reply, err := kv.Get(ctx, transport.GetRequest(key, o))
		if err != nil {
			return err
		}
		res, err = transport.ReadResult(reply)
		return err
	})
	if err != nil {
		return store.ReadResult{}, &Error{Op: "get", Key: key, Err: err, definite: true}
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
	err = c.call(ctx, func(ctx context.Context, kv storepb.KVClient) error {
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
	})
	res.WriteID = w.WriteID
	if err != nil {
		return store.WriteResult{}, &Error{Op: op, Key: w.Key, Err: err, WriteID: w.WriteID, definite: store.Definite(err)}
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

// call makes one attempt at the node that worked last. It goes on to the next address
// only while the request has not left this process.
func (c *Client) call(ctx context.Context, f func(context.Context, storepb.KVClient) error) error {
	if c.closed.Load() {
		return fmt.Errorf("client: %w", store.ErrClosed)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	var unsent error
	first := int(c.last.Load())
	for i := range c.conns {
		at := (first + i) % len(c.conns)
		err := transport.Decode(f(ctx, storepb.NewKVClient(c.conns[at])))
		if err == nil || !neverSent(err) {
			c.last.Store(int64(at))
			return err
		}
		if len(c.opts.Addresses) > 0 {
			err = fmt.Errorf("%s: %w", c.opts.Addresses[at], err)
		}
		unsent = errors.Join(unsent, err)
		if ctx.Err() != nil {
			break
		}
	}
	return unsent
}

func neverSent(err error) bool { return store.Definite(err) && errors.Is(err, store.ErrDown) }

// Layout is who serves what.
type Layout struct {
	Members    []store.Member
	Replicas   int              // N: so many of each preference list are owners
	Partitions [][]store.NodeID // preference lists, by partition
	Digest     uint64           // nodes with equal digests place every key alike
}

// Layout asks for the ring.
func (c *Client) Layout(ctx context.Context) (l Layout, err error) {
	err = c.call(ctx, func(ctx context.Context, kv storepb.KVClient) error {
		reply, err := kv.Ring(ctx, &storepb.RingRequest{})
		if err != nil {
			return err
		}
		l = layoutOf(reply)
		return nil
	})
	if err != nil {
		return Layout{}, &Error{Op: "ring", Err: err, definite: true}
	}
	return l, nil
}

func layoutOf(r *storepb.RingReply) Layout {
	l := Layout{Replicas: int(r.GetReplicas()), Digest: r.GetDigest()}
	for _, m := range r.GetMembers() {
		l.Members = append(l.Members, store.Member{ID: store.NodeID(m.GetId()), Address: m.GetAddress()})
	}
	for _, p := range r.GetPartitions() {
		var list []store.NodeID
		for _, n := range p.GetNodes() {
			list = append(list, store.NodeID(n))
		}
		l.Partitions = append(l.Partitions, list)
	}
	return l
}
