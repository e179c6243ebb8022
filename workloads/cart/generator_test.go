package cart

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"cartwheel/harness"
	"cartwheel/harness/generator/gentest"
	"cartwheel/harness/history"
)

func simulate(t *testing.T, seed uint64, faults bool) []harness.Op {
	t.Helper()
	return play(t, Generator, seed, faults)
}

func play(t *testing.T, generator func(harness.Setup) harness.Generator, seed uint64, faults bool) []harness.Op {
	t.Helper()
	const threads = 10
	g := generator(harness.Setup{Concurrency: threads, Seed: seed})
	h, err := gentest.Simulate(g, gentest.Options{Seed: seed, Threads: threads, OpsMax: 2000, Execute: gentest.Siblings(faults)})
	if err != nil {
		t.Fatal(err)
	}
	if err := history.Validate(h); err != nil {
		t.Fatal(err)
	}
	return h
}

func decode(t *testing.T, value string) Value {
	t.Helper()
	var v Value
	if err := json.Unmarshal([]byte(value), &v); err != nil {
		t.Fatalf("%q: %v", value, err)
	}
	return v
}

// Each put carries the context of its thread's own last get, and the union of what that
// get showed with one element added or removed; after a failed get it is blind.
func TestEveryPutContinuesItsThreadsLastRead(t *testing.T) {
	for seed := range uint64(5) {
		h := simulate(t, seed, true)
		last := map[int]harness.Op{} // completed get by thread
		count := map[string]int{}
		for _, op := range h {
			thread := op.Process % 10
			if op.F == harness.Get && op.Kind != harness.Invoke {
				last[thread] = op
			}
			if op.F != harness.Put || op.Kind != harness.Invoke {
				continue
			}
			read := last[thread]
			delete(last, thread)
			if read.Key != op.Key {
				t.Fatalf("op %d writes %s, its thread last read %q", op.Index, op.Key, read.Key)
			}
			want := Merge(read.Siblings)
			switch {
			case read.Kind != harness.OK && (len(op.Context) > 0 || op.Action != "add"):
				t.Fatalf("op %d: %s with context %q after a failed read", op.Index, op.Action, op.Context)
			case string(op.Context) != string(read.Token):
				t.Fatalf("op %d sends context %q, its read gave %q", op.Index, op.Context, read.Token)
			case op.Action == "add" && slices.Contains(want, op.Element), op.Action == "remove" && !slices.Contains(want, op.Element):
				t.Fatalf("op %d: %s of %s with %v in the cart", op.Index, op.Action, op.Element, want)
			case op.Action == "add":
				want = append(want, op.Element)
			default:
				want = slices.DeleteFunc(want, func(e string) bool { return e == op.Element })
			}
			slices.Sort(want)
			if got := decode(t, op.Value).Items; !slices.Equal(got, want) {
				t.Fatalf("op %d writes %v, want %v", op.Index, got, want)
			}
			count[op.Action]++
			if read.Kind != harness.OK {
				count["blind"]++
			}
		}
		if count["blind"] == 0 || count["remove"] < count["add"]/8 || count["remove"] > count["add"]/3 {
			t.Errorf("seed %d: %v; want some blind adds, and about a fifth of removes", seed, count)
		}
	}
}

func TestElementsAreAddedOnce(t *testing.T) {
	added := map[string]int{}
	for _, op := range gentest.Invocations(simulate(t, 1, true)) {
		if op.Action == "add" {
			added[op.Element]++
		}
	}
	if len(added) < 500 {
		t.Fatalf("only %d elements", len(added))
	}
	for e, n := range added {
		if n != 1 {
			t.Errorf("%s was added %d times", e, n)
		}
	}
}

func TestCartsAreRetiredSoThatValuesStaySmall(t *testing.T) {
	h := simulate(t, 1, false)
	adds := map[string]int{}
	for _, op := range gentest.Invocations(h) {
		if op.Action == "add" {
			adds[op.Key]++
		}
		if n := len(decodeIf(op)); n > elementsMax+10 {
			t.Fatalf("op %d writes %d items", op.Index, n)
		}
	}
	full := 0
	for key, n := range adds {
		if n > elementsMax+10 { // one late writer a thread
			t.Errorf("%s got %d elements", key, n)
		}
		if n >= elementsMax {
			full++
		}
	}
	if full < 10 || len(adds)-full > cartsAtATime {
		t.Errorf("%d carts, %d of them full; want many, and all but %d full", len(adds), full, cartsAtATime)
	}
}

