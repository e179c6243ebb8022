package cartwheel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"cartwheel/harness"
	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/ring"
	"cartwheel/store/transport"
)

// Replicas is how many owners each key has (N): a cluster needs as many nodes.
const Replicas = ring.DefaultReplicas

// callTimeout bounds a call of the harness's own, not of a client.
const callTimeout = 3 * time.Second

// A Connector is a cluster that brings connections of its own. Each client, numbered by
// who opened it, gets its own; nobody closes them but the cluster.
type Connector interface {
	Conn(client int, n harness.NodeID) (grpc.ClientConnInterface, error)
}

// An Attended cluster has a way to its nodes for the harness's own questions that no client takes: without
// it those go where clients go, and a node that is cut off from clients
// cannot tell what it knows.
type Attended interface {
	// AdminAddress is where the node's administration is reached, host:port; empty: where clients reach it.
	AdminAddress(n harness.NodeID) string
}

// A Target reaches the nodes of our store on a cluster.
type Target struct {
	names    store.Rand    // of writes; nil: the operating system's randomness
	collects time.Duration // how often the nodes look for tombstones; 0: never
	clients  atomic.Int64  // opened so far: numbers the next
	routing  client.Routing

	mu    sync.Mutex // guards what follows
	left  map[store.NodeID]bool
	vigil vigil
}

// New returns a target whose clients name their writes at random, as any client does.
func New() *Target { return &Target{} }

// Seeded returns a target whose clients name their writes by r, so that a run in a
// simulation can be repeated. Clients are told apart by the order in which they are opened.
func Seeded(r store.Rand) *Target { return &Target{names: r} }

// Routed makes clients ask the nodes of a key's preference list by themselves, and go on to the next where one cannot be reached
// (section 6.4 of the paper). The node that a client is opened on is where it learns the layout. It returns t.
func (t *Target) Routed() *Target {
	t.routing = client.ClientDriven
	return t
}

// On tells the target how the nodes and their clients are set up, before it is used, and returns it.
func (t *Target) On(o harness.StoreOptions) *Target {
	t.collects = o.TombstoneInterval
	if o.Routed {
		t.Routed()
	}
	return t
}

// Name returns "cartwheel".
func (t *Target) Name() string { return "cartwheel" }

// Open connects to one node; a connection of our own is made by the first call.
func (t *Target) Open(_ context.Context, c harness.Cluster, n harness.NodeID) (harness.Client, error) {
	number := int(t.clients.Add(1)) - 1
	conn, closer, err := dial(c, number, n)
	if err != nil {
		return nil, err
	}
	if t.routing == client.ServerDriven {
		return &session{kv: client.New(conn, client.Options{Rand: t.rand(number)}), close: closer}, nil
	}
	links := &links{cluster: c, client: number, close: []func() error{closer}}
	kv := client.New(conn, client.Options{Rand: t.rand(number), Routing: t.routing, Connect: links.to})
	return &session{kv: kv, close: func() error { return errors.Join(kv.Close(), links.end()) }}, nil
}

// links are the connections of one client that routes.
type links struct {
	cluster harness.Cluster
	client  int

	mu    sync.Mutex // guards close, never a wait
	close []func() error
}

// to returns a new connection to a member.
func (l *links) to(m store.Member) (grpc.ClientConnInterface, error) {
	conn, closer, err := dial(l.cluster, l.client, machine(m.ID))
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.close = append(l.close, closer)
	return conn, nil
}

func (l *links) end() (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, closer := range l.close {
		err = errors.Join(err, closer())
	}
	return err
}

// rand gives a client its share of the target's names.
func (t *Target) rand(number int) store.Rand {
	if t.names == nil {
		return nil
	}
	return func(names ...uint64) uint64 {
		return t.names(append([]uint64{uint64(number)}, names...)...)
	}
}

