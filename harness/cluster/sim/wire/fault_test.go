package wire

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"cartwheel/harness"
	"cartwheel/store/storepb"
)

func TestACutLinkIsSilence(t *testing.T) {
	for _, c := range []struct {
		name   string
		cut    []harness.Link
		served int // requests that reached n2 while the cut was in force
		code   codes.Code
	}{
		{"there", links("n1", "n2"), 0, codes.DeadlineExceeded},
		{"back", links("n2", "n1"), 1, codes.DeadlineExceeded},
		{"both", links("n1", "n2", "n2", "n1"), 0, codes.DeadlineExceeded},
		{"elsewhere", links("n1", "n3", "n3", "n2"), 1, codes.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{}, func(t *testing.T, n *Net) {
				a, b := serve(t, n, "n1", nil), serve(t, n, "n2", nil)
				defer a.proc.Close()
				defer b.proc.Close()
				n.Cut("f1", c.cut)
				_, took, err := fetch(a.proc.Dial("n2"), "k", 300*time.Millisecond)
				wantCode(t, err, c.code)
				if c.code != codes.OK && (took < 300*time.Millisecond || took > 300*time.Millisecond+pauseMax) {
					t.Errorf("the caller waited %v, want its whole timeout", took)
				}
				if got := len(b.called()); got != c.served {
					t.Errorf("%d requests were served, want %d", got, c.served)
				}
				var dropped uint64
				for l, d := range n.Dropped("f1") {
					if !slices.Contains(c.cut, l) {
						t.Errorf("%v was never cut", l)
					}
					dropped += d
				}
				if (dropped > 0) != (c.code != codes.OK) {
					t.Errorf("%d packets dropped", dropped)
				}
				n.Mend("f1")
				n.Mend("f1")
				if _, _, err = fetch(a.proc.Dial("n2"), "k2", time.Second); err != nil {
					t.Errorf("after the heal: %v", err)
				}
				if n.Dropped("f1") != nil {
					t.Error("a mended fault is remembered")
				}
			})
		})
	}
}

func TestOverlappingCutsHealOneByOne(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", nil)
		defer s.proc.Close()
		n.Cut("f1", links("c0", "n1"))
		n.Cut("f2", links("c0", "n1"))
		n.Mend("f1")
		_, _, err := fetch(n.Dial("c0", "n1"), "k", 100*time.Millisecond)
		wantCode(t, err, codes.DeadlineExceeded)
		n.Mend("f2")
		if _, _, err = fetch(n.Dial("c0", "n1"), "k", 100*time.Millisecond); err != nil {
			t.Error(err)
		}
	})
}

// TCP keeps what a cut took and sends it again: a write may land after the heal,
// long after its caller gave up. Everything at once would leave the order to the scheduler.
func TestWhatACutKeptBackTricklesInAfterTheHeal(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", nil)
		defer s.proc.Close()
		n.Cut("f1", links("c0", "n1"))
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				_, _, err := fetch(n.Dial("c0", "n1"), key(i), time.Duration(100+15*i)*time.Millisecond)
				wantCode(t, err, codes.DeadlineExceeded)
			})
		}
		wg.Wait()
		time.Sleep(time.Second - n.now())
		n.Mend("f1")
		time.Sleep(20 * time.Second)
		at := s.called()
		if len(at) == 0 || len(at) == 50 {
			t.Errorf("%d of 50 requests arrived late, want some: others are overtaken by their cancellation", len(at))
		}
		slices.Sort(at)
		if at[0] < time.Second {
			t.Errorf("one arrived at %v, during the cut", at[0])
		}
		if distinct := slices.Compact(slices.Clone(at)); len(distinct) != len(at) {
			t.Errorf("%d arrivals share %d instants", len(at), len(distinct))
		}
	})
}

func TestACutThatLastsLosesForGood(t *testing.T) {
	var lost []Packet
	inBubble(t, Options{Trace: func(p Packet) {
		if p.Fate == Lost {
			lost = append(lost, p)
		}
	}}, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", nil)
		defer s.proc.Close()
		n.Cut("f1", links("c0", "n1"))
		_, _, err := fetch(n.Dial("c0", "n1"), "k", time.Minute)
		wantCode(t, err, codes.DeadlineExceeded)
		n.Mend("f1")
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(s.called()) != 0 {
			t.Error("it arrived")
		}
		if len(lost) != 1 || lost[0].Tries != 4 || lost[0].Ended < 1400*time.Millisecond || lost[0].Ended > 1800*time.Millisecond {
			t.Errorf("got %+v, want one packet given up after 4 tries within 1.8s", lost)
		}
	})
}

