package node_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/node"
	"cartwheel/store/ring"
)

var five = []store.NodeID{"n1", "n2", "n3", "n4", "n5"}

// A cluster is some nodes in one bubble.
type cluster struct {
	t       *testing.T
	first   []store.NodeID // that it begins with
	net     *network
	began   time.Time
	nodes   map[store.NodeID]*node.Node
	disks   map[store.NodeID]*vfs.MemFS
	mu      sync.Mutex // guards clients
	starts  int
	clients int
	layout  *ring.Layout

	configure func(*node.Config) // sets what differs from the usual; may be nil
}

// inCluster runs f with five nodes that are up.
func inCluster(t *testing.T, f func(t *testing.T, c *cluster)) {
	t.Helper()
	inClusterOf(t, nil, f)
}

// inClusterOf is inCluster with nodes that are set up otherwise.
func inClusterOf(t *testing.T, configure func(*node.Config), f func(t *testing.T, c *cluster)) {
	t.Helper()
	inClusterWith(t, five, configure, f)
}

// inClusterWith is inClusterOf with other nodes.
func inClusterWith(t *testing.T, nodes []store.NodeID, configure func(*node.Config), f func(t *testing.T, c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t, first: nodes, net: newNetwork(), began: time.Now(), nodes: map[store.NodeID]*node.Node{}, disks: map[store.NodeID]*vfs.MemFS{}, configure: configure}
		layout, err := ring.New(ring.Options{Members: members(nodes...), Partitions: 16})
		if err != nil {
			t.Fatal(err)
		}
		c.layout = layout
		for _, id := range nodes {
			c.disks[id] = vfs.NewCrashableMem()
			c.start(id)
		}
		defer c.close()
		f(t, c)
	})
}

func members(nodes ...store.NodeID) (out []store.Member) {
	for _, id := range nodes {
		out = append(out, store.Member{ID: id, Address: string(id) + ":7070"})
	}
	return out
}

