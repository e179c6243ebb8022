package node_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/admission"
	"cartwheel/store/node"
	"cartwheel/store/storage"
)

// A laggard disk takes long to write while it is told to.
type laggard struct {
	storage.KV
	delay *atomic.Int64
}

func (l laggard) Apply(b *storage.Batch, sync bool) error {
	time.Sleep(time.Duration(l.delay.Load()))
	return l.KV.Apply(b, sync)
}

// keysOf returns keys whose preference lists begin with a node.
func (c *cluster) keysOf(first store.NodeID, count int) (keys []store.Key) {
	for i := 0; len(keys) < count; i++ {
		key := store.Key(fmt.Sprintf("cart:%d", i))
		if c.layout.PreferenceList(c.layout.Partition(key))[0] == first {
			keys = append(keys, key)
		}
	}
	return keys
}

// While the disks are slow for clients, hints and anti-entropy get few slices and yet come to an end; when nobody asks for
// anything they are not limited.
func TestBackgroundWorkGivesWayToASlowForeground(t *testing.T) {
	var delay atomic.Int64
	change := func(c *node.Config) {
		c.Disk = func(kv storage.KV) storage.KV { return laggard{kv, &delay} }
	}
	inClusterOf(t, change, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		share := func(id store.NodeID) uint64 {
			st, err := c.admin(id).Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return st.Counters["admission_slices_per_second"]
		}
		c.net.split([]store.NodeID{"n5"}, []store.NodeID{"n1", "n2", "n3", "n4"})
		puts := func(count int) {
			for _, key := range c.keysOf("n1", count) {
				if _, err := c.client("n1").Put(ctx, key, []byte("milk"), nil, store.WriteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		puts(50)
		if got := share("n1"); got != admission.ShareMax {
			t.Errorf("a fast foreground leaves %d slices, want all %d", got, admission.ShareMax)
		}
		delay.Store(int64(100 * time.Millisecond))
		puts(50)
		if got := share("n1"); got > admission.ShareMax/2 {
			t.Errorf("a slow foreground leaves %d slices, want half of %d at most", got, admission.ShareMax)
		}
		c.net.split()
		puts(50)
		delay.Store(0)
		c.settle()
		for _, id := range five {
			st, err := c.admin(id).Status(ctx)
			if err != nil || st.Hints > 0 {
				t.Errorf("%s holds %d hints, %v", id, st.Hints, err)
			}
			if got := share(id); got != admission.ShareMax {
				t.Errorf("%s has %d slices with no foreground, want all %d", id, got, admission.ShareMax)
			}
		}
		st, err := c.admin("n1").Status(ctx)
		if err != nil || st.Counters["admission_cuts"] == 0 || st.Counters["admission_granted_hint"]+st.Counters["admission_granted_repair"] == 0 {
			t.Errorf("n1 counts %v, %v", st.Counters, err)
		}
	})
}

// Waiting for slices does not hold up the end of a node.
func TestANodeThatWaitsForSlicesEndsAtOnce(t *testing.T) {
	change := func(c *node.Config) { c.AdmissionTarget = time.Nanosecond } // every foreground is too slow
	inClusterOf(t, change, func(t *testing.T, c *cluster) {
		c.net.split([]store.NodeID{"n5"}, []store.NodeID{"n1", "n2", "n3", "n4"})
		for _, key := range c.keysOf("n1", 20) {
			if _, err := c.client("n1").Put(context.Background(), key, make([]byte, 256<<10), nil, store.WriteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		c.net.split()
		time.Sleep(time.Second)
		for _, id := range five {
			began := time.Now()
			c.stop(id)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("%s took %v to end", id, took)
			}
		}
	})
}
