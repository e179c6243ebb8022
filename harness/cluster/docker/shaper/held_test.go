package shaper

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHeldPacketsComeWhenDueAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		now := func() time.Duration { return time.Since(begun) }
		h := newHeld()
		var wg sync.WaitGroup
		wg.Go(func() { h.run(ctx, now) })
		var got []string
		for _, p := range []struct {
			name string
			due  time.Duration
		}{{"d", 3 * time.Second}, {"a", time.Second}, {"b", time.Second}, {"c", 2 * time.Second}} {
			h.add(p.due, func() { got = append(got, fmt.Sprint(p.name, now())) })
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		h.add(now(), func() { got = append(got, fmt.Sprint("e", now())) }) // while it sleeps
		synctest.Wait()
		if want := []string{"a1s", "b1s", "c2s", "d3s", "e1m0s"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		cancel()
		wg.Wait()
	})
}