// start starts one of the nodes that the cluster began with, or one that waits for a role.
func (c *cluster) start(id store.NodeID) {
	c.t.Helper()
	c.starts++
	var seeds []string
	first := members(c.first...)
	if !slices.Contains(c.first, id) {
		seeds, first = []string{string(c.first[0]) + ":7070", string(c.first[1]) + ":7070"}, nil
	}
	if c.disks[id] == nil {
		c.disks[id] = vfs.NewCrashableMem()
	}
	life := uint64(c.starts)
	config := node.Config{
		ID: id, Address: string(id) + ":7070", Members: first, Seeds: seeds, Partitions: 16, Dir: "data", FS: c.disks[id],
		Now: func() time.Duration { return time.Since(c.began) },
		Rand: func(names ...uint64) uint64 {
			h := fnv.New64a()
			fmt.Fprintln(h, id, life, names)
			return h.Sum64()
		},
		Peers: func(to store.Member) node.Connection {
			host, _, _ := strings.Cut(to.Address, ":")
			return link{c.net, id, store.NodeID(host)}
		},
		Logger: slog.New(slog.NewTextHandler(c.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if c.configure != nil {
		c.configure(&config)
	}
	n, err := node.Open(config)
	if err != nil {
		c.t.Fatal(err)
	}
	r := &registrar{methods: map[string]method{}}
	n.Register(r)
	c.net.listen(id, r)
	c.nodes[id] = n
}

// crash takes the power from a node: what was not synced is gone. It returns at once.
func (c *cluster) crash(id store.NodeID) {
	c.t.Helper()
	clone := c.disks[id].CrashClone(vfs.CrashCloneCfg{})
	c.net.listen(id, nil)
	c.stop(id) // the old life goes on writing to a disk that nobody reads again
	c.disks[id] = clone
}

func (c *cluster) stop(id store.NodeID) {
	c.t.Helper()
	c.net.listen(id, nil)
	if n := c.nodes[id]; n != nil {
		if err := n.Close(); err != nil {
			c.t.Errorf("close %s: %v", id, err)
		}
		delete(c.nodes, id)
	}
}

func (c *cluster) close() {
	c.net.split()
	for _, id := range c.running() {
		c.stop(id)
	}
}

func (c *cluster) client(id store.NodeID) *client.Client {
	c.clients++
	number := c.clients // equal draws would be one write to the store
	return client.New(link{c.net, "client", id}, client.Options{Rand: func(names ...uint64) uint64 {
		h := fnv.New64a()
		fmt.Fprintln(h, number, names)
		return h.Sum64()
	}})
}

func (c *cluster) admin(id store.NodeID) *client.Admin {
	return client.NewAdmin(link{c.net, "client", id})
}

// keyOf returns a key whose preference list begins with n.
func (c *cluster) keyOf(first store.NodeID) (store.Key, []store.NodeID) {
	for i := range 1000 {
		key := store.Key(fmt.Sprintf("cart:%d", i))
		if list := c.layout.PreferenceList(c.layout.Partition(key)); list[0] == first {
			return key, list
		}
	}
	c.t.Fatal("no key")
	return "", nil
}

// running returns the nodes that run, sorted.
func (c *cluster) running() []store.NodeID { return slices.Sorted(maps.Keys(c.nodes)) }

// settle waits until all nodes say that they have settled.
func (c *cluster) settle() {
	c.t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for quiet := 0; quiet < 2; {
		if time.Now().After(deadline) {
			for _, id := range c.running() {
				st, err := c.admin(id).Status(context.Background())
				c.t.Logf("%s: %+v, %v", id, st, err)
			}
			c.t.Fatal("not settled in five minutes")
		}
		time.Sleep(time.Second)
		quiet++
		for _, id := range c.running() {
			if st, err := c.admin(id).Status(context.Background()); err != nil || !st.Settled {
				quiet = 0
			}
		}
	}
}

// copies returns what each owner holds of a key, and fails if they differ.
func (c *cluster) copies(key store.Key) client.Copy {
	c.t.Helper()
	var first client.Copy
	for i, o := range c.layout.Owners(c.layout.Partition(key)) {
		got, err := c.admin(o).ReadReplica(context.Background(), key)
		if err != nil {
			c.t.Fatal(err)
		}
		if i == 0 {
			first = got
		}
		if !slices.Equal(got.State, first.State) {
			c.t.Errorf("%q: %s holds %s, %s holds %s", key, first.Node, first.Vector, got.Node, got.Vector)
		}
	}
	return first
}

func values(siblings []store.Sibling) (out []string) {
	for _, s := range siblings {
		if s.Tombstone {
			out = append(out, "†")
		} else {
			out = append(out, string(s.Value))
		}
	}
	slices.Sort(out)
	return out
}

func TestAnyNodeServesPutGetAndDelete(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		for _, mode := range []store.Mode{store.Sloppy, store.Strict} {
			for i, id := range five {
				key := store.Key(fmt.Sprintf("%s %d", mode, i))
				a, b := c.client(id), c.client(five[(i+2)%5])
				put, err := a.Put(ctx, key, []byte("milk"), nil, store.WriteOptions{Mode: mode})
				if err != nil {
					t.Fatalf("put %q on %s: %v", key, id, err)
				}
				if got := values(put.Siblings); !slices.Equal(got, []string{"milk"}) {
					t.Errorf("put %q shows %q", key, got)
				}
				if _, err = a.Put(ctx, key, []byte("milk bread"), put.Context, store.WriteOptions{Mode: mode}); err != nil {
					t.Fatal(err)
				}
				got, err := b.Get(ctx, key, store.ReadOptions{Mode: mode})
				if err != nil || !slices.Equal(values(got.Siblings), []string{"milk bread"}) {
					t.Errorf("get %q: %q, %v", key, values(got.Siblings), err)
				}
				if _, err := b.Delete(ctx, key, got.Context, store.WriteOptions{Mode: mode}); err != nil {
					t.Fatal(err)
				}
				got, err = a.Get(ctx, key, store.ReadOptions{Mode: mode})
				if err != nil || !slices.Equal(values(got.Siblings), []string{"†"}) {
					t.Errorf("get %q after delete: %q, %v", key, values(got.Siblings), err)
				}
			}
		}
	})
}

// A partition with all owners of a key but one on the far side: writes go on on both
// sides, the hints find their owners after the heal, and both versions are siblings.
func TestBothSidesOfAPartitionTakeWritesThatMeetAfterTheHeal(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		key, list := c.keyOf("n1")
		left, right := list[:2], list[2:]
		c.net.split(left, right)
		for _, side := range [][]store.NodeID{left, right} {
			res, err := c.client(side[0]).Put(ctx, key, []byte(side[0]), nil, store.WriteOptions{})
			if err != nil {
				t.Fatalf("put on %s: %v", side[0], err)
			}
			t.Logf("put on %s: %+v", side[0], res.Meta)
		}
		var held uint64
		for _, id := range five {
			st, err := c.admin(id).Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			held += st.Hints
			if st.Settled {
				t.Errorf("%s says it has settled", id)
			}
		}
		if held == 0 {
			t.Error("no hint waits, so the partition has not bitten")
		}
		c.net.split()
		c.settle()
		want := []string{string(left[0]), string(right[0])}
		slices.Sort(want)
		if got := c.copies(key); !slices.Equal(values(got.Siblings), want) {
			t.Errorf("replicas hold %q, want %q", values(got.Siblings), want)
		}
		for _, id := range five {
			got, err := c.client(id).Get(ctx, key, store.ReadOptions{})
			if err != nil || !slices.Equal(values(got.Siblings), want) {
				t.Errorf("get on %s: %q, %v", id, values(got.Siblings), err)
			}
		}
	})
}