func TestAFrozenProcessNeitherSendsNorReceives(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		a, b := serve(t, n, "n1", nil), serve(t, n, "n2", nil)
		defer a.proc.Close()
		defer b.proc.Close()
		n.Freeze("n1")
		n.Freeze("n1")
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, _, err := fetch(n.Dial("c0", "n1"), key(i), time.Second) // to the frozen
				wantCode(t, err, codes.DeadlineExceeded)
			})
			wg.Go(func() {
				_, _, err := fetch(a.proc.Dial("n2"), key(i), time.Second) // of the frozen
				wantCode(t, err, codes.DeadlineExceeded)
			})
		}
		if open, err := n.Probe(t.Context(), links("n2", "n1")[0]); !open || err != nil {
			t.Errorf("the kernel of a frozen process does not answer: %v, %v", open, err)
		}
		wg.Wait()
		if got := len(a.called()) + len(b.called()); got != 0 || !n.Frozen("n1") {
			t.Errorf("%d calls came through a freeze, frozen: %v", got, n.Frozen("n1"))
		}
		thaw := n.now()
		n.Thaw("n1")
		n.Thaw("n1")
		time.Sleep(time.Second)
		at := append(a.called(), b.called()...)
		slices.Sort(at)
		if len(at) == 0 || at[0] <= thaw || at[len(at)-1] > thaw+50*time.Millisecond {
			t.Errorf("after the thaw at %v came %v", thaw, at)
		}
		if distinct := slices.Compact(slices.Clone(at)); len(distinct) != len(at) {
			t.Errorf("%d arrivals share %d instants", len(at), len(distinct))
		}
		if _, _, err := fetch(a.proc.Dial("n2"), "k", time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestDeathEndsAFreeze(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", nil)
		n.Freeze("n1")
		time.AfterFunc(100*time.Millisecond, s.proc.Close)
		_, took, err := fetch(n.Dial("c0", "n1"), "k", time.Second)
		wantCode(t, err, codes.Unavailable)
		if took < 100*time.Millisecond || n.Frozen("n1") {
			t.Errorf("refused after %v, frozen: %v", took, n.Frozen("n1"))
		}
	})
}

