package admission

import (
	"fmt"
	"testing"
	"time"
)

// A second of foreground operations, all equally late, and what is left of the share after it.
func TestTheShareFollowsTheForeground(t *testing.T) {
	const target = 50 * time.Millisecond
	for _, test := range []struct {
		name    string
		rate    int // foreground operations a second
		latency time.Duration
		late    int // of them, in a thousand, that are ten times as late
		seconds int
		stall   bool // the engine stalls all the time
		from    float64
		want    string // share after each second
	}{
		{name: "nothing is limited at first", rate: 100, latency: time.Millisecond, seconds: 2, from: ShareMax, want: "4096 4096"},
		{name: "a slow foreground halves it at once, down to the floor", rate: 200, latency: 80 * time.Millisecond, seconds: 3, from: ShareMax, want: "256 64 64"},
		{name: "the 99th percentile decides", rate: 4000, latency: 8 * time.Millisecond, late: 20, seconds: 2, from: ShareMax, want: "256 64"},
		{name: "one in two hundred does not", rate: 4000, latency: 8 * time.Millisecond, late: 5, seconds: 2, from: ShareMax, want: "4096 4096"},
		{name: "a fast one gives back a little at a time", rate: 100, latency: time.Millisecond, seconds: 3, from: 256, want: "512 768 1024"},
		{name: "too few to judge take nothing", rate: 4, latency: time.Second, seconds: 2, from: ShareMax, want: "4096 4096"},
		{name: "nothing in the foreground: no limit", rate: 0, seconds: 3, from: 256, want: "512 4096 4096"},
		{name: "a stall leaves the floor", rate: 100, latency: time.Millisecond, stall: true, seconds: 2, from: ShareMax, want: "64 64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := NewController(target, 0)
			c.share = test.from
			if test.stall {
				c.Stalled(0, true)
			}
			got := ""
			for second := range test.seconds {
				at := time.Duration(second) * time.Second
				for n := range test.rate {
					latency := test.latency
					if n%1000 < test.late {
						latency *= 10
					}
					c.Observe(at+time.Duration(n)*time.Second/time.Duration(test.rate), latency)
				}
				share, _ := c.Share(at + time.Second)
				got += fmt.Sprintf(" %.0f", share)
			}
			if got != " "+test.want {
				t.Errorf("got%s, want %s", got, test.want)
			}
		})
	}
}

func TestALongSilenceEndsInNoLimitAndSoonDecided(t *testing.T) {
	c := NewController(time.Millisecond, 0)
	c.Stalled(0, true)
	c.Stalled(time.Second, false)
	if share, limited := c.Share(time.Second); share > ShareMin+gain || !limited {
		t.Errorf("after a stall: share %v, limited %t", share, limited)
	}
	if share, limited := c.Share(1000 * time.Hour); share != ShareMax || limited {
		t.Errorf("after a long silence: share %v, limited %t", share, limited)
	}
}

// What was seen before a cut does not cut again: else each cut would go down to the floor while the window remembers.
func TestACutIsJudgedByWhatComesAfterIt(t *testing.T) {
	c := NewController(50*time.Millisecond, 0)
	for n := range 100 {
		c.Observe(time.Duration(n)*time.Millisecond, time.Second)
	}
	for n := range 100 {
		c.Observe(tick+time.Duration(n)*time.Millisecond, time.Millisecond)
	}
	if share, _ := c.Share(2 * tick); share != ShareMax/2+gain {
		t.Errorf("share is %v after one slow tick and one fast one, want %d", share, ShareMax/2+gain)
	}
}

func TestQuantilesAreAnEighthTooHighAtMost(t *testing.T) {
	for _, d := range []time.Duration{0, time.Microsecond, 3 * time.Microsecond, 777 * time.Microsecond, 50 * time.Millisecond, 2 * time.Second, 60 * time.Second} {
		w := window{steps: make([]step, 4)}
		w.add(d)
		got, count := w.quantile(0.99)
		floor := max(d, time.Microsecond)
		if count != 1 || got < floor || float64(got) > 1.126*float64(floor) {
			t.Errorf("%v: got %v of %d", d, got, count)
		}
	}
	w := window{steps: make([]step, 2)}
	w.add(time.Hour) // the last bucket takes it
	w.next()
	w.next()
	if _, count := w.quantile(0.5); count != 0 {
		t.Errorf("%d are left in a window that has passed, want 0", count)
	}
}
