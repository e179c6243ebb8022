package sim

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/trace"
)

// recordedSpree is a spree of shoppers under partitions, kills and pauses, with or
// without a trace of it.
func recordedSpree(t *testing.T, o Options, record bool) (lines []trace.Line, tally wire.Tally) {
	synctest.Test(t, func(t *testing.T) {
		c, err := NewStore(o, nil)
		must(t, err)
		if record {
			c.Record()
		}
		must(t, c.Start(t.Context()))
		begin := time.Now()
		var work sync.WaitGroup
		work.Go(func() { harass(t, c, o.Seed, 3) })
		for i := range 6 {
			s := &shopper{c: c, id: i, seed: o.Seed}
			work.Go(func() { s.shop(begin, 30) })
		}
		work.Wait()
		time.Sleep(10 * time.Second) // hints and repairs
		tally = c.Tally()
		must(t, c.Stop(t.Context()))
		lines = c.Trace(begin)
	})
	return lines, tally
}

func TestATraceTellsWhatMessagesAreFor(t *testing.T) {
	var all []trace.Line
	for seed := uint64(1); seed <= 4; seed++ { // no single one need repair a read
		lines, tally := recordedSpree(t, Options{Seed: seed}, true)
		if n := messages(lines); uint64(n) < tally.Packets {
			t.Errorf("seed %d: %d messages in the trace, of %d packets", seed, n, tally.Packets)
		}
		all = append(all, lines...)
	}
	tellsOfAll(t, all)
	all = nil
	want := []string{"request delivered", "request lost", "reply delivered", "reply lost"}
	missing := func(fates map[string]int) bool {
		return slices.ContainsFunc(want, func(f string) bool { return fates[f] == 0 })
	}
	fates := map[string]int{}
	for seed := uint64(1); seed < 10 && missing(fates); seed++ {
		lines, _ := recordedSpree(t, Options{Seed: seed, GRPC: true}, true)
		all = append(all, lines...)
		for _, l := range lines {
			if l.Event != trace.Message {
				continue
			}
			fates[l.Kind+" "+l.Fate]++
			if l.Ended < l.Time || l.Ended == l.Time && l.Fate == trace.Delivered {
				t.Errorf("a message that took no time: %+v", l)
			}
		}
	}
	if missing(fates) {
		t.Errorf("want %v, got %v", want, fates)
	}
	for seed := uint64(10); seed < 13; seed++ {
		lines, _ := recordedSpree(t, Options{Seed: seed, GRPC: true}, true)
		all = append(all, lines...)
	}
	tellsOfAll(t, all)
}

func messages(lines []trace.Line) (n int) {
	for _, l := range lines {
		if l.Event == trace.Message {
			n++
		}
	}
	return n
}

// tellsOfAll wants messages of every purpose and events of every kind.
func tellsOfAll(t *testing.T, lines []trace.Line) {
	t.Helper()
	what, events := map[string]int{}, map[string]int{}
	for _, l := range lines {
		events[l.Event]++
		if l.Event != trace.Message || l.Kind != trace.Request {
			continue
		}
		what[l.What]++
		switch l.What {
		case trace.Hint:
			if l.For == "" || l.For == l.To || len(l.Versions) == 0 {
				t.Errorf("a hint for nobody, or of nothing: %+v", l)
			}
		case trace.Replicate, trace.HandOff, trace.Repair:
			if l.Key == "" || l.For != "" || len(l.Versions) == 0 || l.Versions[0].Value == "" {
				t.Errorf("a merge of nothing: %+v", l)
			}
		}
	}
	for _, w := range []string{trace.Client, trace.Forward, trace.Replicate, trace.Hint, trace.HandOff, trace.Read, trace.Repair, trace.Entropy, trace.Ping} {
		if what[w] == 0 {
			t.Errorf("no message is a %q: %v", w, what)
		}
	}
	for _, e := range []string{trace.Start, trace.Kill, trace.Pause, trace.Resume, trace.Cut, trace.Mend} {
		if events[e] == 0 {
			t.Errorf("nothing is a %q: %v", e, events)
		}
	}
}

// A hand-off follows the hint that it delivers: the same key, from whom it was parked with.
func TestAHandOffFollowsItsHint(t *testing.T) {
	lines, _ := recordedSpree(t, Options{Seed: 1}, true)
	followed := 0
	for i, l := range lines {
		if l.What == trace.HandOff && l.Kind == trace.Request && slices.ContainsFunc(lines[:i], func(h trace.Line) bool {
			return h.What == trace.Hint && h.Key == l.Key && h.To == l.From && h.For == l.To
		}) {
			followed++
		}
	}
	if followed == 0 {
		t.Error("no hand-off follows a hint")
	}
}

func TestRecordingChangesNothing(t *testing.T) {
	for _, o := range []Options{{Seed: 2}, {Seed: 2, GRPC: true}} {
		recordingChangesNothing(t, o)
	}
}

func recordingChangesNothing(t *testing.T, o Options) {
	t.Helper()
	first, with := recordedSpree(t, o, true)
	none, without := recordedSpree(t, o, false)
	if with != without || none != nil {
		t.Errorf("recorded %+v, unrecorded %+v with %d lines", with, without, len(none))
	}
	again, _ := recordedSpree(t, o, true)
	if !slices.EqualFunc(first, again, func(a, b trace.Line) bool {
		return a.Time == b.Time && a.Ended == b.Ended && a.From == b.From && a.To == b.To && a.What == b.What && a.Call == b.Call && a.Fate == b.Fate
	}) {
		t.Errorf("one seed gave two traces, of %d and %d lines", len(first), len(again))
	}
}

func TestTimesOfATraceCountFromTheGivenInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := NewStore(Options{Nodes: 3}, nil)
		must(t, err)
		time.Sleep(time.Minute) // the cluster is made long before it starts
		c.Record()
		must(t, c.Start(t.Context()))
		zero := time.Now()
		time.Sleep(time.Second)
		must(t, c.Kill(t.Context(), "n2"))
		must(t, c.Stop(t.Context()))
		for _, l := range c.Trace(zero) {
			if l.Event == trace.Kill && (l.Node != harness.NodeID("n2") || l.Time != time.Second) {
				t.Errorf("got %+v, want n2 killed at 1s", l)
			}
			if l.Event == trace.Message && (l.Time < -time.Second || l.Time > 2*time.Second) {
				t.Errorf("a message is of another time: %+v", l)
			}
		}
	})
}
