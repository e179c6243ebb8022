package quorum

import (
	"fmt"
	"strings"
	"testing"

	"cartwheel/store"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

// Script: `replies need=2 mode=strict` with owners a b c and stand-ins x y. Lines "ask N",
// "ack N", "fail N" are shown with the verdict after them.
func TestScriptReplies(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			var need int
			var mode string
			d.ScanArgs(t, "need", &need)
			d.ScanArgs(t, "mode", &mode)
			m := store.Sloppy
			if mode == "strict" {
				m = store.Strict
			}
			tr := New(need, m, []store.NodeID{"a", "b", "c"})
			var out strings.Builder
			for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
				verb, node, _ := strings.Cut(line, " ")
				switch verb {
				case "ask":
					tr.Asked(store.NodeID(node))
				case "ack":
					tr.Acked(store.NodeID(node))
				case "fail":
					tr.Failed(store.NodeID(node))
				default:
					t.Fatalf("%s: unknown line %q", d.Pos, line)
				}
				fmt.Fprintf(&out, "%-8s -> %-8s acks %d", line, tr.Verdict(), tr.Acks())
				if n := tr.Missing(); n > 0 {
					fmt.Fprintf(&out, ", ask %d more", n)
				}
				out.WriteByte('\n')
			}
			return out.String()
		})
	})
}

// A dumb reference: keep every event and count from scratch.
func TestTrackerAgreesWithCounting(t *testing.T) {
	owners := []store.NodeID{"a", "b", "c"}
	all := []store.NodeID{"a", "b", "c", "x", "y"}
	rapid.Check(t, func(t *rapid.T) {
		need := rapid.IntRange(1, 3).Draw(t, "need")
		mode := rapid.SampledFrom([]store.Mode{store.Sloppy, store.Strict}).Draw(t, "mode")
		tr := New(need, mode, owners)
		outstanding, acked := map[store.NodeID]int{}, map[store.NodeID]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "events") {
			n := rapid.SampledFrom(all).Draw(t, "node")
			switch ev := rapid.SampledFrom([]string{"ask", "ack", "fail"}).Draw(t, "event"); {
			case ev == "ask":
				tr.Asked(n)
				outstanding[n]++
			case outstanding[n] == 0: // nobody answers unasked
			case ev == "ack":
				tr.Acked(n)
				outstanding[n]--
				acked[n] = true
			default:
				tr.Failed(n)
				outstanding[n]--
			}
			acks, possible := 0, 0
			for _, n := range all {
				if mode == store.Strict && (n == "x" || n == "y") {
					continue
				}
				if acked[n] {
					acks++
				}
				if acked[n] || outstanding[n] > 0 {
					possible++
				}
			}
			want := Pending
			if acks >= need {
				want = Reached
			} else if possible < need {
				want = Lost
			}
			if got := tr.Verdict(); got != want || tr.Acks() != acks {
				t.Fatalf("need %d %v: got %v with %d acks, want %v with %d", need, mode, got, tr.Acks(), want, acks)
			}
		}
	})
}

func TestImpossibleQuorumsPanic(t *testing.T) {
	for _, need := range []int{0, 3} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("need %d of 2: no panic", need)
				}
			}()
			New(need, store.Sloppy, []store.NodeID{"a", "b"})
		}()
	}
}
