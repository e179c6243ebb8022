package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/node"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
	"cartwheel/store/transport"
)

// collecting has nodes look for tombstones every few seconds.
func collecting(c *node.Config) { c.TombstoneInterval = 5 * time.Second }

// gone reports whether no owner has a record of the key.
func (c *cluster) gone(key store.Key) bool {
	c.t.Helper()
	for _, o := range c.layout.Owners(c.layout.Partition(key)) {
		if got, err := c.admin(o).ReadReplica(context.Background(), key); err != nil || len(got.Siblings) > 0 {
			return false
		}
	}
	return true
}

// remove deletes what a node shows of a key.
func (c *cluster) remove(at store.NodeID, key store.Key) {
	c.t.Helper()
	read, err := c.client(at).Get(context.Background(), key, store.ReadOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.client(at).Delete(context.Background(), key, read.Context, store.WriteOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) put(at store.NodeID, key store.Key, value string, o store.WriteOptions) {
	c.t.Helper()
	if _, err := c.client(at).Put(context.Background(), key, []byte(value), nil, o); err != nil {
		c.t.Fatal(err)
	}
}

// Deleted keys are gone from every disk in the end, those that live stay, and a key that is written anew is read.
func TestTombstonesAreCollected(t *testing.T) {
	inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		for i := range 40 {
			c.put(five[i%5], store.Key(fmt.Sprintf("k%d", i)), "v", store.WriteOptions{})
		}
		for i := range 20 {
			c.remove(five[i%5], store.Key(fmt.Sprintf("k%d", i)))
		}
		c.waitFor("collection", func() bool {
			for i := range 20 {
				if !c.gone(store.Key(fmt.Sprintf("k%d", i))) {
					return false
				}
			}
			return true
		})
		c.put("n2", "k0", "again", store.WriteOptions{})
		c.settle()
		for i := range 40 {
			read, err := c.client("n1").Get(ctx, store.Key(fmt.Sprintf("k%d", i)), store.ReadOptions{})
			want := []string(nil)
			switch {
			case i == 0:
				want = []string{"again"}
			case i >= 20:
				want = []string{"v"}
			}
			if err != nil || !slices.Equal(values(read.Siblings), want) {
				t.Errorf("k%d: %q, %v; want %q", i, values(read.Siblings), err, want)
			}
		}
		c.checkTrees()
	})
}

// An owner that was away, and has the old value, holds collection up; so does one that holds a hint with it, and any
// other member. When all are back the tombstone is everywhere, and goes.
func TestAMemberThatIsAwayHoldsCollectionUp(t *testing.T) {
	for _, tt := range []struct {
		name string
		away func(list []store.NodeID) store.NodeID
	}{
		{"an owner", func(list []store.NodeID) store.NodeID { return list[1] }},
		{"no owner", func(list []store.NodeID) store.NodeID { return list[4] }},
	} {
		for _, power := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, without power %t", tt.name, power), func(t *testing.T) {
				inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
					key, list := c.keyOf("n1")
					absent := tt.away(list)
					c.put("n1", key, "old", store.WriteOptions{W: 3, Mode: store.Strict})
					if power {
						c.crash(absent)
					} else {
						c.net.split([]store.NodeID{absent}, slices.DeleteFunc(slices.Clone(list), func(n store.NodeID) bool { return n == absent }))
					}
					time.Sleep(5 * time.Second)
					c.remove("n1", key)
					time.Sleep(2 * time.Minute)
					for _, o := range list[:3] {
						if o == absent {
							continue
						}
						if got, err := c.admin(o).ReadReplica(context.Background(), key); err != nil || !slices.Equal(values(got.Siblings), []string{"†"}) {
							t.Errorf("%s holds %q, %v, while %s is away; want a tombstone", o, values(got.Siblings), err, absent)
						}
					}
					c.net.split()
					if power {
						c.start(absent)
					}
					c.waitFor("collection", func() bool { return c.gone(key) })
					time.Sleep(time.Minute) // whatever is left has its time to come back
					if !c.gone(key) {
						t.Error("the key came back")
					}
				})
			})
		}
	}
}

