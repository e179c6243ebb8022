package node_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/node"
)

// All nodes lose power at once, right after the last acknowledgement. What was to be on one disk
// is on all that own it soon after; what was acknowledged from memory alone is gone (paper, section 6.1).
func TestAllNodesLosePowerAtOnce(t *testing.T) {
	for _, c := range []struct {
		durability store.Durability
		dw         int
		kept       bool
	}{
		{store.DurabilityAll, 0, true},
		{store.DurabilityOne, 0, true},
		{store.DurabilityNone, 1, true},
		{store.DurabilityNone, 2, true},
		{store.DurabilityNone, 0, false},
	} {
		t.Run(fmt.Sprintf("%v with dw=%d", c.durability, c.dw), func(t *testing.T) {
			change := func(n *node.Config) {
				n.Durability, n.ObjectBuffer, n.FlushAfter = c.durability, true, time.Hour
			}
			inClusterOf(t, change, func(t *testing.T, cl *cluster) {
				ctx, keys := context.Background(), []store.Key{}
				for i := range 20 {
					key := store.Key(fmt.Sprint("cart:", i))
					if _, err := cl.client(five[i%5]).Put(ctx, key, []byte("milk"), nil, store.WriteOptions{DW: c.dw}); err != nil {
						t.Fatal(err)
					}
					keys = append(keys, key)
				}
				for _, id := range five {
					cl.crash(id)
				}
				for _, id := range five {
					cl.start(id)
				}
				cl.settle()
				lost := 0
				for _, key := range keys {
					res, err := cl.client("n1").Get(ctx, key, store.ReadOptions{})
					if err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(values(res.Siblings), []string{"milk"}) {
						lost++
					}
					if cl.copies(key); c.kept && lost > 0 {
						t.Errorf("%q was acknowledged and is lost", key)
					}
				}
				if !c.kept && lost == 0 {
					t.Error("nothing was lost: the power was not, or something was synced that need not be")
				}
			})
		})
	}
}
