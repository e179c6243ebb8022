package node_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/node"
)

// A node that is drained takes no requests, neither from clients nor from nodes, and stays a replica: nobody stands in for it.
func TestADrainedNodeIsAReplicaAndNoMore(t *testing.T) {
	var told []string
	change := func(c *node.Config) {
		if c.ID == "n1" {
			c.OnDrain = func(draining bool) { told = append(told, fmt.Sprint(draining)) }
		}
	}
	inClusterOf(t, change, func(t *testing.T, c *cluster) {
		ctx := context.Background()
		key, list := c.keyOf("n1")
		for range 2 { // asking again is how to see what is left
			d, err := c.admin("n1").Drain(ctx, false)
			if err != nil || d != (client.Drain{Node: "n1", Draining: true}) {
				t.Fatalf("drain: %+v, %v", d, err)
			}
		}
		_, err := c.client("n1").Put(ctx, key, []byte("milk"), nil, store.WriteOptions{})
		if !errors.Is(err, store.ErrDraining) || client.Outcome(err) != store.OutcomeNotWritten {
			t.Errorf("put through the drained node: %v", err)
		}
		if _, err := c.client("n1").Get(ctx, key, store.ReadOptions{}); !errors.Is(err, store.ErrDraining) {
			t.Errorf("get through the drained node: %v", err)
		}
		for _, id := range five[1:] {
			res, err := c.client(id).Put(ctx, key, []byte(id), nil, store.WriteOptions{W: 3, Mode: store.Strict})
			if err != nil || res.Meta.Hinted > 0 || res.Meta.Coordinator == "n1" {
				t.Errorf("put through %s: %+v, %v", id, res.Meta, err)
			}
		}
		if got, err := c.admin("n1").ReadReplica(ctx, key); err != nil || len(got.Siblings) != 4 || list[0] != "n1" {
			t.Errorf("the drained node holds %v, %v", values(got.Siblings), err)
		}
		if st, err := c.admin("n1").Status(ctx); err != nil || !st.Draining {
			t.Errorf("status: draining %t, %v", st.Draining, err)
		}
		if d, err := c.admin("n1").Drain(ctx, true); err != nil || d.Draining {
			t.Errorf("undo: %+v, %v", d, err)
		}
		if _, err := c.client("n1").Put(ctx, key, []byte("milk"), nil, store.WriteOptions{}); err != nil {
			t.Errorf("put after the undo: %v", err)
		}
		if fmt.Sprint(told) != "[true false]" {
			t.Errorf("was told %v, want [true false]", told)
		}
	})
}
