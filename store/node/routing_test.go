package node_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/node"
	"cartwheel/store/transport"
)

// routing returns a client that finds the nodes of a key itself, and knows n1.
func (c *cluster) routing() *client.Client {
	c.clients++
	number := c.clients
	return client.New(link{c.net, "client", "n1"}, client.Options{
		Routing: client.ClientDriven,
		Connect: func(m store.Member) (grpc.ClientConnInterface, error) { return link{c.net, "client", m.ID}, nil },
		Rand: func(names ...uint64) uint64 {
			h := fnv.New64a()
			fmt.Fprintln(h, number, names)
			return h.Sum64()
		},
	})
}

// A run of puts and gets, of many keys through one client.
type routedRun struct {
	hops       int // writes that went through a node which could not coordinate them
	puts, gets time.Duration
	count      int
}

func (c *cluster) measure(t *testing.T, cl *client.Client, name string) (run routedRun) {
	t.Helper()
	ctx := context.Background()
	for i := range 40 {
		key := store.Key(fmt.Sprint(name, i))
		began := time.Now()
		res, err := cl.Put(ctx, key, []byte("x"), nil, store.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		run.puts += time.Since(began)
		if res.Meta.Forwarded {
			run.hops++
		}
		began = time.Now()
		if _, err := cl.Get(ctx, key, store.ReadOptions{}); err != nil {
			t.Fatal(err)
		}
		run.gets += time.Since(began)
		run.count++
	}
	return run
}

// A client that knows the layout saves the hop between the node that it happens to ask and
// one that holds the key (paper, section 6.4, table 2).
func TestAClientThatRoutesSavesAHop(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		servers := c.measure(t, c.client("n1"), "server")
		cl := c.routing()
		defer cl.Close()
		if _, err := cl.Layout(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // virtual: the first layout is there
		clients := c.measure(t, cl, "client")
		t.Logf("of %d writes %d were forwarded, and %d; puts took %.2f as long, gets %.2f", servers.count, servers.hops, clients.hops,
			float64(clients.puts)/float64(servers.puts), float64(clients.gets)/float64(servers.gets))
		if servers.hops == 0 || clients.hops != 0 {
			t.Errorf("%d writes were forwarded through servers, want some, and %d by the client, want none", servers.hops, clients.hops)
		}
		if clients.puts >= servers.puts { // a read asks other nodes in any case: whoever coordinates it
			t.Errorf("puts took %v through servers and %v from the client", servers.puts, clients.puts)
		}
	})
}

// A session holds with both routings, while owners come and go.
func TestASessionHoldsForAClientThatRoutes(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		cl := c.routing()
		defer cl.Close()
		time.Sleep(time.Second)
		s, ctx := cl.Session(), context.Background()
		key, list := c.keyOf("n3")
		write, read := store.WriteOptions{W: 1}, store.ReadOptions{R: 1, Repair: store.RepairNone}
		for round := range 6 {
			want := fmt.Sprint(round)
			c.net.split([]store.NodeID{list[round%3]}, append([]store.NodeID{"client"}, slices.DeleteFunc(slices.Clone(five), func(n store.NodeID) bool { return n == list[round%3] })...))
			_, err := s.Put(ctx, key, []byte(want), write)
			if errors.Is(err, context.DeadlineExceeded) { // the owner asked was the one cut off
				_, err = s.Put(ctx, key, []byte(want), write)
			}
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			c.net.split()
			res, err := s.Get(ctx, key, read)
			if err != nil || !slices.Contains(values(res.Siblings), want) {
				t.Errorf("round %d: read %v, %v; want %s among it", round, values(res.Siblings), err, want)
			}
		}
		if st := cl.Stats(); st.Direct == 0 {
			t.Errorf("nothing was asked of an owner directly: %+v", st)
		}
	})
}

// BenchmarkRouting compares the two routings on real connections, five nodes in this process.
// The hop of a server-driven request is a round trip of its own.
func BenchmarkRouting(b *testing.B) {
	addresses := serveFive(b)
	for _, r := range []struct {
		name    string
		routing client.Routing
	}{{"server-driven", client.ServerDriven}, {"client-driven", client.ClientDriven}} {
		for _, op := range []string{"put", "get"} {
			b.Run(r.name+"/"+op, func(b *testing.B) {
				cl, err := client.Dial(client.Options{Addresses: addresses[:1], Routing: r.routing})
				if err != nil {
					b.Fatal(err)
				}
				defer cl.Close()
				ctx := context.Background()
				for r.routing == client.ClientDriven && cl.Stats().Refreshes == 0 {
					if _, err := cl.Layout(ctx); err != nil {
						b.Fatal(err)
					}
				}
				hops, i, pasts := 0, 0, map[store.Key]store.Context{}
				for b.Loop() {
					i++
					key := store.Key(fmt.Sprint(r.name, i%500))
					var meta store.Meta
					if op == "put" {
						var res store.WriteResult
						res, err = cl.Put(ctx, key, []byte("x"), pasts[key], store.WriteOptions{})
						pasts[key] = res.Context
						meta = res.Meta
					} else {
						var res store.ReadResult
						res, err = cl.Get(ctx, key, store.ReadOptions{})
						meta = res.Meta
					}
					if err != nil {
						b.Fatal(err)
					}
					if meta.Forwarded {
						hops++
					}
				}
				b.ReportMetric(float64(hops)/float64(i), "hops/op")
			})
		}
	}
}

// serveFive starts five nodes on loopback and returns their addresses.
func serveFive(b *testing.B) (addresses []string) {
	b.Helper()
	var listeners []net.Listener
	var members []store.Member
	conns := map[store.NodeID]*grpc.ClientConn{}
	for _, id := range five {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		conn, err := transport.Dial(l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		conns[id] = conn
		listeners, addresses = append(listeners, l), append(addresses, l.Addr().String())
		members = append(members, store.Member{ID: id, Address: l.Addr().String()})
	}
	for i, id := range five {
		began := time.Now()
		n, err := node.Open(node.Config{
			ID: id, Members: members, Dir: "data", FS: vfs.NewMem(),
			Now: func() time.Duration { return time.Since(began) },
			Rand: func(names ...uint64) uint64 {
				h := fnv.New64a()
				fmt.Fprintln(h, id, names)
				return h.Sum64()
			},
			Peers: func(to store.Member) node.Connection { return conns[to.ID] },
		})
		if err != nil {
			b.Fatal(err)
		}
		server := grpc.NewServer(transport.ServerOptions()...)
		n.Register(server)
		served := make(chan error, 1)
		go func() { served <- server.Serve(listeners[i]) }()
		b.Cleanup(func() {
			server.Stop()
			if err := cmp.Or(<-served, n.Close()); err != nil {
				b.Error(err)
			}
		})
	}
	return addresses
}
