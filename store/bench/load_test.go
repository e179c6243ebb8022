package bench

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// One request of one client takes a second; 100 a second are due. A closed loop sees one slow
// request in a thousand, an open one the hundred that were late.
func TestAnOpenLoopChargesAStallToAllThatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stall := func(_ context.Context, _, n int) error {
			time.Sleep(time.Millisecond)
			if n == 100 {
				time.Sleep(time.Second)
			}
			return nil
		}
		if l := Closed(t.Context(), 1, 10*time.Second, stall); l.Quantile(99) > 2*time.Millisecond {
			t.Errorf("closed loop: p99 is %v, want about 1ms: it does not see waiting", l.Quantile(99))
		}
		l := Open(t.Context(), 1, 10*time.Second, 100, stall)
		if l.Done != 1000 {
			t.Errorf("%d requests were made, want 1000", l.Done)
		}
		if p95 := l.Quantile(95); p95 < 400*time.Millisecond {
			t.Errorf("open loop: p95 is %v, want about half a second: requests that waited were left out", p95)
		}
		if p50 := l.Quantile(50); p50 > 2*time.Millisecond {
			t.Errorf("open loop: p50 is %v, want about 1ms", p50)
		}
	})
}

func TestAClosedLoopCountsWhatSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		odd := errors.New("odd")
		l := Closed(t.Context(), 4, time.Second, func(_ context.Context, _, n int) error {
			time.Sleep(10 * time.Millisecond)
			if n%2 == 1 {
				return odd
			}
			return nil
		})
		if l.Done != 200 || l.Failed != 200 || !errors.Is(l.Err, odd) {
			t.Errorf("%d done, %d failed with %v, want 200 each", l.Done, l.Failed, l.Err)
		}
		if l.Rate() != 200 {
			t.Errorf("%g a second, want 200", l.Rate())
		}
	})
}

// One second of nine stands still: the median second is as any other, the whole load is late.
func TestTheMedianSecondKnowsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		all, median := OpenEachSecond(t.Context(), 1, 9*time.Second, 100, func(context.Context, int, int) error {
			time.Sleep(time.Millisecond)
			if calls++; calls == 350 {
				time.Sleep(300 * time.Millisecond)
			}
			return nil
		})
		if all.Done != 900 || calls != 900 || all.Failed > 0 {
			t.Errorf("%d of %d requests were made, %d failed, want 900", all.Done, calls, all.Failed)
		}
		if all.Quantile(99.9) < 250*time.Millisecond || median > 2*time.Millisecond {
			t.Errorf("p99.9 is %v, of the median second %v, want about 300ms and 1ms", all.Quantile(99.9), median)
		}
	})
}
