package admission

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestNothingIsGrantedBeyondWhatALateForegroundLeaves: whatever the foreground does, a controller that takes slices away keeps within
// the bound, however much is asked for, and the bound was tried.
func TestNothingIsGrantedBeyondWhatALateForegroundLeaves(t *testing.T) {
	var late, beyond float64
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			g, r := newGate(t), rand.New(rand.NewPCG(seed, 1))
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for g.Of(Repair)(ctx, 0) == nil {
						time.Sleep(time.Millisecond)
					}
				})
			}
			for ctx.Err() == nil { // stretches of one kind of foreground each
				rate, chance := 1+r.ExpFloat64()*100, []float64{0, 0.05, 0.5, 1, 1}[r.IntN(5)]
				for end := time.Now().Add(time.Duration(r.IntN(10)) * time.Second); time.Now().Before(end); {
					time.Sleep(time.Duration(r.ExpFloat64() / rate * float64(time.Second)))
					latency := time.Millisecond
					if r.Float64() < chance {
						latency = 51*time.Millisecond + time.Duration(r.IntN(1000))*time.Millisecond
					}
					g.Observe(latency)
				}
				time.Sleep(time.Duration(r.IntN(2)) * time.Second)
			}
			wg.Wait()
			s := g.Stats()
			late, beyond = late+s.Late, beyond+s.Beyond
		})
	}
	if beyond != 0 || late < 300 {
		t.Errorf("%.0f of %.0f slices were beyond the bound", beyond, late)
	}
}

// TestWhatIsGrantedAsEverBesideALateForegroundIsSeen: without any limit, what comes sooner than the bound is counted, if the foreground
// has been late for long enough.
func TestWhatIsGrantedAsEverBesideALateForegroundIsSeen(t *testing.T) {
	const target = 50 * time.Millisecond
	for _, c := range []struct {
		name  string
		late  int // operations a tick
		other int // of these, in time
		ticks int
		want  bool
	}{
		{name: "late for long", late: 6, ticks: 10, want: true},
		{name: "not long enough", late: 6, ticks: 4},
		{name: "too few to tell", late: 2, ticks: 10},
		{name: "some in time", late: 6, other: 1, ticks: 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := strain{target: target, next: tick}
			now := time.Duration(0)
			for range c.ticks {
				for range c.late {
					s.observe(now, 2*target)
				}
				for range c.other {
					s.observe(now, target)
				}
				now += tick
			}
			for range 10 {
				s.grant(now, 1)
			}
			if got := s.beyond > 0; got != c.want {
				t.Errorf("%v of %v slices beyond the bound, want any: %t", s.beyond, s.granted, c.want)
			}
		})
	}
}
