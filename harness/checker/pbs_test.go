package checker

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cartwheel/harness"
)

// TestPredictionSeesThroughWhatWasNotWaitedFor draws the delays of all replicas, shows
// only those of each quorum, and compares the prediction made of these with what the
// whole truth says, computed apart.
func TestPredictionSeesThroughWhatWasNotWaitedFor(t *testing.T) {
	for _, c := range []struct{ n, r, w int }{{3, 1, 1}, {3, 1, 2}, {3, 2, 1}, {3, 2, 2}, {5, 1, 1}} {
		rnd := rand.New(rand.NewPCG(1, uint64(c.n*100+c.r*10+c.w)))
		slow := func() time.Duration { return time.Duration((1 + 20*rnd.ExpFloat64()) * float64(time.Millisecond)) }
		fast := func() time.Duration { return time.Duration((1 + 2*rnd.ExpFloat64()) * float64(time.Millisecond)) }
		var s service
		const trials = 20000
		truth := make(map[time.Duration]int)
		waits := []time.Duration{0, time.Millisecond, 4 * time.Millisecond, 16 * time.Millisecond, 64 * time.Millisecond}
		for range trials {
			ws, rs := make([]time.Duration, c.n), make([]time.Duration, c.n)
			for i := range ws {
				ws[i], rs[i] = slow(), fast()
			}
			observe(&s.writes, ws, c.w)
			observe(&s.reads, rs, c.r)
			acked := slices.Sorted(slices.Values(ws))[c.w-1]
			inTime := slices.Sorted(slices.Values(rs))[c.r-1]
			for _, wait := range waits {
				for i := range ws {
					// The request reaches the replica at half of its time, and the write has, too.
					if rs[i] <= inTime && ws[i]/2 <= acked+wait+rs[i]/2 {
						truth[wait]++
						break
					}
				}
			}
		}
		p := predict(&s, c.n)
		if p == nil || p.r != c.r || p.w != c.w {
			t.Fatalf("%+v: the prediction is %+v", c, p)
		}
		for _, wait := range waits {
			want := float64(truth[wait]) / trials
			if got := p.after(wait); math.Abs(got-want) > 0.03 {
				t.Errorf("%+v: %s after its acknowledgement a write is visible to %.3f, predicted %.3f", c, wait, want, got)
			}
		}
		if c.r+c.w > c.n && p.after(0) != 1 {
			t.Errorf("%+v: quorums meet, but visible at once only to %.3f", c, p.after(0))
		}
		if c.r+c.w <= c.n && p.after(0) > 0.99 {
			t.Errorf("%+v: visible at once to %.3f: nothing to see", c, p.after(0))
		}
	}
}

// observe shows the fastest answers of a request.
func observe(d *delays, all []time.Duration, quorum int) {
	var replies []harness.Reply
	for _, rtt := range slices.Sorted(slices.Values(all))[:quorum] {
		replies = append(replies, harness.Reply{State: "ok", RTT: rtt})
	}
	d.add(replies)
}

func TestTooFewAnswersPredictNothing(t *testing.T) {
	var s service
	for range 10 {
		observe(&s.reads, []time.Duration{time.Millisecond}, 1)
		observe(&s.writes, []time.Duration{time.Millisecond}, 1)
	}
	if p := predict(&s, 3); p != nil {
		t.Errorf("predicted %+v of 10 answers", p)
	}
}
