package node_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/client"
)

// change stages wishes on a node and commits them.
func (c *cluster) change(at store.NodeID, wishes ...client.Wish) {
	c.t.Helper()
	admin := c.admin(at)
	plan, err := admin.Stage(context.Background(), wishes...)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := admin.Commit(context.Background(), plan.Number); err != nil {
		c.t.Fatal(err)
	}
}

// waitFor waits until a condition holds, at most ten minutes of virtual time.
func (c *cluster) waitFor(what string, holds func() bool) {
	c.t.Helper()
	deadline := time.Now().Add(10 * time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			for _, id := range c.running() {
				m, err := c.admin(id).Members(context.Background())
				tr, terr := c.admin(id).Transfers(context.Background())
				c.t.Logf("%s: %+v, %v\n%+v, %v", id, m, err, tr, terr)
			}
			c.t.Fatalf("not in ten minutes: %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// settled waits until the nodes, and they alone, are the members of the only live version, and each holds what it owns and no more.
func (c *cluster) settled(nodes ...store.NodeID) {
	c.t.Helper()
	c.waitFor(fmt.Sprintf("settled on %v", nodes), func() bool {
		for _, id := range nodes {
			m, err := c.admin(id).Members(context.Background())
			if err != nil || len(m.Live) != 1 || len(m.Nodes) != len(nodes) {
				return false
			}
			for i, n := range m.Nodes {
				if n.ID != nodes[i] || n.State != "member" {
					return false
				}
			}
			if t, err := c.admin(id).Transfers(context.Background()); err != nil || t.Held > 0 {
				return false
			}
		}
		return true
	})
}

// waits reports whether a node is seen to wait for a role.
func (c *cluster) waits(at, id store.NodeID) bool {
	m, err := c.admin(at).Members(context.Background())
	return err == nil && slices.ContainsFunc(m.Waiting, func(w store.Member) bool { return w.ID == id })
}

// A load writes values to keys, each value on top of what a read shows, and remembers what was acknowledged.
type load struct {
	c      *cluster
	mu     sync.Mutex
	at     []store.NodeID // nodes that are asked
	stop   func()         // returns when no client runs
	acked  map[store.Key][]string
	failed int
}

// startLoad has four clients add values to forty keys, siblings and all: every acknowledged value has to be there in the end.
func (c *cluster) startLoad(seed uint64, at ...store.NodeID) *load {
	l := &load{c: c, at: at, acked: map[store.Key][]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	l.stop = func() { cancel(); clients.Wait() }
	c.t.Cleanup(l.stop)
	for i := range 4 {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Duration(r.IntN(int(200 * time.Millisecond)))):
				}
				l.add(r, store.Key(fmt.Sprintf("cart:%d", r.IntN(40))), fmt.Sprintf("%d.%d", i, n))
			}
		})
	}
	return l
}

// add reads the set that is a key's value, adds an item and writes it back: last siblings first merged, as an application would.
func (l *load) add(r *rand.Rand, key store.Key, item string) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	l.mu.Lock()
	cl := l.c.client(l.at[r.IntN(len(l.at))])
	l.mu.Unlock()
	err := func() error {
		got, err := cl.Get(ctx, key, store.ReadOptions{})
		var past store.Context
		if err == nil {
			past = got.Context
		}
		_, err = cl.Put(ctx, key, []byte(joined(values(got.Siblings), item)), past, store.WriteOptions{})
		return err
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.acked[key] = append(l.acked[key], item)
	} else {
		l.failed++
	}
}

// ask lets other nodes be asked from now on.
func (l *load) ask(at ...store.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = at
}

