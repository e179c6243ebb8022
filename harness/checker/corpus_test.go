package checker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// corpus is the folder of histories with known verdicts that come with Porcupine's module.
func corpus(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/anishathalye/porcupine").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "test_data")
}

// etcdLog reads a log of Jepsen's etcd test: process, type, function and value, or an error where one is known.
func etcdLog(t *testing.T, name string) (h []harness.Op) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	open := map[int]harness.Op{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line, ok := strings.CutPrefix(lines.Text(), "INFO  jepsen.util - ")
		var process int
		field := strings.Fields(line)
		if n, err := fmt.Sscan(field[0], &process); !ok || n != 1 || err != nil || len(field) < 4 {
			continue
		}
		op := harness.Op{Process: process, Kind: harness.Kind(field[1][1:]), Time: time.Duration(len(h)), Index: len(h)}
		value := strings.Join(field[3:], " ")
		if op.Kind == harness.Invoke {
			switch field[2] {
			case ":read":
				op.F = harness.Get
			case ":write":
				op.F, op.Value = harness.Put, value
			case ":cas":
				op.F = harness.CAS
				if _, err := fmt.Sscanf(value, "[%s %s", &op.Element, &op.Value); err != nil {
					t.Fatalf("%q: %v", value, err)
				}
				op.Value = strings.TrimSuffix(op.Value, "]")
			}
			open[process] = op
			h = append(h, op)
			continue
		}
		inv := open[process]
		op.F, op.Value, op.Element = inv.F, inv.Value, inv.Element
		switch {
		case op.Kind == harness.OK && op.F == harness.Get && value != "nil":
			op.Siblings = []harness.Sibling{{Value: value}}
		case value == ":timed-out":
			op.Error = value
		}
		h = append(h, op)
	}
	return h
}

// The verdicts are those of the module's own tests: of 102 runs against etcd, 23 are
// linearizable. (The log 095 is of a run that failed to start.)
func TestKnownVerdictsOfTheEtcdCorpus(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus(t), "jepsen", "etcd_*.log"))
	if err != nil || len(files) != 103 {
		t.Fatalf("%d logs, %v", len(files), err)
	}
	counts := map[bool]int{}
	patient := Budget{Time: 5 * time.Minute} // the verdicts are what is tested, however busy the machine is
	for i, name := range files {
		if strings.HasSuffix(name, "_095.log") {
			continue
		}
		h := etcdLog(t, name)
		keys, plain := casOps(h)
		if plain || len(keys) != 1 {
			t.Fatalf("%s: %d keys, plain %t", filepath.Base(name), len(keys), plain)
		}
		legal, doubt := Linearizable(patient).(linearizable).search(t.Context(), stepsOf(keys[""]))
		if doubt != "" {
			t.Errorf("%s: %s", filepath.Base(name), doubt)
		}
		counts[legal]++
		if i%20 > 0 {
			continue
		}
		// Explaining takes longer than deciding.
		f := casCheck{Linearizable(patient).(linearizable)}.Check(t.Context(), h)
		if want := map[bool]harness.Verdict{true: harness.Valid, false: harness.Invalid}[legal]; f.Verdict != want {
			t.Errorf("%s: %s, want %s", filepath.Base(name), f.Summary, want)
		}
		for _, a := range f.Anomalies {
			if len(a.Story) < 2 || len(a.Story) > 40 {
				t.Errorf("%s: a story of %d sentences", filepath.Base(name), len(a.Story))
			}
		}
	}
	if counts[true] != 23 || counts[false] != 79 {
		t.Errorf("got %v, want 23 linearizable and 79 not", counts)
	}
}

// A list is judged directly; Porcupine's search is the reference for small histories.
func TestListsAgreeWithASearch(t *testing.T) {
	seen := map[bool]int{}
	for seed := range uint64(4000) {
		h := randomLists(rand.New(rand.NewPCG(seed, 1)))
		keys, _, err := collections(h, harness.Append)
		if err != nil {
			t.Fatal(err)
		}
		found := collect(Claims{}, TwoOrders, StaleList, PhantomElement, FutureElement, TwiceElement)
		for _, c := range keys {
			c.explainable(found)
			c.ordered(found)
		}
		want := searchLists(h)
		seen[want]++
		if got := found.total() == 0; got != want {
			for _, op := range h {
				t.Logf("%+v", op)
			}
			t.Fatalf("seed %d: linearizable is %t, Porcupine says %t: %s", seed, got, want, found.told(true))
		}
	}
	if seen[true] < 200 || seen[false] < 200 {
		t.Errorf("the histories are one-sided: %v", seen)
	}
}

// randomLists is a history of few clients on one list; some answers are of an older state,
// some appends have no answer.
func randomLists(r *rand.Rand) (h []harness.Op) {
	var list []string
	states := [][]string{nil}
	busy := map[int]harness.Op{}
	next, processes := 0, []int{0, 1, 2}
	for range 3 + r.IntN(14) {
		p := processes[r.IntN(len(processes))]
		now := time.Duration(len(h))
		if done, ok := busy[p]; ok {
			done.Kind, done.Index, done.Time = harness.OK, len(h), now
			if done.F == harness.Append {
				if r.IntN(4) > 0 {
					list = append(slices.Clone(list), done.Element)
					states = append(states, list)
				}
				if r.IntN(6) == 0 {
					done.Kind = harness.Info
					processes[slices.Index(processes, p)] = p + 3
				}
			} else {
				shown := list
				if r.IntN(5) == 0 {
					shown = states[r.IntN(len(states))]
				}
				shown = slices.Clone(shown)
				if len(shown) > 1 && r.IntN(12) == 0 {
					shown[0], shown[1] = shown[1], shown[0]
				}
				b, _ := json.Marshal(map[string]any{"items": shown})
				done.Siblings = []harness.Sibling{{Value: string(b)}}
			}
			delete(busy, p)
			h = append(h, done)
			continue
		}
		op := harness.Op{Process: p, Kind: harness.Invoke, F: harness.Get, Time: now, Index: len(h)}
		if r.IntN(2) == 0 {
			next++
			op.F, op.Element = harness.Append, fmt.Sprint(next)
		}
		busy[p] = op
		h = append(h, op)
	}
	return h
}

func searchLists(h []harness.Op) bool {
	type step struct {
		add  string
		read string
	}
	var ops []porcupine.Operation
	for _, p := range history.Pairs(h) {
		inv := h[p.Invoke]
		done := harness.Op{Kind: harness.Info}
		if p.Completion >= 0 {
			done = h[p.Completion]
		}
		o := porcupine.Operation{ClientId: inv.Process, Call: int64(inv.Time), Return: math.MaxInt64, Input: step{add: inv.Element}}
		if done.Kind == harness.OK {
			o.Return = int64(done.Time)
		}
		if inv.F == harness.Get {
			if done.Kind != harness.OK {
				continue
			}
			o.Input = step{read: strings.Join(elementsShown(done.Siblings), " ")}
		}
		ops = append(ops, o)
	}
	return porcupine.CheckOperations(porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, input, _ any) (bool, any) {
			s, o := state.(string), input.(step)
			if o.add == "" {
				return o.read == s, s
			}
			return true, strings.TrimSpace(s + " " + o.add)
		},
	}, ops)
}