// putWithStandIn crashes the second owner of a key, and puts a value of which the first node behind the owners gets a hint.
func (c *cluster) putWithStandIn(key store.Key, list []store.NodeID) (absent, standIn store.NodeID) {
	c.crash(list[1])
	time.Sleep(5 * time.Second)
	c.put("n1", key, "old", store.WriteOptions{W: 3})
	return list[1], list[3]
}

// A stand-in that is stopped with a hint of the old value gives it back only to a tombstone.
func TestAHintOlderThanATombstoneDoesNotBringTheValueBack(t *testing.T) {
	inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
		key, list := c.keyOf("n1")
		absent, standIn := c.putWithStandIn(key, list)
		hints, err := c.admin(standIn).HintStats(context.Background())
		if err != nil || len(hints) == 0 {
			t.Fatalf("%s holds %v, %v; want a hint", standIn, hints, err)
		}
		c.crash(standIn)
		c.start(absent)
		time.Sleep(5 * time.Second)
		c.remove("n1", key)
		time.Sleep(2 * time.Minute)
		if c.gone(key) {
			t.Error("collected while a member with an older hint was away")
		}
		c.start(standIn)
		c.waitFor("collection", func() bool { return c.gone(key) })
		time.Sleep(time.Minute)
		if !c.gone(key) {
			t.Error("the key came back")
		}
	})
}

// A value that is written while its key's tombstone waits to be collected stays.
func TestAWriteDuringCollectionStays(t *testing.T) {
	for after := range 12 {
		inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
			key, _ := c.keyOf("n1")
			c.put("n1", key, "old", store.WriteOptions{})
			c.remove("n1", key)
			time.Sleep(time.Duration(after) * 700 * time.Millisecond)
			read, err := c.client("n2").Get(context.Background(), key, store.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.client("n2").Put(context.Background(), key, []byte("new"), read.Context, store.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			c.settle()
			if got := values(c.copies(key).Siblings); !slices.Equal(got, []string{"new"}) {
				t.Errorf("after %d: replicas hold %q", after, got)
			}
		})
	}
}

// While members change nothing is collected that the new owners do not have, and all is in the end.
func TestCollectionAndChangesOfMembers(t *testing.T) {
	inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
		for i := range 30 {
			c.put(five[i%5], store.Key(fmt.Sprintf("k%d", i)), "v", store.WriteOptions{})
		}
		c.start("n6")
		c.waitFor("n6 to ask", func() bool { return c.waits("n1", "n6") })
		for i := range 30 {
			c.remove(five[i%5], store.Key(fmt.Sprintf("k%d", i)))
			if i == 10 {
				c.waitFor("the join to be taken on, which a sweep may put off", func() bool {
					plan, err := c.admin("n1").Stage(context.Background(), client.Wish{Kind: client.WishJoin, Node: "n6", Address: "n6:7070"})
					if err != nil { // staged before
						plan, err = c.admin("n1").Plan(context.Background())
					}
					if err == nil {
						_, err = c.admin("n1").Commit(context.Background(), plan.Number)
					}
					return err == nil
				})
			}
		}
		time.Sleep(time.Minute)
		c.settled(append(slices.Clone(five), "n6")...)
		c.waitFor("collection", func() bool {
			for _, id := range c.running() {
				for i := range 30 {
					if got, err := c.admin(id).ReadReplica(context.Background(), store.Key(fmt.Sprintf("k%d", i))); err == nil && len(got.Siblings) > 0 {
						return false
					}
				}
			}
			return true
		})
	})
}

