package detector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"cartwheel/store"
)

// TestScript plays the stories in testdata against the pure state machine.
func TestScript(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		tr := newTracker(Options{Self: "n1", Peers: []store.NodeID{"n3", "n1", "n2"}}.withDefaults(), 0, noJitter)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				f := strings.Fields(line)
				at, err := time.ParseDuration(f[0])
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				fmt.Fprintf(&out, "%-26s -> %s\n", strings.TrimSpace(line), play(tr, at, f[1], f[2:]))
			}
			return out.String()
		})
	})
}

func noJitter(store.NodeID, uint64) time.Duration { return 0 }

// play makes one thing happen and says what the tracker makes of it.
func play(tr *tracker, at time.Duration, event string, args []string) string {
	if event == "beat" {
		probes, stalled := tr.beat(at)
		said := fmt.Sprintf("probe %v", probes)
		if stalled > 0 {
			said = fmt.Sprintf("was stopped for %v, %s", stalled, said)
		}
		return said
	}
	n := store.NodeID(args[0])
	switch event {
	case "fail":
		tr.failed(n, at)
	case "ok":
		tr.succeeded(n, at)
	case "probe-fail":
		tr.failed(n, at)
		tr.probed(n)
	case "probe-ok":
		tr.succeeded(n, at)
		tr.probed(n)
	default:
		panic("unknown event " + event)
	}
	if tr.up(n) {
		return fmt.Sprintf("%s up", n)
	}
	return fmt.Sprintf("%s down", n)
}

// While this node runs, a peer is down exactly if its last two round trips failed, or if it
// was down before and none has succeeded since: a history read from the end says the same.
func TestBeliefFollowsFromOurOwnRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Self: "n1", Peers: []store.NodeID{"n2"}, Failures: rapid.IntRange(1, 4).Draw(t, "failures")}.withDefaults()
		tr := newTracker(o, 0, noJitter)
		inARow, now := 0, time.Duration(0)
		for range rapid.IntRange(1, 50).Draw(t, "events") {
			now += time.Duration(rapid.IntRange(0, 300).Draw(t, "ms")) * time.Millisecond
			tr.beat(now)
			if rapid.Bool().Draw(t, "ok") {
				inARow = 0
				tr.succeeded("n2", now)
			} else {
				inARow++
				tr.failed("n2", now)
			}
			if got, want := tr.up("n2"), inARow < o.Failures; got != want {
				t.Fatalf("after %d failures in a row of %d: up %v, want %v", inARow, o.Failures, got, want)
			}
		}
	})
}
