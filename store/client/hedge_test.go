package client

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/store"
)

// slow makes a node take so long for everything.
func (r *ringed) slow(node string, took time.Duration) {
	r.hold = func(ctx context.Context, n string) {
		if n != node {
			return
		}
		timer := time.NewTimer(took)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

func TestASlowReadIsHedgedAndTheFirstAnswerWins(t *testing.T) {
	routed(t, func(r *ringed, c *Client) {
		c.opts.HedgeAfter = 20 * time.Millisecond
		for range 100 { // leave for ten
			if _, err := c.Get(context.Background(), "k", store.ReadOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if s := c.Stats(); s.Hedged != 0 {
			t.Fatalf("hedged %d reads that were fast", s.Hedged)
		}
		r.asked()
		r.slow("a", time.Second)
		began := time.Now()
		if _, err := c.Get(context.Background(), "k", store.ReadOptions{}); err != nil || time.Since(began) != 20*time.Millisecond {
			t.Errorf("got %v after %v, want the second node's answer after 20ms", err, time.Since(began))
		}
		if s := c.Stats(); s.Hedged != 1 || s.HedgeWins != 1 {
			t.Errorf("counted %+v", s)
		}
		if _, err := c.Put(context.Background(), "k", nil, nil, store.WriteOptions{}); err != nil || c.Stats().Hedged != 1 {
			t.Errorf("%v, %d hedges: a write is never hedged, for it would be made twice", err, c.Stats().Hedged)
		}
		r.slow("a", 30*time.Millisecond)
		r.answer = func(node string, _ any) error {
			if node != "a" {
				return errors.New("boom")
			}
			return nil
		}
		if _, err := c.Get(context.Background(), "k", store.ReadOptions{}); err != nil || c.Stats().HedgeWins != 1 {
			t.Errorf("%v: the first node's answer came, later than the second's error", err)
		}
		r.answer = func(string, any) error { return status.Error(codes.Internal, "boom") }
		if _, err := c.Get(context.Background(), "k", store.ReadOptions{}); err == nil {
			t.Error("two errors make no answer")
		}
	})
}

// When all is slow, hedges do not double the load.
func TestHedgesAreOneInTenReads(t *testing.T) {
	routed(t, func(r *ringed, c *Client) {
		c.opts.HedgeAfter = 20 * time.Millisecond
		r.slow("a", 50*time.Millisecond)
		for range 200 {
			if _, err := c.Get(context.Background(), "k", store.ReadOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if s := c.Stats(); s.Hedged != 20 {
			t.Errorf("%d of 200 reads were hedged, want one in ten", s.Hedged)
		}
	})
}

func TestThePaceFollowsRecentReads(t *testing.T) {
	var p pace
	for i := range latencyFewest {
		if _, ok := p.delay(HedgeP95); ok {
			t.Fatalf("a percentile of %d reads", i)
		}
		p.note(time.Duration(i+1) * time.Millisecond)
	}
	if d, ok := p.delay(HedgeP95); d != 20*time.Millisecond || !ok {
		t.Errorf("p95 of 1 to 20 ms is %v, %v", d, ok)
	}
	for range 2 * latencyWindow {
		p.note(time.Second)
	}
	if d, _ := p.delay(HedgeP95); d != time.Second {
		t.Errorf("p95 is %v, and all recent reads took 1s", d)
	}
	if _, ok := p.delay(0); ok {
		t.Error("hedged without being asked to")
	}
}
