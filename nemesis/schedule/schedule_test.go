package schedule

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cartwheel/harness"
)

var five = []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}

func maker(name string, least int) Maker {
	return Maker{Kind: "pause", Name: name, Nodes: least, Make: func(r *rand.Rand, nodes []harness.NodeID) harness.Fault {
		return harness.Fault{Nodes: []harness.NodeID{nodes[r.IntN(len(nodes))]}}
	}}
}

var makers = []Maker{maker("a", 1), maker("b", 1), maker("c", 1), maker("big", 9)}

// TestDrawKeepsItsRhythm: quiet head and tail, durations and gaps within their limits,
// valid by its own rules, the same for the same seed.
func TestDrawKeepsItsRhythm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := time.Duration(rapid.Int64Range(int64(11*time.Second), int64(5*time.Minute)).Draw(t, "span"))
		seed := rapid.Uint64().Draw(t, "seed")
		fs := Draw(rand.New(rand.NewPCG(seed, 0)), five, span, Timing{}, makers)
		if len(fs) == 0 {
			t.Fatalf("no fault in %v", span)
		}
		if err := Validate(fs, five, span); err != nil {
			t.Fatal(err)
		}
		last := time.Duration(0)
		for i, f := range fs {
			gap, lasts := f.Start-last, f.Stop-f.Start
			if i == 0 && gap != 2*time.Second || i > 0 && (gap < 2*time.Second || gap >= 4*time.Second) {
				t.Fatalf("%s: gap %v", f.ID, gap)
			}
			if lasts < 3*time.Second || lasts >= 6*time.Second {
				t.Fatalf("%s lasts %v", f.ID, lasts)
			}
			last = f.Stop
		}
		if tail := span - last; tail < 3*time.Second || tail >= (3+4+3)*time.Second {
			t.Fatalf("tail of %v in %v: %d faults", tail, span, len(fs))
		}
		again := Draw(rand.New(rand.NewPCG(seed, 0)), five, span, Timing{}, makers)
		if !reflect.DeepEqual(fs, again) {
			t.Fatal("the same seed gives another schedule")
		}
	})
}

func TestEveryMakerTakesItsTurn(t *testing.T) {
	for seed := range uint64(50) {
		fs := Draw(rand.New(rand.NewPCG(seed, 0)), five, 2*time.Minute, Timing{}, makers)
		for i := 0; i+3 <= len(fs); i += 3 {
			round := map[string]bool{fs[i].Name: true, fs[i+1].Name: true, fs[i+2].Name: true}
			if len(round) != 3 || round["big"] {
				t.Fatalf("seed %d: faults %d to %d are %v, want a, b and c", seed, i+1, i+3, round)
			}
		}
	}
}

func TestAShortSpanStillHasAFault(t *testing.T) {
	for _, span := range []time.Duration{10 * time.Second, 5 * time.Second, time.Second} {
		for seed := range uint64(50) {
			fs := Draw(rand.New(rand.NewPCG(seed, 0)), five, span, Timing{}, makers)
			if len(fs) == 0 {
				t.Fatalf("%v: no fault", span)
			}
			if err := Validate(fs, five, span); err != nil {
				t.Fatal(err)
			}
		}
	}
	if fs := Draw(rand.New(rand.NewPCG(1, 0)), five, time.Minute, Timing{}, makers[3:]); fs != nil {
		t.Fatalf("a maker for 9 nodes struck 5: %v", fs)
	}
}

func TestMergeOrdersByTimeAndRenumbers(t *testing.T) {
	got := Merge([]harness.Fault{{ID: "f1", Start: 5}, {ID: "f2", Start: 9}}, []harness.Fault{{ID: "f1", Start: 7}})
	if len(got) != 3 || got[1].Start != 7 || got[0].ID != "f1" || got[1].ID != "f2" || got[2].ID != "f3" {
		t.Fatalf("got %+v", got)
	}
}

func TestDecodeInvertsEncode(t *testing.T) {
	want := Draw(rand.New(rand.NewPCG(1, 0)), five, time.Minute, Timing{}, makers)
	want[0].Links = []harness.Link{{From: "n1", To: "n2"}}
	want[0].Signal = "TERM"
	want[0].Shape = &harness.Shape{Delay: time.Second, Loss: 0.1}
	want[0].Skew = &harness.Skew{Drift: -1}
	want[0].Disk = &harness.DiskFault{Full: true}
	want[0].Spare = "n6"
	want[0].Role = &harness.Role{Name: harness.Replicas, Key: "k", Count: 2}
	data, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, %v; want %v", got, err, want)
	}
	plain, err := json.Marshal(want) // as other parts of a run's folder have it
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Decode(plain); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("plain JSON: got %v, %v", got, err)
	}
	if data, err := Encode(nil); err != nil || string(data) != "[]\n" {
		t.Fatalf("encode nothing: %q, %v", data, err)
	}
}

func TestDecodeReadsWhatPeopleWrite(t *testing.T) {
	got, err := Decode([]byte(`[
	  {"id": "late", "kind": "pause", "name": "one", "start": "1m2.5s", "stop": 90000000000, "nodes": ["n1"]},
	  {"id": "soon", "kind": "pause", "name": "one", "start": "250ms", "stop": "3s", "nodes": ["n2"]}]`))
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
	if got[0].ID != "soon" || got[0].Start != 250*time.Millisecond || got[1].Start != 62500*time.Millisecond || got[1].Stop != 90*time.Second {
		t.Fatalf("got %+v", got)
	}
}