// end stops the clients and looks for every acknowledged item on every owner.
func (l *load) end(nodes ...store.NodeID) {
	l.c.t.Helper()
	l.stop()
	l.c.settle()
	total := 0
	for key, items := range l.acked {
		var owners []store.NodeID
		for _, id := range nodes {
			got, err := l.c.admin(id).ReadReplica(context.Background(), key)
			if err != nil {
				l.c.t.Fatal(err)
			}
			if !got.Owner {
				if len(got.State) > 0 {
					l.c.t.Errorf("%s holds %q, which is not its own", id, key)
				}
				continue
			}
			owners = append(owners, id)
			held := itemsOf(values(got.Siblings))
			for _, item := range items {
				if !held[item] {
					l.c.t.Errorf("%s: %s was acknowledged and is not on %s", key, item, id)
				}
			}
		}
		if len(owners) != 3 {
			l.c.t.Errorf("%s has owners %v", key, owners)
		}
		total += len(items)
	}
	l.c.t.Logf("%d items acknowledged, %d puts failed", total, l.failed)
	if total < 100 {
		l.c.t.Errorf("%d acknowledged items prove too little", total)
	}
	for _, id := range nodes {
		report, err := l.c.admin(id).Trees(context.Background(), true)
		if err != nil || report.Check.Drift() > 0 || report.Check.Damaged > 0 {
			l.c.t.Errorf("%s: trees %+v, %v", id, report.Check, err)
		}
	}
}

// joined is the union of some sets of items and one more, as a value.
func joined(sets []string, item string) (out string) {
	held := itemsOf(sets)
	held[item] = true
	for _, i := range slices.Sorted(maps.Keys(held)) {
		out += i + " "
	}
	return out
}

func itemsOf(sets []string) map[string]bool {
	held := map[string]bool{}
	for _, s := range sets {
		for _, i := range strings.Fields(s) {
			held[i] = true
		}
	}
	return held
}

var three = five[:3]

// Three nodes become five, and then another three, while clients write to all that are members.
func TestAClusterGrowsAndShrinksUnderWrites(t *testing.T) {
	inClusterWith(t, three, nil, func(t *testing.T, c *cluster) {
		l := c.startLoad(1, three...)
		time.Sleep(10 * time.Second)
		for _, id := range five[3:] {
			c.start(id)
			c.waitFor("the new node is seen", func() bool { return c.waits("n1", id) || c.waits("n2", id) })
		}
		c.change("n1", client.Wish{Kind: client.WishJoin, Node: "n4", Address: "n4:7070"}, client.Wish{Kind: client.WishJoin, Node: "n5", Address: "n5:7070"})
		c.settled(five...)
		l.ask(five...)
		time.Sleep(10 * time.Second)
		c.change("n5", client.Wish{Kind: client.WishLeave, Node: "n1"}, client.Wish{Kind: client.WishLeave, Node: "n2"})
		l.ask(five[2:]...)
		c.settled(five[2:]...)
		for _, id := range five[:2] { // what they hold is nobody's any more
			if tr, err := c.admin(id).Transfers(context.Background()); err != nil || tr.Hints > 0 {
				t.Errorf("%s has left with %d hints, %v", id, tr.Hints, err)
			}
			c.stop(id)
		}
		time.Sleep(10 * time.Second)
		l.end(five[2:]...)
	})
}

// A node loses its disk, and with it its name. Another takes its place, once the lost one is removed by force.
func TestAWipedNodeIsReplacedUnderWrites(t *testing.T) {
	inClusterWith(t, three, nil, func(t *testing.T, c *cluster) {
		l := c.startLoad(2, "n1", "n2")
		time.Sleep(10 * time.Second)
		c.crash("n3")
		delete(c.disks, "n3")
		c.start("n4")
		c.waitFor("the new node is seen", func() bool { return c.waits("n1", "n4") || c.waits("n2", "n4") })
		c.change("n1", client.Wish{Kind: client.WishReplace, Node: "n3", Other: "n4", Address: "n4:7070"})
		time.Sleep(time.Minute)
		m, err := c.admin("n2").Members(context.Background())
		if err != nil || m.Step != "ack" || !slices.Equal(m.WaitsFor, []store.NodeID{"n3"}) {
			t.Errorf("the change waits for %q of %v, want the lost node, %v", m.Step, m.WaitsFor, err)
		}
		c.change("n2", client.Wish{Kind: client.WishForceRemove, Node: "n3"})
		c.settled("n1", "n2", "n4")
		l.ask("n1", "n2", "n4")
		time.Sleep(10 * time.Second)
		l.end("n1", "n2", "n4")
	})
}

