package node_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/node"
	"cartwheel/store/storage"
)

// A sick disk refuses writes once it is told to.
type sick struct {
	storage.KV
	full *atomic.Bool
}

func (s sick) Apply(b *storage.Batch, sync bool) error {
	if s.full.Load() {
		return errors.New("no space left on device")
	}
	return s.KV.Apply(b, sync)
}

// A node whose disk takes no writes leaves service: others stand in for it, and what it is asked
// to coordinate it hands on. It must not go on answering errors (bug M32).
func TestANodeWithAFullDiskLeavesService(t *testing.T) {
	var full atomic.Bool
	change := func(c *node.Config) {
		if c.ID == "n1" {
			c.Disk = func(kv storage.KV) storage.KV { return sick{kv, &full} }
		}
	}
	inClusterOf(t, change, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		key, _ := c.keyOf("n1")
		put := func(through store.NodeID) error {
			_, err := c.client(through).Put(ctx, key, []byte("milk"), nil, store.WriteOptions{})
			return err
		}
		if err := put("n1"); err != nil {
			t.Fatal(err)
		}
		full.Store(true)
		if err := put("n1"); client.Outcome(err) != store.OutcomeUnknown {
			t.Errorf("the write that met the full disk: %v", err)
		}
		for i := range 5 {
			if err := errors.Join(put("n1"), put("n2")); err != nil {
				t.Errorf("write %d after the disk was full: %v", i, err)
			}
		}
		time.Sleep(5 * time.Second)
		for _, id := range five[1:] {
			st, err := c.admin(id).Status(ctx)
			if err != nil || st.Peers[0].Node != "n1" || st.Peers[0].Up {
				t.Errorf("%s believes %+v, %v", id, st.Peers[0], err)
			}
		}
		st, err := c.admin("n1").Status(ctx)
		if err != nil || st.Fault == "" {
			t.Errorf("n1 says %q of its disk, %v", st.Fault, err)
		}
		full.Store(false)
		c.stop("n1")
		c.start("n1")
		c.settle()
		if got := c.copies(key); len(got.Siblings) != 12 && len(got.Siblings) != 11 {
			t.Errorf("%d siblings after the restart, want 11 acknowledged ones and perhaps the unknown", len(got.Siblings))
		}
	})
}

// A bit flips on the disk of one owner: no read is told "not found" or less than was
// acknowledged, and the record comes back.
func TestABitThatFlipsOnDiskIsRestored(t *testing.T) {
	var rot rotten
	change := func(c *node.Config) {
		if c.ID == "n1" {
			c.Disk = func(kv storage.KV) storage.KV { return decaying{kv, &rot} }
		}
	}
	inClusterOf(t, change, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		key, _ := c.keyOf("n1")
		if _, err := c.client("n2").Put(ctx, key, []byte("milk"), nil, store.WriteOptions{W: 3}); err != nil {
			t.Fatal(err)
		}
		rot.begin(key)
		if _, err := c.admin("n1").ReadReplica(ctx, key); err == nil {
			t.Error("the damaged record could be read")
		}
		for i, id := range five {
			res, err := c.client(id).Get(ctx, key, store.ReadOptions{})
			if err != nil || fmt.Sprint(values(res.Siblings)) != "[milk]" {
				t.Errorf("read %d through %s: %v, %v", i, id, values(res.Siblings), err)
			}
		}
		c.settle()
		if got := c.copies(key); fmt.Sprint(values(got.Siblings)) != "[milk]" {
			t.Errorf("all hold %v", values(got.Siblings))
		}
		if st, err := c.admin("n1").Status(ctx); err != nil || st.Counters["storage_restored"] != 1 {
			t.Errorf("restored %d, %v", st.Counters["storage_restored"], err)
		}
	})
}
