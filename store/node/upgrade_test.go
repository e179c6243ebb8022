package node_test

import (
	"context"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/node"
	"cartwheel/store/transport"
)

// speak gives one node another release than the others have.
func speak(odd store.NodeID, its, others transport.Protocol) func(*node.Config) {
	return func(c *node.Config) {
		c.Protocol = others
		if c.ID == odd {
			c.Protocol = its
		}
	}
}

// While nodes are upgraded one after the other, those of two releases that follow each other are one cluster.
func TestNodesOfTwoReleasesThatFollowEachOtherAreOneCluster(t *testing.T) {
	inClusterOf(t, speak("n1", transport.Protocol{Min: 2, Max: 3}, transport.Protocol{Min: 1, Max: 2}), func(t *testing.T, c *cluster) {
		ctx := context.Background()
		key, list := c.keyOf("n1")
		for _, through := range []store.NodeID{"n1", list[1]} {
			if _, err := c.client(through).Put(ctx, key, []byte(through), nil, store.WriteOptions{W: 3, Mode: store.Strict}); err != nil {
				t.Fatal(err)
			}
		}
		c.settle()
		if got := c.copies(key); len(got.Siblings) != 2 {
			t.Errorf("all hold %v, want two siblings", values(got.Siblings))
		}
	})
}

// A node that skipped a release is down for the others: they stand in for it, and it learns why.
func TestANodeThatSkippedAReleaseIsAsGoodAsDown(t *testing.T) {
	inClusterOf(t, speak("n1", transport.Protocol{Min: 3, Max: 4}, transport.Protocol{Min: 1, Max: 2}), func(t *testing.T, c *cluster) {
		ctx := context.Background()
		key, _ := c.keyOf("n2")
		time.Sleep(5 * time.Second) // each has met each
		for _, id := range five[1:] {
			st, err := c.admin(id).Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range st.Peers {
				if p.Up != (p.Node != "n1") {
					t.Errorf("%s believes %+v", id, p)
				}
			}
			if _, err := c.client(id).Put(ctx, key, []byte(id), nil, store.WriteOptions{}); err != nil {
				t.Errorf("put through %s: %v", id, err)
			}
		}
		if st, err := c.admin("n1").Status(ctx); err != nil || st.Counters["protocol_refused"] == 0 {
			t.Errorf("n1 has refused %d calls, %v", st.Counters["protocol_refused"], err)
		}
	})
}
