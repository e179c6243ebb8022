package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cartwheel/store"
	"cartwheel/store/node"
)

// Without anti-entropy hints still find their owners, and a node still knows when it has settled;
// what no hint was kept for stays different.
func TestWithoutAntiEntropyOnlyHintsAndReadsRepair(t *testing.T) {
	configure := func(c *node.Config) { c.RepairInterval = -1 }
	inClusterOf(t, configure, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		key, list := c.keyOf("n1")
		lost, last := list[1], list[2]
		c.net.split([]store.NodeID{last}, append([]store.NodeID{list[0], lost}, list[3:]...))
		if _, err := c.client(list[0]).Put(ctx, key, []byte("v"), nil, store.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		c.net.split()
		c.settle()
		if got := c.copies(key); len(got.Siblings) != 1 {
			t.Errorf("after the hint was delivered: %+v", got)
		}
		c.stop(lost) // and its disk with it
		c.disks[lost] = vfs.NewCrashableMem()
		c.start(lost)
		time.Sleep(time.Minute)
		if got, err := c.admin(lost).ReadReplica(ctx, key); err != nil || len(got.Siblings) != 0 {
			t.Errorf("nobody read the key, yet a new disk holds %+v, %v", got, err)
		}
		if _, err := c.client(list[0]).Get(ctx, key, store.ReadOptions{}); err != nil {
			t.Fatal(err)
		}
		c.settle()
		if got := c.copies(key); len(got.Siblings) != 1 {
			t.Errorf("after a read: %+v", got)
		}
		for _, id := range five {
			st, err := c.admin(id).Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if st.Counters["repair_rounds"] > 0 {
				t.Errorf("%s has compared with another", id)
			}
		}
	})
}
