package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
)

func TestCallsAreCountedInsideAndOutsideFaults(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	var h []harness.Op
	call := func(node harness.NodeID, from, to int, kind harness.Kind) {
		p := len(h)
		h = append(h, harness.Op{Index: p, Process: p, Kind: harness.Invoke, F: harness.Get, Node: node, Time: ms(from)},
			harness.Op{Index: p + 1, Process: p, Kind: kind, F: harness.Get, Node: node, Time: ms(to)})
	}
	call("n1", 10, 20, harness.OK)    // before
	call("n1", 90, 110, harness.Fail) // into the fault
	call("n2", 120, 130, harness.OK)  // during, elsewhere
	call("n2", 210, 215, harness.OK)  // after, elsewhere
	call("n1", 220, 250, harness.OK)  // after, at the node
	a := analyse(harness.Result{Faults: []harness.FaultRecord{{
		Fault:    harness.Fault{ID: "f1", Kind: "pause", Name: "one", Nodes: []harness.NodeID{"n1"}},
		Evidence: harness.Evidence{Injected: ms(100), Healed: ms(200)},
	}}}, h)
	rows := a.availability()
	if len(rows) != 3 {
		t.Fatalf("got %d rows, want outside, during and f1", len(rows))
	}
	for i, want := range []tally{{OK: 3}, {OK: 1, Fail: 1}, {OK: 1, Fail: 1}} {
		if rows[i].All != want {
			t.Errorf("%s: got %+v, want %+v", rows[i].Name, rows[i].All, want)
		}
	}
	f1 := rows[2]
	if f1.Named != (tally{Fail: 1}) || f1.Elsewhere != (tally{OK: 1}) {
		t.Errorf("f1: got %+v at its nodes and %+v elsewhere", f1.Named, f1.Elsewhere)
	}
	if f1.Recovery != "50.0 ms" {
		t.Errorf("f1: got first ok after %s, want 50.0 ms, of n1's own", f1.Recovery)
	}
	lat := a.latencyRows()
	if len(lat) != 2 || lat[0].Count != 3 || lat[0].Where != "outside faults" || lat[1].Max < ms(10) || lat[1].Max > ms(11) {
		t.Errorf("got latencies %+v", lat)
	}
}

func TestOverlappingFaultsGetRowsOfTheirOwn(t *testing.T) {
	w := func(start, stop time.Duration) window {
		return window{Start: start * time.Second, Stop: stop * time.Second}
	}
	rows, depth := stack([]window{w(0, 5), w(1, 3), w(2, 9), w(3, 4), w(6, 7)})
	if want := []int{0, 1, 2, 1, 0}; !slices.Equal(rows, want) || depth != 3 {
		t.Errorf("got rows %v of %d, want %v of 3", rows, depth, want)
	}
}

