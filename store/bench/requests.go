package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/transport"
)

// keysPerClient bounds what each client writes, so that most puts supersede an older value.
const keysPerClient = 200

// Requests are those of some clients to one cluster. Each client has connections of its own and
// writes keys of its own, with the context of its last write of that key.
type Requests struct {
	clients  []*client.Client
	contexts [][keysPerClient]store.Context
	value    []byte
	size     int
}

// Dial makes the clients. They learn the layout and ask owners themselves.
func Dial(c *Cluster, clients, valueSizeBytes int) (*Requests, error) {
	r := &Requests{contexts: make([][keysPerClient]store.Context, clients), value: make([]byte, valueSizeBytes), size: valueSizeBytes}
	for range clients {
		conn, err := client.Dial(client.Options{Addresses: c.Addresses, Routing: client.ClientDriven})
		if err != nil {
			return nil, errors.Join(err, r.Close())
		}
		r.clients = append(r.clients, conn)
	}
	return r, nil
}

func (r *Requests) key(client, n int) store.Key {
	return store.Key(benchKey(r.size, client, n))
}

// benchKey is what a client's n-th put of a value of a size writes.
func benchKey(size, client, n int) string {
	return fmt.Sprintf("bench-%d-%d-%d", size, client, n%keysPerClient)
}

// Put supersedes what its client wrote last under the key.
func (r *Requests) Put(ctx context.Context, c, n int) error {
	past := &r.contexts[c][n%keysPerClient]
	res, err := r.clients[c].Put(ctx, r.key(c, n), r.value, *past, store.WriteOptions{})
	if err == nil {
		*past = res.Context
	}
	return err
}

// Add writes a key that nobody has written before.
func (r *Requests) Add(ctx context.Context, c, n int) error {
	_, err := r.clients[c].Put(ctx, store.Key(fmt.Sprintf("more-%d-%d-%d", r.size, c, n)), r.value, nil, store.WriteOptions{})
	return err
}

// Get reads a key that some client has written. A key without its value is an error.
func (r *Requests) Get(ctx context.Context, c, n int) error {
	key := r.key((c+n)%len(r.clients), n)
	res, err := r.clients[c].Get(ctx, key, store.ReadOptions{})
	if err == nil && (len(res.Siblings) == 0 || len(res.Siblings[0].Value) != r.size) {
		return fmt.Errorf("%s: got %d siblings, want a value of %d bytes", key, len(res.Siblings), r.size)
	}
	return err
}

// Fill writes every key once.
func (r *Requests) Fill(ctx context.Context) error {
	for c := range r.clients {
		for n := range keysPerClient {
			if err := r.Put(ctx, c, n); err != nil {
				return fmt.Errorf("fill: %w", err)
			}
		}
	}
	return nil
}

// Close closes the clients.
func (r *Requests) Close() (err error) {
	for _, c := range r.clients {
		err = errors.Join(err, c.Close())
	}
	return err
}

// EmptyCalls measures calls to the same daemons that do next to nothing: health checks.
func EmptyCalls(ctx context.Context, c *Cluster, clients int, d time.Duration) (_ Load, err error) {
	var conns []*grpc.ClientConn
	defer func() {
		for _, conn := range conns {
			err = errors.Join(err, conn.Close())
		}
	}()
	for i := range clients {
		conn, err := transport.Dial(c.Addresses[i%len(c.Addresses)])
		if err != nil {
			return Load{}, err
		}
		conns = append(conns, conn)
	}
	return Closed(ctx, clients, d, func(ctx context.Context, client, _ int) error {
		_, err := grpc_health_v1.NewHealthClient(conns[client]).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		return err
	}), nil
}

// SyncedCommits measures commits to a new Pebble below dir, each on disk before the next
// of its client.
func SyncedCommits(ctx context.Context, dir string, clients, valueSizeBytes int, d time.Duration) (_ Load, err error) {
	db, err := pebble.Open(dir, &pebble.Options{})
	if err != nil {
		return Load{}, fmt.Errorf("open %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	value := make([]byte, valueSizeBytes)
	return Closed(ctx, clients, d, func(_ context.Context, client, n int) error {
		return db.Set(fmt.Appendf(nil, "bench-%d-%d", client, n%keysPerClient), value, pebble.Sync)
	}), nil
}