// dial returns a connection and what closes it.
func dial(c harness.Cluster, number int, n harness.NodeID) (grpc.ClientConnInterface, func() error, error) {
	if own, ok := c.(Connector); ok {
		conn, err := own.Conn(number, n)
		if err != nil {
			return nil, nil, fmt.Errorf("connect to %s: %w", n, err)
		}
		return conn, func() error { return nil }, nil
	}
	address := c.Address(n)
	if apart, ok := c.(Attended); ok && number == admins {
		address = cmp.Or(apart.AdminAddress(n), address)
	}
	if address == "" {
		return nil, nil, fmt.Errorf("connect to %s: it has no address", n)
	}
	conn, err := transport.Dial(address)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", n, err)
	}
	return conn, conn.Close, nil
}

// kv is what a session needs of the client library.
type kv interface {
	Get(ctx context.Context, key store.Key, o store.ReadOptions) (store.ReadResult, error)
	Put(ctx context.Context, key store.Key, value []byte, c store.Context, o store.WriteOptions) (store.WriteResult, error)
	PutAgain(ctx context.Context, key store.Key, value []byte, c store.Context, attempts int, o store.WriteOptions) (store.WriteResult, int, error)
	Delete(ctx context.Context, key store.Key, c store.Context, o store.WriteOptions) (store.WriteResult, error)
}

// A session is one client's connection.
type session struct {
	kv    kv
	close func() error
}

func (s *session) Get(ctx context.Context, key string, o harness.ReadOptions) (harness.Reading, error) {
	opts, err := readOptions(o)
	if err != nil {
		return harness.Reading{}, err
	}
	r, err := s.kv.Get(ctx, store.Key(key), opts)
	if err != nil {
		return failed(err)
	}
	return reading(r.Siblings, r.Context, r.Meta), nil
}

func (s *session) Put(ctx context.Context, key, value string, token []byte, o harness.WriteOptions) (harness.Reading, error) {
	if o.Attempts > 1 {
		return s.putAgain(ctx, key, value, token, o)
	}
	opts, err := writeOptions(o)
	if err != nil {
		return harness.Reading{}, err
	}
	r, err := s.kv.Put(ctx, store.Key(key), []byte(value), token, opts)
	if err != nil {
		return failed(err)
	}
	return reading(r.Siblings, r.Context, r.Meta), nil
}

func (s *session) putAgain(ctx context.Context, key, value string, token []byte, o harness.WriteOptions) (harness.Reading, error) {
	opts, err := writeOptions(o)
	if err != nil {
		return harness.Reading{}, err
	}
	r, sent, err := s.kv.PutAgain(ctx, store.Key(key), []byte(value), token, o.Attempts, opts)
	if err != nil {
		return failed(err)
	}
	out := reading(r.Siblings, r.Context, r.Meta)
	if out.Meta != nil {
		out.Meta.Attempts = sent
	}
	return out, nil
}

func (s *session) Delete(ctx context.Context, key string, token []byte, o harness.WriteOptions) (harness.Reading, error) {
	opts, err := writeOptions(o)
	if err != nil {
		return harness.Reading{}, err
	}
	r, err := s.kv.Delete(ctx, store.Key(key), token, opts)
	if err != nil {
		return failed(err)
	}
	out := reading(r.Siblings, r.Context, r.Meta)
	out.Write = name(r.WriteID)
	return out, nil
}

func (s *session) Close() error { return s.close() }

// failed says how far a request got, as far as its error tells. Whether the error is an
// oath that nothing was written, the client library's errors tell themselves.
func failed(err error) (harness.Reading, error) {
	var r harness.Reading
	var missed *store.QuorumError
	if errors.As(err, &missed) {
		r.Meta = meta(missed.Meta)
	}
	var call *client.Error
	if errors.As(err, &call) && call.Op == "delete" {
		r.Write = name(call.WriteID)
	}
	var behind *store.SessionError
	if errors.As(err, &behind) {
		r.Meta = meta(behind.Meta)
	}
	return r, err
}