func TestFaultThatNeverStruckHasNoWindow(t *testing.T) {
	a := analyse(harness.Result{Faults: []harness.FaultRecord{{Fault: harness.Fault{ID: "f1", Start: 0, Stop: time.Hour}}}},
		[]harness.Op{{Kind: harness.Invoke, F: harness.Get}, {Index: 1, Kind: harness.OK, F: harness.Get, Time: time.Second}})
	if got := a.availability(); len(got) != 2 || got[0].All.OK != 1 {
		t.Errorf("got %+v, want the call outside faults and no row for f1", got)
	}
	if got := a.faultRows(); got[0].Actual != "never struck" || got[0].Proven {
		t.Errorf("got %+v, want a fault that never struck", got[0])
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{percent(1), "100%"},
		{percent(0.99999), ">99.9%"},
		{percent(0.00001), "<0.1%"},
		{percent(0), "0%"},
		{percent(0.5), "50.0%"},
		{thousands(1234567), "1\u2009234\u2009567"},
		{thousands(-1234), "−1\u2009234"},
		{thousands(12), "12"},
		{short(42 * time.Microsecond), "42 µs"},
		{short(1234 * time.Microsecond), "1.23 ms"},
		{short(3 * time.Second), "3.00 s"},
		{clip("añb", 2), "a…"},
		{clip("ab", 2), "ab"},
		{valueLabel(`{"id":"x","items":["a","b"]}`), "x"},
		{valueText(`{"id":"x","items":["a","b"]}`), "x {a b}"},
		{valueText(`[1]`), "[1]"},
		{valueLabel(`{"id":"x"`), `{"id":"x"`},
		{seen(nil), "nothing"},
		{seen([]harness.Sibling{{Value: "a"}, {Tombstone: true}}), "a, deleted"},
		{links([]harness.Link{{From: "n1", To: "n2"}, {From: "n2", To: "n1"}, {From: "n1", To: "n3"}}), "n1 ⇹ n2; n1 ⇸ n3"},
		{sides([]harness.Link{{From: "n1", To: "n2"}, {From: "n2", To: "n1"}, {From: "n1", To: "n3"}}), ""},
		{sides([]harness.Link{{From: "n1", To: "n2"}, {From: "n3", To: "n2"}, {From: "n2", To: "n1"}, {From: "n2", To: "n3"}}), "n1 n3 ⇹ n2"},
		{sides([]harness.Link{{From: "n1", To: "n3"}, {From: "n1", To: "n4"}, {From: "n2", To: "n3"}, {From: "n2", To: "n4"}}), "n1 n2 ⇸ n3 n4"},
		{sides([]harness.Link{{From: "n1", To: "n2"}, {From: "n3", To: "n4"}}), ""},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// A run that never got to its faults must not look like one without any.
func TestFaultsThatNeverStruckAreShown(t *testing.T) {
	res := harness.Result{Verdict: harness.Unknown, Plan: harness.Plan{Schedule: []harness.Fault{{
		ID: "f1", Kind: "pause", Name: "one", Start: time.Second, Stop: 2 * time.Second, Nodes: []harness.NodeID{"n1"},
	}}}}
	p, err := newPage(res, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Faults) != 1 || p.Faults[0].Actual != "never struck" || p.Tiles[2].Value != "0 of 1" || p.Tiles[2].Class != "bad" {
		t.Errorf("got %+v and %+v", p.Faults, p.Tiles)
	}
	var told strings.Builder
	if err := Text(&told, res); err != nil || !strings.Contains(told.String(), "never struck") {
		t.Errorf("%v, told\n%s", err, &told)
	}
}

func TestAxesEndAtRoundNumbers(t *testing.T) {
	for _, c := range []struct{ v, want float64 }{{1, 1}, {3, 3}, {9, 10}, {333, 400}, {1999, 2000}, {12345, 15000}} {
		if got := niceAbove(c.v); got != c.want {
			t.Errorf("niceAbove(%v): got %v, want %v", c.v, got, c.want)
		}
	}
}

// Of a long chain only the ends are drawn; they must not look concurrent.
func TestGraphShowsWhatItSkips(t *testing.T) {
	var h []harness.Op
	last := ""
	for i := range 30 {
		value := string(rune('A' + i))
		inv := harness.Op{Index: len(h), Time: time.Duration(i) * time.Second, Kind: harness.Invoke, F: harness.Put, Key: "k", Value: value, Context: []byte(last)}
		done := inv
		done.Index, done.Kind, done.Time, done.Token, done.Siblings = inv.Index+1, harness.OK, inv.Time+time.Millisecond, []byte("t"+value), []harness.Sibling{{Value: value}}
		h, last = append(h, inv, done), "t"+value
	}
	a := analyse(harness.Result{}, h)
	g := &graph{a: a, an: harness.Anomaly{Kind: "divergent", Key: "k", Ops: []int{0, 58}}}
	g.pick(g.build())
	g.layout()
	if len(g.nodes) >= 30 {
		t.Fatalf("got all %d writes, want a few", len(g.nodes))
	}
	first, end := g.nodes[0], g.nodes[len(g.nodes)-1]
	if end.depth <= first.depth || len(g.nodes[1].far) != 1 || g.nodes[1].far[0] != first {
		t.Errorf("got %d writes, the last at depth %d after %v: want a chain from the first", len(g.nodes), end.depth, g.nodes[1].far)
	}
}

func TestLanesSayWhatTheyLeaveOut(t *testing.T) {
	var h []harness.Op
	var proof []int
	for i := range laneCallsMax + 3 {
		inv := harness.Op{Index: len(h), Time: time.Duration(i) * time.Second, Kind: harness.Invoke, F: harness.Get, Key: "k", Node: "n1"}
		done := inv
		done.Index, done.Kind, done.Time = inv.Index+1, harness.OK, inv.Time+time.Millisecond
		h, proof = append(h, inv, done), append(proof, inv.Index)
	}
	a := analyse(harness.Result{}, h)
	for left, want := range map[int]bool{0: false, 3: true} {
		got := string(a.lanes(harness.Anomaly{Kind: "stale-read", Key: "k", Ops: proof[:laneCallsMax+left]}))
		if strings.Contains(got, "3 more calls") != want || !strings.HasPrefix(got, "<svg") {
			t.Errorf("%d calls too many: told %v, want %v", left, !want, want)
		}
	}
}

// A line behind a write would seem to come from it: of a lost one, that it is what the copies ended with.
func TestLinesOfTheGraphPassBehindNoOtherWrite(t *testing.T) {
	from, other, lost := &node{}, &node{depth: 1}, &node{depth: 1, row: 1}
	for _, c := range []struct {
		name  string
		nodes []*node
		want  string // how far down the line runs while it passes the second column
	}{
		{"a free row", []*node{from, lost}, "L332.0,45.0 "},
		{"a row with another write", []*node{from, other, lost}, "L332.0,72.0 "},
	} {
		g := &graph{nodes: c.nodes}
		g.edge(from, 8+2*columnWidth, 99, "")
		if got := g.d.b.String(); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want it to have %s", c.name, got, c.want)
		}
	}
}

// A load of 10.5 s has ten steps: an eleventh for its last half second would look as if the store had stopped.
func TestWhatIsLeftOfTheLoadIsNoSecondOfItsOwn(t *testing.T) {
	a := &analysis{load: [2]time.Duration{0, seconds(10.5)}}
	for i := range 105 {
		a.calls = append(a.calls, call{done: harness.Op{Kind: harness.OK}, end: seconds(float64(i)/10 + 0.05)})
	}
	rates, most := a.rates()
	if got := rates[harness.OK]; len(got) != 10 || got[0] != 10 || got[9] != 10 || most != 10 {
		t.Errorf("got rates %v, %v at most; want ten times ten a second", got, most)
	}
}