// Strict writes need owners: the side without enough of them refuses, and swears that it
// has written nothing once it knows.
func TestStrictWritesFailOnTheSideWithTooFewOwners(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		key, list := c.keyOf("n1")
		c.net.split(list[:1], list[1:])
		cl := c.client(list[0])
		strict := store.WriteOptions{Mode: store.Strict}
		_, err := cl.Put(ctx, key, []byte("first"), nil, strict)
		if client.Outcome(err) != store.OutcomeUnknown || !errors.Is(err, store.ErrNoQuorum) {
			t.Errorf("before anyone knows of the partition: %v is %v, want unknown", err, client.Outcome(err))
		}
		time.Sleep(10 * time.Second)
		_, err = cl.Put(ctx, key, []byte("second"), nil, strict)
		if client.Outcome(err) != store.OutcomeNotWritten {
			t.Errorf("after the detector has noticed: %v is %v, want not written", err, client.Outcome(err))
		}
		if _, err := c.client(list[4]).Put(ctx, key, []byte("third"), nil, strict); err != nil {
			t.Errorf("on the side of the majority: %v", err)
		}
		c.net.split()
		c.settle()
		if got := values(c.copies(key).Siblings); !slices.Equal(got, []string{"first", "third"}) {
			t.Errorf("replicas hold %q: an unknown write may live, one not written may not, an acknowledged one must", got)
		}
	})
}

// All five nodes lose power at once, several times; acknowledged writes and hints survive.
func TestAcknowledgedWritesSurviveTheLossOfPower(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		var acked []string
		key, list := c.keyOf("n2")
		for round := range 3 {
			c.net.split(list[:2], list[2:])
			time.Sleep(10 * time.Second) // until then a write may be forwarded into the void
			for i, id := range []store.NodeID{list[0], list[4]} {
				value := fmt.Sprintf("%d.%d", round, i)
				if _, err := c.client(id).Put(ctx, key, []byte(value), nil, store.WriteOptions{}); err != nil {
					t.Fatal(err)
				}
				acked = append(acked, value)
			}
			for _, id := range five {
				c.crash(id)
			}
			c.net.split()
			for _, id := range five {
				c.start(id)
			}
		}
		c.settle()
		slices.Sort(acked)
		if got := values(c.copies(key).Siblings); !slices.Equal(got, acked) {
			t.Errorf("replicas hold %q, want %q", got, acked)
		}
	})
}

// Close in the middle of requests returns, twice, and refuses what comes later.
func TestCloseEndsWhatIsInFlight(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		key, list := c.keyOf("n3")
		c.net.split(list[:1], list[1:])
		done := make(chan error, 1)
		go func() {
			_, err := c.client(list[0]).Put(context.Background(), key, []byte("v"), nil, store.WriteOptions{W: 3})
			done <- err
		}()
		time.Sleep(50 * time.Millisecond)
		n := c.nodes[list[0]]
		began := time.Now()
		if err := errors.Join(n.Close(), n.Close()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("close waited %v for nodes that do not answer", took)
		}
		if err := <-done; client.Outcome(err) != store.OutcomeUnknown {
			t.Errorf("the put in flight: %v is %v, want unknown", err, client.Outcome(err))
		}
		_, err := c.client(list[0]).Put(context.Background(), key, []byte("w"), nil, store.WriteOptions{})
		if !errors.Is(err, store.ErrClosed) || !client.Definite(err) {
			t.Errorf("a put after close: %v, want a definite refusal", err)
		}
		// The write that was cut short waits as hints on the closed node's disk.
		c.stop(list[0])
		c.net.split()
		c.start(list[0])
		c.settle()
		if got := values(c.copies(key).Siblings); !slices.Equal(got, []string{"v"}) {
			t.Errorf("replicas hold %q", got)
		}
	})
}
