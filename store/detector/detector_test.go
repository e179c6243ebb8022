package detector

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/store"
)

// A link is what pings meet.
type link struct {
	mu    sync.Mutex
	cut   map[store.NodeID]bool
	pings map[store.NodeID]int
}

func (l *link) ping(ctx context.Context, n store.NodeID) error {
	l.mu.Lock()
	cut := l.cut[n]
	l.pings[n]++
	l.mu.Unlock()
	if cut {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (l *link) set(n store.NodeID, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut[n] = cut
}

func (l *link) count(n store.NodeID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pings[n]
}

func start(t *testing.T, l *link, change func(*Options)) *Detector {
	t.Helper()
	l.cut, l.pings = map[store.NodeID]bool{}, map[store.NodeID]int{}
	began := time.Now()
	o := Options{
		Self: "n1", Peers: []store.NodeID{"n1", "n2", "n3"}, Ping: l.ping,
		Now:  func() time.Duration { return time.Since(began) },
		Rand: func(names ...uint64) uint64 { return names[len(names)-1] * 7919 },
	}
	if change != nil {
		change(&o)
	}
	d, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAnIdleNodeNoticesAPeerThatGoesAndComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l link
		var cameUp []store.NodeID
		d := start(t, &l, func(o *Options) { o.OnUp = func(n store.NodeID) { cameUp = append(cameUp, n) } })
		defer d.Close()
		if !d.Up("n1") || !d.Up("n2") || d.Up("n9") {
			t.Errorf("at first: up n1 %v, n2 %v, stranger n9 %v, want true, true, false", d.Up("n1"), d.Up("n2"), d.Up("n9"))
		}
		l.set("n2", true)
		time.Sleep(5 * time.Second)
		if d.Up("n2") || !d.Up("n3") {
			t.Errorf("n2 cut off: up n2 %v, n3 %v, want false, true", d.Up("n2"), d.Up("n3"))
		}
		l.set("n2", false)
		time.Sleep(1500 * time.Millisecond)
		if !d.Up("n2") || !slices.Equal(cameUp, []store.NodeID{"n2"}) {
			t.Errorf("n2 healed: up %v, told of %v, want true and n2 once", d.Up("n2"), cameUp)
		}
		if s := d.Stats(); s.Downs != 1 || s.Ups != 1 || s.Stalls != 0 {
			t.Errorf("stats: got %+v, want one down and one up", s)
		}
	})
}

func TestAPeerInUseIsNotProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l link
		d := start(t, &l, nil)
		defer d.Close()
		for range 20 {
			time.Sleep(time.Second)
			d.Succeeded("n2")
		}
		if got := l.count("n2"); got > 0 {
			t.Errorf("a peer that answers requests was probed %d times", got)
		}
		if got := l.count("n3"); got < 7 || got > 10 {
			t.Errorf("an idle peer was probed %d times in 20s, want about one in 2s", got)
		}
	})
}

func TestAStoppedNodeAccusesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l link
		var stop atomic.Int64 // how much longer than the timers the process was stopped
		d := start(t, &l, func(o *Options) {
			now := o.Now
			o.Now = func() time.Duration { return now() + time.Duration(stop.Load()) }
		})
		defer d.Close()
		time.Sleep(time.Second + time.Millisecond)
		stop.Add(int64(4 * time.Second))
		for range 5 { // the requests of before have all run out
			d.Failed("n2")
		}
		time.Sleep(300 * time.Millisecond)
		if !d.Up("n2") || d.Stats().Stalls != 1 {
			t.Errorf("after a stop: n2 up %v, %d stalls, want true and 1", d.Up("n2"), d.Stats().Stalls)
		}
		l.set("n2", true)
		time.Sleep(5 * time.Second)
		if d.Up("n2") {
			t.Error("n2 is out of reach long after the stop and still believed up")
		}
	})
}

func TestCloseWaitsForProbesAndDoesNotAccuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l link
		var under atomic.Int32
		d := start(t, &l, func(o *Options) {
			o.Failures = 1
			o.Ping = func(ctx context.Context, n store.NodeID) error {
				under.Add(1)
				defer under.Add(-1)
				<-ctx.Done()
				return ctx.Err()
			}
		})
		for under.Load() == 0 {
			time.Sleep(10 * time.Millisecond) // virtual; ends when the first idle probe is out
		}
		for range 2 {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if n := under.Load(); n != 0 || !d.Up("n2") || !d.Up("n3") {
			t.Errorf("after close: %d probes under way, n2 up %v, n3 up %v", n, d.Up("n2"), d.Up("n3"))
		}
	})
}

func TestOptionsAreCheckedTogether(t *testing.T) {
	_, err := Start(Options{Failures: -1})
	var joined interface{ Unwrap() []error }
	if !errors.Is(err, store.ErrInvalid) || !errors.As(err, &joined) || len(joined.Unwrap()) != 4 {
		t.Errorf("got %v, want four problems", err)
	}
}

// Who joins is watched from then on, who leaves is not up any more, and who stays is believed to be as before.
func TestPeersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{}
		d := start(t, l, nil)
		l.set("n2", true)
		time.Sleep(10 * time.Second)
		if d.Up("n2") || !d.Up("n3") {
			t.Fatalf("n2 up: %t, n3 up: %t", d.Up("n2"), d.Up("n3"))
		}
		d.Watch([]store.NodeID{"n1", "n2", "n4"})
		if d.Up("n2") || d.Up("n3") || !d.Up("n4") {
			t.Errorf("up: n2 %t, n3 %t, n4 %t", d.Up("n2"), d.Up("n3"), d.Up("n4"))
		}
		l.set("n4", true)
		time.Sleep(10 * time.Second)
		if d.Up("n4") {
			t.Error("a new peer is not watched")
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}