// Power is lost on some nodes, others each time, in the middle of each step of a change, which a cut link holds up for as long
// as that takes. What a node has noted is on its disk, so each goes on where it was.
func TestAChangeSurvivesTheLossOfPowerInEachOfItsSteps(t *testing.T) {
	inClusterWith(t, three, nil, func(t *testing.T, c *cluster) {
		l := c.startLoad(3, "n1")
		time.Sleep(20 * time.Second)
		for _, id := range five[3:] {
			c.start(id)
			c.waitFor("the new node is seen", func() bool { return c.waits("n1", id) || c.waits("n2", id) })
		}
		c.net.split([]store.NodeID{"n3"}, []store.NodeID{"n1", "n2", "n4", "n5"})
		c.change("n1", client.Wish{Kind: client.WishJoin, Node: "n4", Address: "n4:7070"}, client.Wish{Kind: client.WishLeave, Node: "n2"},
			client.Wish{Kind: client.WishJoin, Node: "n5", Address: "n5:7070"})
		for _, held := range []struct {
			step    string
			by      store.NodeID      // who cannot take it
			next    [2][]store.NodeID // then these are cut off from each other
			victims []store.NodeID
		}{
			{"ack", "n3", [2][]store.NodeID{{"n4"}, {"n3"}}, []store.NodeID{"n4", "n2"}},        // then n4 cannot copy from n3
			{"sync", "n4", [2][]store.NodeID{{"n2"}, {"n4"}}, []store.NodeID{"n4", "n5", "n3"}}, // then n2 cannot compare with n4
			{"sync-ack", "n2", [2][]store.NodeID{}, []store.NodeID{"n2", "n3", "n4", "n5"}},
		} {
			c.waitFor("the change waits for the "+held.step+" of "+string(held.by), func() bool {
				m, err := c.admin("n1").Members(context.Background())
				return err == nil && m.Step == held.step && slices.Equal(m.WaitsFor, []store.NodeID{held.by})
			})
			for _, id := range held.victims {
				c.crash(id)
				time.Sleep(time.Second)
				c.start(id)
			}
			time.Sleep(30 * time.Second) // all that can be done is done again
			if m, err := c.admin("n1").Members(context.Background()); err != nil || m.Step != held.step {
				t.Fatalf("the change waits for the %s of %v, want the %s of %s, %v", m.Step, m.WaitsFor, held.step, held.by, err)
			}
			c.net.split(held.next[0], held.next[1])
		}
		c.settled("n1", "n3", "n4", "n5")
		c.stop("n2")
		l.end("n1", "n3", "n4", "n5")
	})
}

// An operator takes a change back while data is copied: all is as before, and the new node may be wished for again.
func TestAChangeIsTakenBack(t *testing.T) {
	inClusterWith(t, three, nil, func(t *testing.T, c *cluster) {
		l := c.startLoad(4, three...)
		time.Sleep(10 * time.Second)
		c.start("n4")
		join := client.Wish{Kind: client.WishJoin, Node: "n4", Address: "n4:7070"}
		c.net.split([]store.NodeID{"n4"}, []store.NodeID{"n3"}) // it cannot copy all
		c.change("n1", join)
		c.waitFor("data is copied", func() bool {
			tr, err := c.admin("n4").Transfers(context.Background())
			return err == nil && tr.Keys.Copied > 0
		})
		if _, err := c.admin("n2").Abort(context.Background(), 3); err != nil {
			t.Fatal(err)
		}
		c.net.split()
		c.settled(three...)
		c.waitFor("the new node has dropped what it copied", func() bool {
			tr, err := c.admin("n4").Transfers(context.Background())
			return err == nil && tr.Held == 0 && tr.Keys.Dropped > 0
		})
		c.waitFor("the new node asks again", func() bool { return c.waits("n1", "n4") || c.waits("n2", "n4") })
		c.change("n3", join)
		c.settled("n1", "n2", "n3", "n4")
		l.end("n1", "n2", "n3", "n4")
	})
}
