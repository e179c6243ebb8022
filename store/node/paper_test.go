package node_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/node"
)

// Each partition has owners in all three zones, so that with one of them gone every key is still read and written with the usual quorums
// (section 4.6: the failure of a data centre).
func TestAZoneMayFail(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		var wishes []client.Wish
		for i, zone := range []string{"a", "a", "b", "b", "c"} {
			wishes = append(wishes, client.Wish{Kind: client.WishSet, Node: five[i], Zone: &zone})
		}
		c.change("n1", wishes...)
		c.settled(five...)
		write := func(through store.NodeID, value string) {
			t.Helper()
			for i := range 64 {
				key := store.Key(fmt.Sprintf("cart:%d", i))
				if _, err := c.client(through).Put(ctx, key, []byte(value), nil, store.WriteOptions{Mode: store.Strict}); err != nil {
					t.Fatalf("put %q through %s: %v", key, through, err)
				}
				if got, err := c.client(through).Get(ctx, key, store.ReadOptions{Mode: store.Strict}); err != nil || len(got.Siblings) == 0 {
					t.Fatalf("get %q through %s: %v, %v", key, through, values(got.Siblings), err)
				}
			}
		}
		write("n1", "before")
		c.stop("n3")
		c.stop("n4")
		time.Sleep(5 * time.Second)
		write("n5", "without zone b")
		c.start("n3")
		c.start("n4")
		c.settle()
		write("n3", "after")
	})
}

// With W=1 a write is taken as long as any node of the cluster is up (section 4.6), and owners get it when they are back.
func TestOneNodeThatIsLeftTakesWrites(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		for _, id := range five[1:] {
			c.stop(id)
		}
		time.Sleep(5 * time.Second)
		for _, first := range five {
			key, _ := c.keyOf(first)
			if _, err := c.client("n1").Put(ctx, key, []byte("milk"), nil, store.WriteOptions{W: 1}); err != nil {
				t.Errorf("a key of %s: %v", first, err)
			}
		}
		for _, id := range five[1:] {
			c.start(id)
		}
		c.settle()
		for _, first := range five {
			key, _ := c.keyOf(first)
			if got := c.copies(key); fmt.Sprint(values(got.Siblings)) != "[milk]" {
				t.Errorf("a key of %s: its owners hold %v", first, values(got.Siblings))
			}
		}
	})
}

// Catalogs are read far more often than they change: a write goes to all owners, and a read asks any one (section 6, the read engine).
func TestAReadEngineAsksOneOwnerAndWritesToAll(t *testing.T) {
	bucket, err := store.ParseBucket("catalog:r=1,w=3,mode=strict")
	if err != nil {
		t.Fatal(err)
	}
	inClusterOf(t, func(c *node.Config) { c.Buckets = store.Buckets{bucket} }, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		put, err := c.client("n1").Put(ctx, "catalog/milk", []byte("1.20"), nil, store.WriteOptions{})
		if err != nil || put.Meta.Need != 3 || put.Meta.Owners != 3 {
			t.Fatalf("put: %+v, %v", put.Meta, err)
		}
		owners := c.layout.Owners(c.layout.Partition("catalog/milk"))
		for _, id := range owners[1:] {
			c.stop(id)
		}
		time.Sleep(5 * time.Second)
		got, err := c.client(owners[0]).Get(ctx, "catalog/milk", store.ReadOptions{})
		if err != nil || got.Meta.Need != 1 || fmt.Sprint(values(got.Siblings)) != "[1.20]" {
			t.Errorf("get with one owner left: %v, %+v, %v", values(got.Siblings), got.Meta, err)
		}
		if _, err := c.client(owners[0]).Put(ctx, "catalog/milk", []byte("1.30"), got.Context, store.WriteOptions{}); client.Outcome(err) == store.OutcomeOK {
			t.Error("a price changed that most owners did not hear of")
		}
	})
}
