package hint

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The pace begins slowly, doubles to its limits, and begins again after a failure.
func TestAPaceBeginsSlowly(t *testing.T) {
	p := newPace(1600, 4)
	for i, want := range []struct {
		rate   float64
		window int
	}{{100, 1}, {200, 2}, {400, 4}, {800, 4}, {1600, 4}, {1600, 4}} {
		if p.rate != want.rate || p.window != want.window {
			t.Errorf("after %d pages: %v bytes/s, %d at once, want %+v", i, p.rate, p.window, want)
		}
		p.delivered()
	}
	if p.failed(); p.rate != 100 || p.window != 1 {
		t.Errorf("after a failure: %v bytes/s, %d at once", p.rate, p.window)
	}
}

// In no stretch of time is more sent than flows into the bucket in that time and one second, and one hint.
func TestAPaceKeepsToItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type sent struct {
			at    time.Duration
			bytes int
		}
		p := newPace(slowdown*1000, 4) // 1000 bytes a second
		var all []sent
		now := time.Hour
		for range rapid.IntRange(1, 40).Draw(t, "hints") {
			now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond
			bytes := rapid.IntRange(1, 3000).Draw(t, "bytes")
			wait := p.spend(now, bytes)
			if wait < 0 {
				t.Fatalf("waits %v", wait)
			}
			now += wait
			all = append(all, sent{now, bytes})
		}
		for i := range all {
			total := 0
			for _, s := range all[i:] {
				if limit := 1000*(s.at-all[i].at+time.Second).Seconds() + 1; float64(total) > limit {
					t.Fatalf("%d bytes went out in %v before another was sent", total, s.at-all[i].at)
				}
				total += s.bytes
			}
		}
	})
}