// An owner that answers and lacks the tombstone holds it where it is: nothing but it keeps the value down.
func TestATombstoneThatAnOwnerLacksStays(t *testing.T) {
	alone := func(c *node.Config) { // no hints, no comparisons
		collecting(c)
		c.RepairInterval, c.HintSizeBytesMax = -1, 1
	}
	inClusterOf(t, alone, func(t *testing.T, c *cluster) {
		key, list := c.keyOf("n1")
		c.put("n1", key, "old", store.WriteOptions{W: 3, Mode: store.Strict})
		c.net.split(list[1:2], slices.Concat(list[:1], list[2:]))
		time.Sleep(5 * time.Second)
		read, err := c.client("n1").Get(context.Background(), key, store.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.client("n1").Delete(context.Background(), key, read.Context, store.WriteOptions{W: 2, Mode: store.Strict}); err != nil {
			t.Fatal(err)
		}
		c.net.split()
		time.Sleep(2 * time.Minute)
		read, err = c.client("n1").Get(context.Background(), key, store.ReadOptions{R: 3, Mode: store.Strict})
		if err != nil || !slices.Equal(values(read.Siblings), []string{"†"}) {
			t.Errorf("got %q, %v; want a tombstone", values(read.Siblings), err)
		}
		// The read has repaired the owner, and now the tombstone may go.
		c.waitFor("collection", func() bool { return c.gone(key) })
	})
}

// A hint that cannot be delivered, with all members there, is waited for.
func TestAHintThatWaitsHoldsCollectionUp(t *testing.T) {
	inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
		key, list := c.keyOf("n1")
		absent, standIn := c.putWithStandIn(key, list)
		c.net.split([]store.NodeID{absent}, []store.NodeID{standIn})
		c.start(absent)
		time.Sleep(30 * time.Second)
		c.remove("n1", key)
		time.Sleep(2 * time.Minute)
		if c.gone(key) {
			t.Error("collected while a hint waited")
		}
		c.net.split()
		c.waitFor("collection", func() bool { return c.gone(key) })
		time.Sleep(time.Minute)
		if !c.gone(key) {
			t.Error("the key came back")
		}
	})
}

// What was sent before the sweep and comes after it is refused, by the version of the layout that it was sent by; and so is what
// a former member still had.
func TestWhatComesAfterACollectionDoesNotBringTheValueBack(t *testing.T) {
	inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		c.change("n1", client.Wish{Kind: client.WishLeave, Node: "n5"})
		c.settled(five[:4]...)
		key := store.Key("deleted")
		c.put("n1", key, "old", store.WriteOptions{W: 3})
		m, err := c.admin("n1").Members(ctx)
		if err != nil {
			t.Fatal(err)
		}
		at := m.Live[0].Stamp
		var owner store.NodeID
		var state []byte
		for _, id := range five[:4] {
			if got, err := c.admin(id).ReadReplica(ctx, key); err == nil && len(got.Siblings) > 0 {
				owner, state = id, got.State
			}
		}
		gone := func() bool {
			got, err := c.admin(owner).ReadReplica(ctx, key)
			return err == nil && len(got.Siblings) == 0
		}
		c.remove("n1", key)
		c.waitFor("collection", gone)
		peer := storepb.NewPeerClient(link{c.net, "n5", owner})
		if _, err := peer.ReplicaMerge(ctx, &storepb.ReplicaMergeRequest{
			Key: []byte(key), State: state, Stamp: &storepb.Stamp{From: "n1", Version: at.Number, Id: at.ID},
		}); !errors.Is(transport.Decode(err), store.ErrWrongRing) {
			t.Errorf("a message from before: got %v, want %v", err, store.ErrWrongRing)
		}
		if _, err := peer.HandOver(ctx, &storepb.HandOverRequest{
			From: "n5", Partition: uint32(c.layout.Partition(key)), States: []*storepb.KeyState{{Key: []byte(key), State: state}},
		}); !errors.Is(transport.Decode(err), store.ErrNotMember) {
			t.Errorf("what a former member holds: got %v, want %v", err, store.ErrNotMember)
		}
		time.Sleep(time.Minute)
		if !gone() {
			t.Error("the key came back")
		}
	})
}