func TestShapesDisturbALink(t *testing.T) {
	const calls = 200
	for _, c := range []struct {
		name  string
		shape harness.Shape
		check func(t *testing.T, took []time.Duration, served int)
	}{
		{"delay", harness.Shape{Delay: 100 * time.Millisecond}, func(t *testing.T, took []time.Duration, served int) {
			if slices.Min(took) < 100*time.Millisecond || slices.Max(took) > 110*time.Millisecond {
				t.Errorf("took %v to %v", slices.Min(took), slices.Max(took))
			}
		}},
		{"jitter", harness.Shape{Jitter: 100 * time.Millisecond}, func(t *testing.T, took []time.Duration, served int) {
			if slices.Min(took) > 20*time.Millisecond || slices.Max(took) < 90*time.Millisecond {
				t.Errorf("took %v to %v", slices.Min(took), slices.Max(took))
			}
		}},
		{"loss", harness.Shape{Loss: 0.2}, func(t *testing.T, took []time.Duration, served int) {
			late := over(took, 200*time.Millisecond)
			if served != calls || late < calls/8 || late > calls*2/7 {
				t.Errorf("%d of %d served, %d late, want about a fifth sent again", served, calls, late)
			}
		}},
		{"corrupt", harness.Shape{Corrupt: 0.2}, func(t *testing.T, took []time.Duration, served int) {
			if late := over(took, 200*time.Millisecond); served != calls || late < calls/8 || late > calls*2/7 {
				t.Errorf("%d of %d served, %d late, want about a fifth sent again", served, calls, late)
			}
		}},
		{"duplicate", harness.Shape{Duplicate: 1}, func(t *testing.T, took []time.Duration, served int) {
			if served != calls { // TCP takes one of two
				t.Errorf("%d calls were served %d times", calls, served)
			}
			if mean := mean(took); mean > 5*time.Millisecond { // 5.5ms without: of two the faster counts
				t.Errorf("took %v, want the faster of two", mean)
			}
		}},
		{"reorder", harness.Shape{Reorder: 0.5}, func(t *testing.T, took []time.Duration, _ int) {
			if late := over(took, 10*time.Millisecond); late < calls/3 || late > calls*2/3 {
				t.Errorf("%d of %d were overtaken, want half", late, calls)
			}
		}},
		{"rate", harness.Shape{Rate: 1000}, func(t *testing.T, took []time.Duration, served int) {
			// All at once: none waits for another, but each takes its hundred bytes' time.
			if served != calls || slices.Min(took) < 80*time.Millisecond {
				t.Errorf("%d of %d served, the first in %v", served, calls, slices.Min(took))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, Options{Seed: 4}, func(t *testing.T, n *Net) {
				s := serve(t, n, "n1", nil)
				defer s.proc.Close()
				n.Shape("f1", c.shape, links("c0", "n1"))
				took := make([]time.Duration, calls)
				var wg sync.WaitGroup
				for i := range calls {
					wg.Go(func() {
						var err error
						if _, took[i], err = fetch(n.Dial("c0", "n1"), key(i), time.Minute); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				time.Sleep(time.Second)
				c.check(t, took, len(s.called()))
				if hit := n.Shaped("f1")[links("c0", "n1")[0]]; hit < calls/8 {
					t.Errorf("%d packets were hit", hit)
				}
				n.Unshape("f1")
				if n.Shaped("f1") != nil {
					t.Error("a healed fault still has counts")
				}
				if _, d, err := fetch(n.Dial("c0", "n1"), "k", time.Second); err != nil || d >= 10*time.Millisecond {
					t.Errorf("after the heal: %v, %v", d, err)
				}
			})
		})
	}
}

func over(took []time.Duration, limit time.Duration) (n int) {
	for _, d := range took {
		if d > limit {
			n++
		}
	}
	return n
}

func mean(took []time.Duration) (sum time.Duration) {
	for _, d := range took {
		sum += d
	}
	return sum / time.Duration(len(took))
}

func TestANarrowLineSendsOnePacketAfterTheOther(t *testing.T) {
	const each = 100 * time.Millisecond
	var q line
	for i, c := range []struct {
		now, late time.Duration
		lost      bool
	}{
		{now: time.Second, late: each},
		{now: time.Second, late: each},                    // of one instant: neither is first
		{now: time.Second + 1, late: 3*each - 1},          // waits for both
		{now: 5 * time.Second, late: each},                // nobody is left
		{now: 5*time.Second + 1, late: 2*each - 1},        //
		{now: 5*time.Second + 2, late: 3*each - 2},        //
		{now: 5*time.Second + each + 2, late: 3*each - 2}, // one is through
		{now: 5*time.Second + each + 2, late: 3*each - 2}, //
		{now: 5*time.Second + each + 3, late: 5*each - 3}, //
	} {
		var late time.Duration
		var lost bool
		if q, late, lost = q.take(c.now, each); late != c.late || lost != c.lost {
			t.Errorf("packet %d: late by %v, lost %v; want %v, %v", i, late, lost, c.late, c.lost)
		}
	}
	for range 20 { // more than may wait, each at an instant of its own
		q, _, _ = q.take(q.at+1, each)
	}
	if _, _, lost := q.take(q.at+1, each); !lost {
		t.Error("a packet waits for ever")
	}
}

func TestShapingsAddUpAndHealOneByOne(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		s := serve(t, n, "n1", nil)
		defer s.proc.Close()
		slow := func(want time.Duration) {
			t.Helper()
			if _, took, err := fetch(n.Dial("c0", "n1"), "k", 10*time.Second); err != nil || took < want || took > want+20*time.Millisecond {
				t.Errorf("took %v, %v; want %v", took, err, want)
			}
		}
		n.Shape("f2", harness.Shape{Delay: 2 * time.Second}, links("c0", "n1"))
		n.Shape("f1", harness.Shape{Delay: time.Second}, links("c0", "n1"))
		slow(3 * time.Second)
		n.Shape("f1", harness.Shape{Delay: 4 * time.Second}, links("c0", "n1")) // instead of before
		slow(6 * time.Second)
		n.Unshape("f2")
		slow(4 * time.Second)
		n.Unshape("f1")
		n.Unshape("unknown")
		slow(0)
	})
}

func TestProbesTellCutLinksFromOpenOnes(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, n *Net) {
		n.Cut("f1", links("n1", "n2"))
		n.Shape("f2", harness.Shape{Loss: 0.3}, links("n2", "n1"))
		for _, c := range []struct {
			link harness.Link
			want bool
		}{{links("n1", "n2")[0], false}, {links("n2", "n1")[0], true}, {links("n1", "n3")[0], true}} {
			if got, err := n.Probe(t.Context(), c.link); got != c.want || err != nil {
				t.Errorf("%v: got %v, %v, want %v", c.link, got, err, c.want)
			}
		}
		if d := n.Dropped("f1"); d[links("n1", "n2")[0]] != 0 {
			t.Errorf("probes were counted: %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := n.Probe(ctx, links("n1", "n2")[0]); err == nil {
			t.Error("a cancelled probe answered")
		}
	})
}

func TestARequestToTheLateListenerIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{LatencyMin: 10 * time.Millisecond})
		p := n.Start("n1")
		s := &toy{proc: p}
		storepb.RegisterPeerServer(p, s)
		time.AfterFunc(time.Millisecond, func() {
			if err := p.Listen(); err != nil {
				t.Error(err)
			}
		})
		if _, _, err := fetch(n.Dial("c0", "n1"), "k", time.Second); err != nil {
			t.Error(err) // it listened when the connection arrived
		}
		p.Close()
	})
}
