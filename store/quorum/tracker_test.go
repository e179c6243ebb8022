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
// "ack N", "none N" and "fail N" are shown with the verdict after them.
func TestScriptReplies(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			var want Conditions
			var mode string
			d.ScanArgs(t, "need", &want.Acks)
			d.ScanArgs(t, "mode", &mode)
			d.MaybeScanArgs(t, "owners", &want.Owners)
			d.MaybeScanArgs(t, "nodes", &want.Nodes)
			d.MaybeScanArgs(t, "absent", &want.AbsentEnough)
			m := store.Sloppy
			if mode == "strict" {
				m = store.Strict
			}
			tr := New(want, m, []store.NodeID{"a", "b", "c"})
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
				case "none":
					tr.Absent(store.NodeID(node))
				default:
					t.Fatalf("%s: unknown line %q", d.Pos, line)
				}
				fmt.Fprintf(&out, "%-8s -> %-8s acks %d", line, tr.Verdict(), tr.Acks())
				if counted, have, need := tr.Short(); tr.Verdict() != Reached && counted != "replicas" {
					fmt.Fprintf(&out, ", %d of %d %s", have, need, counted)
				}
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
		needOwners, needNodes := rapid.IntRange(0, 3).Draw(t, "owners"), rapid.IntRange(0, 3).Draw(t, "nodes")
		tr := New(Conditions{Acks: need, Owners: needOwners, Nodes: needNodes}, mode, owners)
		outstanding, answer := map[store.NodeID]int{}, map[store.NodeID]string{}
		for range rapid.IntRange(0, 20).Draw(t, "events") {
			n := rapid.SampledFrom(all).Draw(t, "node")
			switch ev := rapid.SampledFrom([]string{"ask", "ack", "none", "fail"}).Draw(t, "event"); {
			case ev == "ask":
				tr.Asked(n)
				outstanding[n]++
			case outstanding[n] == 0: // nobody answers unasked
			case ev == "ack":
				tr.Acked(n)
				outstanding[n]--
				answer[n] = ev
			case ev == "none":
				tr.Absent(n)
				outstanding[n]--
				if answer[n] == "" {
					answer[n] = ev
				}
			default:
				tr.Failed(n)
				outstanding[n]--
			}
			// enough counts the nodes of which ok is true and says whether they meet all conditions.
			enough := func(ok func(store.NodeID) bool) (bool, int) {
				var acks, ownersOK, nodes int
				for i, n := range all {
					if !ok(n) {
						continue
					}
					nodes++
					if i < len(owners) {
						ownersOK++
					}
					if i < len(owners) || mode == store.Sloppy {
						acks++
					}
				}
				return acks >= need && ownersOK >= needOwners && nodes >= needNodes, acks
			}
			open := false
			for _, n := range all {
				open = open || outstanding[n] > 0
			}
			acked, acks := enough(func(n store.NodeID) bool { return answer[n] == "ack" })
			answered, _ := enough(func(n store.NodeID) bool { return answer[n] != "" })
			possible, _ := enough(func(n store.NodeID) bool { return answer[n] != "" || outstanding[n] > 0 })
			want := Pending
			switch {
			case acked, answered && !open:
				want = Reached
			case !possible:
				want = Lost
			}
			if got := tr.Verdict(); got != want || tr.Acks() != acks {
				t.Fatalf("need %d, %d owners, %d nodes, %v: got %v with %d acks, want %v with %d", need, needOwners, needNodes, mode, got, tr.Acks(), want, acks)
			}
		}
	})
}

func TestImpossibleQuorumsPanic(t *testing.T) {
	for _, need := range []Conditions{{}, {Acks: 3}, {Acks: 1, Owners: 3}, {Acks: 1, Nodes: 3}, {Acks: 1, Owners: -1}, {Acks: 1, AbsentEnough: -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("need %+v of 2: no panic", need)
				}
			}()
			New(need, store.Sloppy, []store.NodeID{"a", "b"})
		}()
	}
}