// Records that a change of members has left behind hold collection up: were their partition to come back, so would they.
func TestWhatAChangeHasLeftBehindHoldsCollectionUp(t *testing.T) {
	idle := func(c *node.Config) {
		collecting(c)
		c.DropInterval = 24 * time.Hour
	}
	inClusterWith(t, three, idle, func(t *testing.T, c *cluster) {
		for i := range 30 {
			c.put("n1", store.Key(fmt.Sprintf("k%d", i)), "v", store.WriteOptions{W: 3})
		}
		c.start("n4")
		c.waitFor("n4 to ask", func() bool { return c.waits("n1", "n4") })
		c.change("n1", client.Wish{Kind: client.WishJoin, Node: "n4", Address: "n4:7070"})
		c.waitFor("the join", func() bool {
			m, err := c.admin("n4").Members(context.Background())
			return err == nil && len(m.Live) == 1 && len(m.Nodes) == 4
		})
		c.remove("n1", "k0")
		time.Sleep(2 * time.Minute)
		read, err := c.client("n1").Get(context.Background(), "k0", store.ReadOptions{R: 3, Mode: store.Strict})
		if err != nil || !slices.Equal(values(read.Siblings), []string{"†"}) {
			t.Errorf("got %q, %v; want a tombstone", values(read.Siblings), err)
		}
	})
}

// fenced wants a node to keep what it holds of a deleted key to itself and to say why, and the other owners to hold nothing.
func (c *cluster) fenced(back store.NodeID, key store.Key, owners []store.NodeID) {
	c.t.Helper()
	for _, o := range owners {
		got, err := c.admin(o).ReadReplica(context.Background(), key)
		if o == back && err == nil || o != back && (err != nil || len(got.Siblings) > 0) {
			c.t.Errorf("%s shows %q, %v", o, values(got.Siblings), err)
		}
	}
	if st, err := c.admin(back).Status(context.Background()); err != nil || st.Fault == "" {
		c.t.Errorf("%s says of itself %q, %v", back, st.Fault, err)
	}
}

// One node alone is given the disk that it had before a delete whose tombstone has been collected. What it holds stays
// with it, also when the node is asked itself; an empty disk is let in again.
func TestANodeWithADiskOfThePastBringsNothingBack(t *testing.T) {
	inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
		key, list := c.keyOf("n1")
		back := list[1]
		c.put("n1", key, "old", store.WriteOptions{W: 3, Mode: store.Strict})
		past := c.disks[back].CrashClone(vfs.CrashCloneCfg{})
		c.remove("n1", key)
		c.waitFor("collection", func() bool { return c.gone(key) })
		c.crash(back)
		c.disks[back] = past
		c.start(back)
		time.Sleep(2 * time.Minute)
		c.fenced(back, key, list[:3])
		read, err := c.client(back).Get(context.Background(), key, store.ReadOptions{})
		if err == nil && len(read.Siblings) > 0 {
			t.Errorf("asked itself, %s shows %q", back, values(read.Siblings))
		}
		c.crash(back)
		c.disks[back] = vfs.NewCrashableMem()
		c.start(back)
		c.put("n1", key, "new", store.WriteOptions{W: 2})
		c.settle()
		if got := values(c.copies(key).Siblings); !slices.Equal(got, []string{"new"}) {
			t.Errorf("with an empty disk: replicas hold %q", got)
		}
	})
}

// A node that begins from a backup made before a collection, under its old name, is one with a disk of the past.
func TestABackupFromBeforeACollectionBringsNothingBack(t *testing.T) {
	inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
		key, list := c.keyOf("n1")
		back := list[1]
		c.put("n1", key, "old", store.WriteOptions{W: 3, Mode: store.Strict})
		fs := c.disks[back].CrashClone(vfs.CrashCloneCfg{}) // a node in memory makes no backups; its directory is as good as one
		c.remove("n1", key)
		c.waitFor("collection", func() bool { return c.gone(key) })
		c.crash(back)
		err := errors.Join(storage.RestoreBackup(fs, "data", "restored"), fs.Rename("data", "before"), fs.Rename("restored", "data"))
		if err != nil {
			t.Fatal(err)
		}
		c.disks[back] = fs
		c.start(back)
		time.Sleep(2 * time.Minute)
		c.fenced(back, key, list[:3])
	})
}

