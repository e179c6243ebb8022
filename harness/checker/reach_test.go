package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cartwheel/harness"
)

// copiesOfAKey is N of the reference below.
const copiesOfAKey = 3

// permutations lists all orders of the nodes: all preference lists that there may be.
func permutations(nodes []harness.NodeID) (out [][]harness.NodeID) {
	if len(nodes) == 0 {
		return [][]harness.NodeID{nil}
	}
	for i, first := range nodes {
		for _, rest := range permutations(slices.Delete(slices.Clone(nodes), i, i+1)) {
			out = append(out, append([]harness.NodeID{first}, rest...))
		}
	}
	return out
}

// storing is how many distinct nodes store a put that d coordinates, once everybody knows whom it hears: an owner or
// the next node of the list for each place, and d itself.
func storing(r *reach, d harness.NodeID, list []harness.NodeID) int {
	stored := map[harness.NodeID]bool{d: true}
	spare := list[copiesOfAKey:]
	for _, o := range list[:copiesOfAKey] {
		for n := o; ; n, spare = spare[0], spare[1:] {
			if r.hear(d, n) && !r.full[n] {
				stored[n] = true
				break
			}
			if len(spare) == 0 {
				break
			}
		}
	}
	return len(stored)
}

// mustServe says whether a put that a client sends to n reaches so many nodes whatever the preference list is, and
// whoever of the first healthy ones coordinates it (section 4.6 of the paper).
func mustServe(r *reach, n harness.NodeID, need int) bool {
	for _, list := range permutations(r.nodes) {
		var may []harness.NodeID
		for _, d := range list {
			if len(may) < copiesOfAKey && r.hear(n, d) && !r.full[d] {
				may = append(may, d)
			}
		}
		if slices.Contains(may, n) {
			may = []harness.NodeID{n}
		}
		if len(may) == 0 || slices.ContainsFunc(may, func(d harness.NodeID) bool { return storing(r, d, list) < need }) {
			return false
		}
	}
	return true
}

// TestWhoeverMustBeServedIsServedInEveryPlacement compares with every preference list and every coordinator. The rule may
// be too kind, since a node that coordinates itself needs nobody who does, never too strict.
func TestWhoeverMustBeServedIsServedInEveryPlacement(t *testing.T) {
	all := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
	rnd := rand.New(rand.NewPCG(1, 2))
	owed, kind := 0, 0
	for range 400 {
		var faults []harness.Fault
		for range 1 + rnd.IntN(3) {
			some := []harness.NodeID{all[rnd.IntN(5)], all[rnd.IntN(5)]}
			switch rnd.IntN(4) {
			case 0:
				faults = append(faults, harness.Fault{Kind: "kill", Nodes: some[:1]})
			case 1:
				faults = append(faults, harness.Fault{Kind: "disk", Nodes: some[:1], Disk: &harness.DiskFault{Full: true}})
			case 2:
				faults = append(faults, harness.Fault{Kind: "partition", Nodes: some})
			default:
				var links []harness.Link
				for range 1 + rnd.IntN(6) {
					if a, b := all[rnd.IntN(5)], all[rnd.IntN(5)]; a != b {
						links = append(links, harness.Link{From: a, To: b})
					}
				}
				faults = append(faults, harness.Fault{Kind: "partition", Links: links, Nodes: some[:1]})
			}
		}
		r := reachOf(all, faults)
		n, need := all[rnd.IntN(5)], 1+rnd.IntN(3)
		got, want := r.serves(n, need, true), r.asked(n) && mustServe(r, n, need)
		switch {
		case got && !want:
			t.Errorf("%+v: a put that needs %d nodes must be served at %s, but a placement cannot", faults, need, n)
		case got:
			owed++
		case want:
			kind++
		}
	}
	if owed < 100 || kind > owed {
		t.Errorf("%d had to be served, %d more were let off: the rule finds nothing", owed, kind)
	}
}

// TestNothingIsOwedWhileThingsChange: an operation counts that began some time after the last change and ended before the
// next one.
func TestNothingIsOwedWhileThingsChange(t *testing.T) {
	const s = time.Second
	w := &weather{windows: []window{{fault: harness.Fault{Kind: "pause", Nodes: []harness.NodeID{"n1"}}, begun: 10 * s, from: 11 * s, heldTill: 20 * s, to: 21 * s}}}
	for _, c := range []struct {
		from, to time.Duration
		want     bool
	}{
		{from: 0, to: 9 * s, want: true},
		{from: 9 * s, to: 10 * s},
		{from: 12 * s, to: 13 * s},
		{from: 11*s + findsSilence, to: 19 * s, want: true},
		{from: 18 * s, to: 20 * s},
		{from: 22 * s, to: 22 * s},
		{from: 21*s + findsAnswers, to: 30 * s, want: true},
		{from: 0, to: forever},
	} {
		t.Run(fmt.Sprintf("%v to %v", c.from, c.to), func(t *testing.T) {
			if got := w.settled(c.from, c.to); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

// A node that was killed while it was paused is started as another process, which nobody has frozen: it may answer, and
// nobody knows since when.
func TestAKillEndsAPause(t *testing.T) {
	const s = time.Second
	nodes := []harness.NodeID{"n1", "n2", "n3"}
	w := &weather{nodes: nodes, reaches: map[string]*reach{}, clear: reachOf(nodes, nil), windows: []window{
		{fault: harness.Fault{ID: "f1", Kind: "pause", Nodes: nodes[:2]}, begun: 10 * s, from: 10 * s, heldTill: 30 * s, to: 31 * s},
		{fault: harness.Fault{ID: "f2", Kind: "kill", Nodes: nodes[1:]}, begun: 15 * s, from: 16 * s, heldTill: 20 * s, to: 21 * s},
	}}
	for _, c := range []struct {
		at      time.Duration
		down    string
		strange bool
	}{
		{at: 12 * s, down: "[n1 n2]"},
		{at: 15 * s, down: "[n1]", strange: true},
		{at: 18 * s, down: "[n1 n2 n3]", strange: true},
		{at: 25 * s, down: "[n1]", strange: true},
		{at: 40 * s, down: "[]"},
	} {
		r := w.during(c.at, c.at)
		if got := fmt.Sprint(sortedKeys(r.down)); got != c.down || r.strange != c.strange {
			t.Errorf("at %v: down %s, strange %t; want %s, %t", c.at, got, r.strange, c.down, c.strange)
		}
	}
}
