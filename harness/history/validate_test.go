package history

import (
	"reflect"
	"strings"
	"testing"

	"cartwheel/harness"
)

// script makes a history from lines; indices and times follow the position.
func script(ops ...harness.Op) []harness.Op {
	for i := range ops {
		if ops[i].Index == 0 {
			ops[i].Index = i + 1
		}
		if ops[i].Time == 0 {
			ops[i].Time = 1000
		}
		if ops[i].F == "" {
			ops[i].F = harness.Get
		}
	}
	return ops
}

const (
	inv  = harness.Invoke
	ok   = harness.OK
	info = harness.Info
)

func TestValidateSaysWhatIsWrongAndWhere(t *testing.T) {
	fault := &harness.Fault{ID: "f1", Kind: "pause"}
	other := &harness.Fault{ID: "f2", Kind: "pause"}
	for _, tt := range []struct {
		name string
		ops  []harness.Op
		want string // "" for a good history
	}{
		{name: "empty"},
		{name: "a pair", ops: script(harness.Op{Kind: inv}, harness.Op{Kind: ok})},
		{name: "never completed", ops: script(harness.Op{Kind: inv}, harness.Op{Process: 1, Kind: inv})},
		{
			name: "index twice", want: "line 2: index 1 does not follow 1",
			ops: script(harness.Op{Index: 1, Kind: inv}, harness.Op{Index: 1, Kind: ok}),
		},
		{
			name: "time goes back", want: "line 2: time 7 is before 9",
			ops: script(harness.Op{Time: 9, Kind: inv}, harness.Op{Time: 7, Kind: ok}),
		},
		{name: "negative time", want: "line 1: time -1", ops: script(harness.Op{Time: -1, Kind: inv})},
		{name: "strange kind", want: `line 1: kind "done"`, ops: script(harness.Op{Kind: "done"})},
		{name: "strange process", want: "line 1: process -3", ops: script(harness.Op{Process: -3, Kind: inv})},
		{name: "strange phase", want: `line 1: phase "lunch"`, ops: script(harness.Op{Phase: "lunch", Kind: inv})},
		{
			name: "load after final", want: `line 2: phase "load" comes too late`,
			ops: script(harness.Op{Phase: harness.Final, Kind: inv}, harness.Op{Phase: harness.Load, Kind: ok}),
		},
		{
			name: "two at a time", want: "line 2: process 0 invokes again",
			ops: script(harness.Op{Kind: inv}, harness.Op{Kind: inv}),
		},
		{name: "completion alone", want: "line 1: process 0 completes", ops: script(harness.Op{Kind: ok})},
		{
			name: "completed twice", want: "line 3: process 0 completes",
			ops: script(harness.Op{Kind: inv}, harness.Op{Kind: ok}, harness.Op{Kind: ok}),
		},
		{
			name: "life after info", want: "line 3: process 0 goes on",
			ops: script(harness.Op{Kind: inv}, harness.Op{Kind: info}, harness.Op{Kind: inv}),
		},
		{
			name: "another key", want: `line 2: completion does not repeat its invocation of line 1: key was "a" and is "b"`,
			ops: script(harness.Op{Kind: inv, Key: "a"}, harness.Op{Kind: ok, Key: "b"}),
		},
		{
			name: "another context", want: "context differs",
			ops: script(harness.Op{Kind: inv, Context: []byte{1}}, harness.Op{Kind: ok}),
		},
		{
			name: "a value twice", want: `line 3: put of "v" to key "a" repeats line 1`,
			ops: script(
				harness.Op{Kind: inv, F: harness.Put, Key: "a", Value: "v"},
				harness.Op{Kind: ok, F: harness.Put, Key: "a", Value: "v"},
				harness.Op{Kind: inv, F: harness.Put, Key: "a", Value: "v"},
			),
		},
		{
			name: "a value in two keys",
			ops: script(
				harness.Op{Kind: inv, F: harness.Put, Key: "a", Value: "v"},
				harness.Op{Process: 1, Kind: inv, F: harness.Put, Key: "b", Value: "v"},
			),
		},
		{name: "nemesis without a fault", want: "line 1: a nemesis line", ops: script(harness.Op{Process: harness.NemesisProcess, Kind: inv})},
		{
			name: "overlapping faults",
			ops: script(
				harness.Op{Process: -1, Kind: inv, Action: "inject", Fault: fault},
				harness.Op{Process: -1, Kind: inv, Action: "inject", Fault: other},
				harness.Op{Process: -1, Kind: info, Action: "inject", Fault: fault},
				harness.Op{Process: -1, Kind: ok, Action: "inject", Fault: other},
				harness.Op{Process: -1, Kind: inv, Action: "heal", Fault: fault},
			),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Validate(tt.ops)
			if tt.want == "" && err != nil {
				t.Fatalf("got %v, want no error", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestValidateStopsAfterAFewProblems(t *testing.T) {
	ops := make([]harness.Op, 1000)
	err := Validate(ops)
	if err == nil || strings.Count(err.Error(), "\n") != problemsMax {
		t.Fatalf("got %v, want %d problems and a last word", err, problemsMax)
	}
}

func TestPairsJoinByLane(t *testing.T) {
	fault, other := &harness.Fault{ID: "f1"}, &harness.Fault{ID: "f2"}
	ops := script(
		harness.Op{Process: 0, Kind: inv},
		harness.Op{Process: 1, Kind: inv},
		harness.Op{Process: -1, Kind: inv, Fault: fault},
		harness.Op{Process: 0, Kind: info},
		harness.Op{Process: -1, Kind: inv, Fault: other},
		harness.Op{Process: 2, Kind: inv},
		harness.Op{Process: -1, Kind: ok, Fault: fault},
		harness.Op{Process: 1, Kind: ok},
		harness.Op{Process: -2, Node: "n1", Key: "a", Kind: inv},
		harness.Op{Process: -2, Node: "n2", Key: "a", Kind: inv},
		harness.Op{Process: -2, Node: "n1", Key: "a", Kind: ok},
	)
	want := []Pair{{0, 3}, {1, 7}, {2, 6}, {4, -1}, {5, -1}, {8, 10}, {9, -1}}
	if got := Pairs(ops); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}
