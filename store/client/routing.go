package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/storepb"
	"cartwheel/store/transport"
	"cartwheel/store/transport/trunk"
	"cartwheel/store/version"
)

// A Routing says who finds the nodes that serve a key (paper, sections 4.5 and 6.4).
type Routing uint8

// Routings of a client.
const (
	// ServerDriven sends requests to any address; the node there routes them. It is for
	// addresses behind a load balancer, and for clients that should know nothing.
	ServerDriven Routing = iota
	// ClientDriven learns the layout from the cluster and sends requests to the nodes of the
	// key's preference list, which saves a hop. All nodes must be reachable.
	ClientDriven
)

// Stats are counts since a client was made.
type Stats struct {
	Direct    uint64 // requests sent to a node of the key's preference list
	Redirects uint64 // requests sent on to another node, because nothing came of the first
	Refreshes uint64 // layouts fetched
	Hedged    uint64 // reads for which a second node was asked
	HedgeWins uint64 // of them, those that the second node answered first
}

// Stats returns the counts.
func (c *Client) Stats() Stats {
	s := Stats{Direct: c.direct.Load(), Redirects: c.redirects.Load(), Hedged: c.hedges.Load(), HedgeWins: c.hedgeWins.Load()}
	if c.router != nil {
		s.Refreshes = c.router.refreshes.Load()
	}
	return s
}

// A stop is a node that a request may be sent to.
type stop struct {
	id   store.NodeID // empty: the node at one of the client's addresses, whoever it is
	name string
	at   int // index of the address
	conn grpc.ClientConnInterface
}

// A target is what a request is about, for routing.
type target struct {
	key  store.Key
	read bool
	hint store.NodeID // replica that answered the read behind a write fastest (paper, section 5)
}

// targetOfWrite looks into the context for the node that had best coordinate the write.
func targetOfWrite(w request) target {
	token, err := version.DecodeToken(w.Key, w.Context)
	if err != nil { // the server will say so
		return target{key: w.Key}
	}
	return target{key: w.Key, hint: token.Hint}
}

// route lists the nodes for a request, the one to ask first in front.
func (c *Client) route(t target) (stops []stop) {
	if c.router != nil && t.key != "" {
		stops = c.router.route(t)
	}
	if len(stops) > 0 {
		return stops
	}
	first := int(c.last.Load())
	for i := range c.conns {
		at := (first + i) % len(c.conns)
		s := stop{at: at, conn: c.conns[at]}
		if len(c.opts.Addresses) > 0 {
			s.name = c.opts.Addresses[at]
		}
		stops = append(stops, s)
	}
	return stops
}

// walk sends a request to the first of the stops, and on to the next while that cannot make
// one write two. A node that says the layout has changed has it fetched first. One that reaches too few others may be cut off
// from them: one more is asked then, and no third, because too few may be all that are up.
func (c *Client) walk(ctx context.Context, t target, stops []stop, f func(context.Context, storepb.KVClient) error) error {
	var refusals error
	var tried []store.NodeID
	lonely := 0
	for len(stops) > 0 {
		s := stops[0]
		stops = stops[1:]
		if s.id != "" {
			c.direct.Add(1)
		}
		if refusals != nil {
			c.redirects.Add(1)
		}
		err := transport.Decode(f(ctx, storepb.NewKVClient(s.conn)))
		again := c.learn(s, t, err)
		if alone(t, err) {
			lonely++
			again = lonely == 1 && len(stops) > 0
		}
		if !again {
			return err
		}
		if s.name != "" {
			err = fmt.Errorf("%s: %w", s.name, err)
		}
		refusals = errors.Join(refusals, err)
		if ctx.Err() != nil {
			break
		}
		if tried = append(tried, s.id); s.id != "" && moved(err) && c.router.refresh(ctx) {
			stops = slices.DeleteFunc(c.route(t), func(s stop) bool { return slices.Contains(tried, s.id) })
		}
	}
	return refusals
}

// learn notes how a node has answered and reports whether to try the next.
func (c *Client) learn(s stop, t target, err error) (again bool) {
	if s.id == "" {
		if again = neverSent(err) || drained(err); !again {
			c.last.Store(int64(s.at))
		}
		return again
	}
	silent := transport.Unanswered(err)
	if !errors.Is(err, context.Canceled) { // that says nothing of the node
		c.router.heard(s.id, !silent)
	}
	switch {
	case err == nil:
		return false
	case neverSent(err), moved(err), drained(err):
		return true
	case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrOverloaded), errors.Is(err, store.ErrReadOnly):
		return store.Definite(err)
	}
	return t.read && silent // reads change nothing
}

// alone reports whether a node could not bring a quorum together, and nothing has come of it.
func alone(t target, err error) bool {
	return errors.Is(err, store.ErrNoQuorum) && (t.read || store.Definite(err))
}

// drained reports whether a node has refused because it is to take nothing on any more.
func drained(err error) bool { return store.Definite(err) && errors.Is(err, store.ErrDraining) }

func neverSent(err error) bool { return store.Definite(err) && errors.Is(err, store.ErrDown) }

// moved reports whether a node has refused because the layout that led here is old.
func moved(err error) bool {
	return store.Definite(err) &&
		(errors.Is(err, store.ErrNotOwner) || errors.Is(err, store.ErrWrongRing) || errors.Is(err, store.ErrNotMember))
}

// call makes one attempt at a request that is about no key.
func (c *Client) call(ctx context.Context, f func(context.Context, storepb.KVClient) error) error {
	return c.serve(ctx, func(ctx context.Context) error { return c.walk(ctx, target{}, c.route(target{}), f) })
}

// serve gives a call its time, and Close something to wait for.
func (c *Client) serve(ctx context.Context, f func(context.Context) error) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return fmt.Errorf("client: %w", store.ErrClosed)
	}
	c.work.Add(1)
	c.mu.Unlock()
	defer c.work.Done()
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	return f(ctx)
}

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
		l, err = layoutFrom(ctx, kv)
		return err
	})
	if err != nil {
		return Layout{}, &Error{Op: "ring", Err: err, definite: true}
	}
	return l, nil
}

func layoutFrom(ctx context.Context, kv storepb.KVClient) (Layout, error) {
	reply, err := kv.Ring(ctx, &storepb.RingRequest{})
	if err != nil {
		return Layout{}, err
	}
	return layoutOf(reply), nil
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

// connect returns the connection to a member, and how to close it.
func (o Options) connect(m store.Member) (grpc.ClientConnInterface, func() error, error) {
	if o.Connect != nil {
		conn, err := o.Connect(m)
		return conn, func() error { return nil }, err
	}
	conn, err := transport.Dial(m.Address, o.DialOptions...)
	if err != nil {
		return nil, nil, err
	}
	line := trunk.Start(trunk.LineOptions{Conn: conn, Methods: []string{
		storepb.KV_Get_FullMethodName, storepb.KV_Put_FullMethodName, storepb.KV_Delete_FullMethodName,
	}})
	return line, line.Close, nil
}

const (
	// refreshTimeout bounds what a request waits for a new layout.
	refreshTimeout = time.Second
	// suspectInterval is how often nodes that did not answer are asked again.
	suspectInterval = time.Second
	// wakePause is between a node's silence and the fetch of a layout that it brings about.
	wakePause = time.Millisecond
)