// An image of a disk that was taken between the node's note of a sweep and its word that it holds no hints any more has a hint from before
// the delete. The node has noted a further sweep before anything was collected, so the image is known for one of the past.
func TestAnImageFromBeforeANodeWasReadyBringsNothingBack(t *testing.T) {
	inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
		key, list := c.keyOf("n1")
		absent, standIn := c.putWithStandIn(key, list)
		c.net.split([]store.NodeID{absent}, []store.NodeID{standIn}) // the hint stays
		c.start(absent)
		time.Sleep(30 * time.Second)
		before := c.version(standIn)
		c.remove("n1", key)
		c.waitFor("the sweep to be noted by all", func() bool { return c.version(standIn) > before })
		time.Sleep(20 * time.Second)
		if c.gone(key) {
			t.Fatal("collected while a hint waited")
		}
		image := c.disks[standIn].CrashClone(vfs.CrashCloneCfg{})
		c.net.split()
		c.waitFor("collection", func() bool { return c.gone(key) })
		c.crash(standIn)
		c.disks[standIn] = image
		c.start(standIn)
		time.Sleep(2 * time.Minute)
		for _, o := range list[:3] {
			if got, err := c.admin(o).ReadReplica(context.Background(), key); err != nil || len(got.Siblings) > 0 {
				t.Errorf("%s shows %q, %v", o, values(got.Siblings), err)
			}
		}
		if st, err := c.admin(standIn).Status(context.Background()); err != nil || st.Fault == "" {
			t.Errorf("%s says of itself %q, %v", standIn, st.Fault, err)
		}
	})
}

// version returns the number of the version that a node goes by, once it has settled.
func (c *cluster) version(id store.NodeID) uint64 {
	m, err := c.admin(id).Members(context.Background())
	if err != nil || len(m.Live) != 1 {
		return 0
	}
	return m.Live[0].Stamp.Number
}

// Each time that a node has lost its end of the log it goes on as another actor, and a client that is unlucky finds another coordinator each
// time. What is over goes from the vectors, sessions that have seen it go on, and a member that comes is told.
func TestRetiredActorsArePruned(t *testing.T) {
	inClusterOf(t, collecting, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		key, list := c.keyOf("n1")
		session := c.client("n1").Session()
		entries := func() int {
			read, err := c.client("n2").Get(ctx, key, store.ReadOptions{R: 3, Mode: store.Strict})
			if err != nil {
				t.Fatal(err)
			}
			return read.Meta.VectorEntries
		}
		most := 0
		for i := range 4 {
			for _, at := range list[:3] {
				if _, err := c.client(at).Update(ctx, key, func([]store.Sibling) ([]byte, error) { return fmt.Append(nil, i, at), nil }); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := session.Get(ctx, key, store.ReadOptions{}); err != nil {
				t.Fatal(err)
			}
			most = max(most, entries())
			for _, at := range list[:3] {
				c.crash(at)
				c.start(at)
				time.Sleep(5 * time.Second)
			}
		}
		c.waitFor("pruning", func() bool { return entries() <= 3 })
		if most < 4 {
			t.Errorf("%d entries at most prove nothing", most)
		}
		c.settle()
		shown := func(read store.ReadResult, err error) {
			t.Helper()
			if err != nil || len(read.Siblings) != 1 || string(read.Siblings[0].Value) != "3"+string(list[2]) {
				t.Errorf("got %q, %v", values(read.Siblings), err)
			}
		}
		shown(session.Get(ctx, key, store.ReadOptions{}))
		for _, at := range list[:3] { // the memory is on disk
			c.crash(at)
			c.start(at)
			time.Sleep(5 * time.Second)
		}
		shown(session.Get(ctx, key, store.ReadOptions{}))
		if _, err := session.Put(ctx, key, []byte("after"), store.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		if got, err := c.client("n3").Get(ctx, key, store.ReadOptions{}); err != nil || !slices.Equal(values(got.Siblings), []string{"after"}) {
			t.Errorf("a context with entries that are gone: got %q, %v", values(got.Siblings), err)
		}
		c.settle()
		c.checkTrees()
	})
}