// Small carts are replaced so soon that nearly all that a run has filled are left alone by its end: hints for them wait alone.
func TestSmallCartsAreSoonLeftAlone(t *testing.T) {
	h := gentest.Invocations(play(t, LateHints().Generator, 1, false))
	adds, last := map[string]int{}, map[string]int{}
	for i, op := range h {
		if op.Action == "add" {
			adds[op.Key]++
		}
		last[op.Key] = i
	}
	full, alone := 0, 0
	for key, n := range adds {
		if n > smallMax+10 { // one late writer a thread
			t.Errorf("%s got %d elements", key, n)
		}
		if n >= smallMax {
			full++
			if last[key] < len(h)*9/10 {
				alone++
			}
		}
	}
	usual := map[string]bool{}
	for _, op := range gentest.Invocations(simulate(t, 1, false)) {
		usual[op.Key] = true
	}
	if len(adds) < 3*len(usual) || len(adds)-full > cartsAtATime || alone < full*8/10 {
		t.Errorf("%d small carts, %d usual ones; %d full, %d of them left alone", len(adds), len(usual), full, alone)
	}
}

func decodeIf(op harness.Op) []string {
	var v Value
	if op.F == harness.Put {
		_ = json.Unmarshal([]byte(op.Value), &v)
	}
	return v.Items
}

func TestGeneratorIsAFunctionOfItsSeed(t *testing.T) {
	a, b, other := fmt.Sprint(simulate(t, 3, true)), fmt.Sprint(simulate(t, 3, true)), fmt.Sprint(simulate(t, 4, true))
	if a != b {
		t.Error("one seed gave two histories")
	}
	if a == other {
		t.Error("two seeds gave one history")
	}
}

func TestMergeIsTheUnionOfLiveSiblings(t *testing.T) {
	value := func(items ...string) string { return Value{ID: "v", Items: items}.Encode() }
	got := Merge([]harness.Sibling{
		{Value: value("milk", "eggs")},
		{Value: value("eggs", "flour")},
		{Tombstone: true},
		{Value: "not ours"},
		{Value: value()},
	})
	if want := []string{"eggs", "flour", "milk"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := value("b", "a", "b"), `{"id":"v","items":["a","b"]}`; got != want {
		t.Errorf("encoded as %s, want %s", got, want)
	}
	if got, want := value(), `{"id":"v","items":[]}`; got != want {
		t.Errorf("encoded as %s, want %s", got, want)
	}
}

// Under the lock nobody reads before the one before has written.
func TestALockedSetIsReadAndWrittenByOneAtATime(t *testing.T) {
	h := play(t, setGenerator("", true), 3, true)
	holder := -1
	for _, op := range h {
		thread := op.Process % 10
		switch {
		case op.Kind == harness.Invoke && op.F == harness.Get:
			if holder != -1 {
				t.Fatalf("op %d: thread %d reads while thread %d holds the lock", op.Index, thread, holder)
			}
			holder = thread
		case holder != thread:
			t.Fatalf("op %d: thread %d does a %s while thread %d holds the lock", op.Index, thread, op.F, holder)
		case op.F == harness.Put && op.Kind != harness.Invoke:
			holder = -1
		}
	}
}

func TestASetIsOneKeyThatOnlyGrows(t *testing.T) {
	adds := 0
	for _, op := range play(t, setGenerator("", false), 3, true) {
		if op.Key != "cart1" || op.Action == "remove" {
			t.Fatalf("op %d: %s %s of %s", op.Index, op.F, op.Action, op.Key)
		}
		if op.Kind == harness.Invoke && op.Action == "add" {
			adds++
		}
	}
	if adds < 900 {
		t.Errorf("%d adds, want half of the operations", adds)
	}
}

// A check-out deletes exactly what its thread saw, and only where that was something.
func TestACheckOutDeletesWhatItsThreadSaw(t *testing.T) {
	checkOuts := 0
	for seed := range uint64(5) {
		seen := map[int]harness.Op{} // the last get that ended, by thread
		for _, op := range simulate(t, seed, true) {
			thread := op.Process % 10
			switch {
			case op.F == harness.Get && op.Kind != harness.Invoke:
				seen[thread] = op
			case op.F == harness.Delete && op.Kind == harness.Invoke:
				checkOuts++
				if got := seen[thread]; got.Kind != harness.OK || got.Key != op.Key || string(got.Token) != string(op.Context) || len(Merge(got.Siblings)) == 0 {
					t.Errorf("op %d deletes %s with %q after %+v", op.Index, op.Key, op.Context, got)
				}
			}
		}
	}
	if checkOuts < 20 {
		t.Errorf("only %d check-outs", checkOuts)
	}
}