func TestGroupsAreAnotherWayToSayLinks(t *testing.T) {
	got, err := Decode([]byte(`[{"id": "f1", "kind": "partition", "groups": [["n1", "n2"], ["n3"]]}]`))
	want := []harness.Link{{From: "n1", To: "n3"}, {From: "n2", To: "n3"}, {From: "n3", To: "n1"}, {From: "n3", To: "n2"}}
	if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0].Links, want) {
		t.Fatalf("got %+v, %v; want links %v", got, err, want)
	}
	both := `[{"id": "f1", "groups": [["n1"], ["n3"]], "links": [{"from": "n1", "to": "n3"}]}]`
	if _, err := Decode([]byte(both)); err == nil || !strings.Contains(err.Error(), "links and groups") {
		t.Errorf("links and groups: %v", err)
	}
}

func TestDecodeNamesTheLine(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"not json", "[\n{\n\"id\": f1}]", "line 3"},
		{"misspelt field", "[\n{\"id\": \"f1\",\n \"strat\": 3}]", `unknown field "strat"`},
		{"wrong type", "[\n{\"id\": \"f1\",\n \"nodes\": \"n1\"}]", "line 3"},
		{"not a time", "[{\"start\": \"soon\"}]", `invalid duration "soon"`},
		{"more after the end", "[]\n[]", "something follows"},
		{"an object", "{}", "line 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Decode([]byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestValidateSaysAllThatIsWrong(t *testing.T) {
	good := harness.Fault{ID: "f1", Kind: "pause", Start: 1, Stop: 2, Nodes: five[:1]}
	change := func(f func(*harness.Fault)) []harness.Fault {
		bad := good
		f(&bad)
		return []harness.Fault{bad}
	}
	for _, tt := range []struct {
		name   string
		faults []harness.Fault
		want   string
	}{
		{"good", []harness.Fault{good}, ""},
		{"no id", change(func(f *harness.Fault) { f.ID = "" }), "fault number 1: it has no id"},
		{"id twice", []harness.Fault{good, good}, "fault f1: the id is taken"},
		{"no kind", change(func(f *harness.Fault) { f.Kind = "" }), "no kind"},
		{"too early", change(func(f *harness.Fault) { f.Start = -1 }), "before the load"},
		{"backwards", change(func(f *harness.Fault) { f.Stop = 1 }), "not after its start"},
		{"too late", change(func(f *harness.Fault) { f.Stop = time.Hour }), "after the load's end"},
		{"nothing", change(func(f *harness.Fault) { f.Nodes = nil }), "neither links nor nodes"},
		{"only a role", change(func(f *harness.Fault) { f.Nodes, f.Role = nil, &harness.Role{Name: "coordinator"} }), ""},
		{"only a machine to add", change(func(f *harness.Fault) { f.Nodes, f.Spare = nil, "n6" }), ""},
		{"adds what is there", change(func(f *harness.Fault) { f.Spare = "n2" }), `"n2" that it adds is one of the cluster`},
		{"unknown node", change(func(f *harness.Fault) { f.Nodes = []harness.NodeID{"n9"} }), `no node "n9"`},
		{"node twice", change(func(f *harness.Fault) { f.Nodes = []harness.NodeID{"n1", "n1"} }), "listed twice"},
		{"self link", change(func(f *harness.Fault) { f.Links = []harness.Link{{From: "n1", To: "n1"}} }), "to itself"},
		{"link twice", change(func(f *harness.Fault) {
			f.Links = []harness.Link{{From: "n1", To: "n2"}, {From: "n1", To: "n2"}}
		}), "listed twice"},
		{"unknown signal", change(func(f *harness.Fault) { f.Signal = "HUP" }), `signal "HUP": KILL or TERM`},
		{"a shape that cannot be", change(func(f *harness.Fault) { f.Shape = &harness.Shape{Loss: 2} }), "loss 2"},
		{"a skew that cannot be", change(func(f *harness.Fault) { f.Skew = &harness.Skew{Drift: -2} }), "drift -2"},
		{"a disk that cannot be", change(func(f *harness.Fault) { f.Disk = &harness.DiskFault{} }), "does nothing"},
		{"unknown link", change(func(f *harness.Fault) { f.Links = []harness.Link{{From: "n1", To: "n7"}} }), `no node "n7"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Validate(tt.faults, five, time.Minute)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Gaps are never shorter than the least, and on average as long as their sort says.
func TestGapsAreDrawnAsAskedFor(t *testing.T) {
	for gaps, want := range map[string]struct{ mean, most time.Duration }{
		"":              {3 * time.Second, 4 * time.Second},
		GapsUniform:     {3 * time.Second, 4 * time.Second},
		GapsFixed:       {2 * time.Second, 2 * time.Second},
		GapsExponential: {4 * time.Second, 0}, // now and then a long one
	} {
		faults := Draw(rand.New(rand.NewPCG(1, 1)), []harness.NodeID{"n1"}, 4*time.Hour, Timing{Gaps: gaps}, []Maker{{Kind: "k", Name: "a", Make: func(*rand.Rand, []harness.NodeID) harness.Fault { return harness.Fault{} }}})
		var sum, most time.Duration
		for i, f := range faults[1:] {
			gap := f.Start - faults[i].Stop
			if gap < 2*time.Second {
				t.Fatalf("%q: a gap of %v", gaps, gap)
			}
			sum, most = sum+gap, max(most, gap)
		}
		mean := sum / time.Duration(len(faults)-1)
		if off := mean - want.mean; off.Abs() > 200*time.Millisecond || want.most > 0 && most > want.most || want.most == 0 && most < 8*time.Second {
			t.Errorf("%q: %d gaps of %v on average, %v at most; want %v, %v", gaps, len(faults)-1, mean, most, want.mean, want.most)
		}
	}
}
