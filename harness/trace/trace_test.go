package trace

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
)

const ms = time.Millisecond

func message(what, key string, from, to harness.NodeID, sent, ended time.Duration) Line {
	return Line{Event: Message, Kind: Request, What: what, Key: key, From: from, To: to, Time: sent, Ended: ended, Fate: Delivered}
}

func TestATraceSurvivesItsFile(t *testing.T) {
	dir := t.TempDir()
	want := []Line{
		{Event: Start, Node: "n1", Time: -ms, Ended: -ms},
		{Event: Cut, Fault: "f1", Links: []harness.Link{{From: "n1", To: "n2"}}, Time: ms, Ended: ms},
		{
			Event: Message, Kind: Reply, What: Hint, Method: "ReplicaMerge", Key: "k<1>", For: "n3", From: "n2", To: "n1", Time: 2 * ms, Ended: 900 * ms,
			Versions: []harness.Sibling{{Value: "v1", Write: "ab"}, {Tombstone: true}}, Error: "unavailable", Fate: Lost, Tries: 4, Call: "1f",
		},
	}
	if err := Write(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if got, err := Load(t.TempDir()); got != nil || err != nil {
		t.Errorf("a folder without a trace: got %v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, File), []byte("{\"event\":\"start\"}\n{\"event"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("half a line: got %v, want an error that names it", err)
	}
}

func TestOrderDependsOnTheLinesAlone(t *testing.T) {
	var want []Line
	for i := range 40 {
		at := time.Duration(i/4) * ms
		l := message(Read, "k", harness.NodeID(rune('a'+i%2)), harness.NodeID(rune('c'+i/2%2)), at, at+ms)
		want = append(want, l)
	}
	Sort(want)
	got := slices.Clone(want)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		rnd.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		Sort(got)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("the order depends on what it was before:\n%v\n%v", got, want)
		}
	}
}

func TestTheFocusIsTheFirstAnomaly(t *testing.T) {
	h := []harness.Op{
		{Index: 0, Time: 1 * ms, Process: 0, Kind: harness.Invoke, Key: "k"},
		{Index: 1, Time: 2 * ms, Process: 0, Kind: harness.OK, Key: "k"},
		{Index: 2, Time: 5 * ms, Process: 1, Kind: harness.Invoke, Key: "k"},
		{Index: 3, Time: 6 * ms, Process: 0, Kind: harness.Invoke, Key: "other"},
		{Index: 4, Time: 9 * ms, Process: 1, Kind: harness.OK, Key: "k"},
		{Index: 5, Time: 99 * ms, Process: harness.FinalProcess, Kind: harness.Invoke, Key: "k"},
	}
	res := harness.Result{Findings: []harness.Finding{
		{Verdict: harness.Valid, Anomalies: []harness.Anomaly{{Key: "other", Ops: []int{3}}}},
		{Verdict: harness.Invalid, Anomalies: []harness.Anomaly{{Kind: "stale", Key: "k", Ops: []int{1, 2, 5}}, {Key: "other", Ops: []int{3}}}},
	}}
	f, ok := FocusOf(res, h, nil)
	if want := (Focus{Key: "k", Start: ms, Stop: 9 * ms, Why: "stale on key k"}); !ok || f != want {
		t.Errorf("got %+v, %t, want %+v: from the first invocation to the last completion of clients", f, ok, want)
	}
	if f, ok := FocusOf(harness.Result{}, h, nil); ok {
		t.Errorf("nothing stands out, got %+v", f)
	}
}

func TestWithoutAnomalyTheFocusIsAHintThatWasHandedOff(t *testing.T) {
	hint := func(key string, owner, holder harness.NodeID, at time.Duration) Line {
		l := message(Hint, key, "n1", holder, at, at+ms)
		l.For = owner
		return l
	}
	with := func(l Line, writes ...string) Line {
		for _, w := range writes {
			l.Versions = append(l.Versions, harness.Sibling{Write: w})
		}
		return l
	}
	lines := []Line{
		with(hint("never", "n3", "n4", 10*ms), "a"),
		with(message(Client, "k", "c1", "n1", 18*ms, 19*ms), "b"),
		with(hint("k", "n3", "n4", 20*ms), "a", "b"),
		with(message(HandOff, "k", "n5", "n3", 30*ms, 31*ms), "b"), // another's
		with(message(HandOff, "k", "n4", "n3", 32*ms, 33*ms), "c"), // of something else
		with(message(HandOff, "k", "n4", "n3", 40*ms, 41*ms), "b"),
		with(hint("long", "n3", "n4", 50*ms), "d"),
		with(message(HandOff, "long", "n4", "n3", 90*ms, 91*ms), "d"),
	}
	f, ok := FocusOf(harness.Result{}, nil, lines)
	if !ok || f.Key != "k" || f.Start != 18*ms || f.Stop != 41*ms {
		t.Errorf("got %+v, %t, want k's, from the put to the hand-off", f, ok)
	}
	lines = lines[:6]
	lines[5].Fate = Lost
	if f, ok := FocusOf(harness.Result{}, nil, lines); ok {
		t.Errorf("a hand-off that was lost is none, got %+v", f)
	}
}

func TestALongTraceKeepsWhatTheFocusNeeds(t *testing.T) {
	var lines []Line
	for i := range 1000 {
		at := time.Duration(i) * 10 * ms
		lines = append(lines,
			message(Ping, "", "n1", "n2", at, at+ms),
			message(Read, "k", "n1", "n3", at, at+ms),
			message(Read, "other", "n1", "n3", at, at+ms))
	}
	lines = append(lines, Line{Event: Kill, Node: "n1", Time: 20 * time.Second, Ended: 20 * time.Second})
	f := Focus{Key: "k", Start: 5 * time.Second, Stop: 5 * time.Second, Why: "a stale read"}
	got := Shorten(lines, f, 500)
	if len(got) != 500 || got[0].Event != Left || !strings.Contains(got[0].Detail, "2502 of 3001") || !strings.Contains(got[0].Detail, "a stale read") {
		t.Fatalf("got %d lines, the first %+v", len(got), got[0])
	}
	near, kills := 0, 0
	for i, l := range got[1:] {
		if l.Key == "k" && l.Time >= 3*time.Second && l.Time <= 7*time.Second {
			near++
		}
		if l.Event == Kill {
			kills++
		}
		if l.What == Ping {
			t.Fatalf("a ping was kept: %+v", l)
		}
		if i > 0 && l.Time < got[i].Time {
			t.Fatalf("line %d is out of order", i)
		}
	}
	if near != 401 || kills != 1 {
		t.Errorf("got %d of 401 messages about the key in its time, %d of 1 events", near, kills)
	}
	if whole := Shorten(lines, f, len(lines)); len(whole) != len(lines) {
		t.Errorf("what fits is kept whole, got %d lines", len(whole))
	}
}
