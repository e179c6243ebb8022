package counter

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
	"cartwheel/harness/generator/gentest"
	"cartwheel/harness/history"
)

const threads = 10

func play(t *testing.T, g harness.Generator, seed uint64, faults bool) []harness.Op {
	t.Helper()
	h, err := gentest.Simulate(g, gentest.Options{Seed: seed, Threads: threads, OpsMax: 2000, Execute: gentest.Siblings(faults)})
	if err != nil {
		t.Fatal(err)
	}
	if err := history.Validate(h); err != nil {
		t.Fatal(err)
	}
	return h
}

func simulate(t *testing.T, seed uint64, faults bool) []harness.Op {
	t.Helper()
	return play(t, Generator(harness.Setup{Concurrency: threads, Seed: seed}), seed, faults)
}

func replay(t *testing.T, steps []harness.Step, seed uint64) []harness.Op {
	t.Helper()
	return play(t, Replay(harness.Setup{Concurrency: threads, Time: time.Hour}, steps), seed, true)
}

func decode(t *testing.T, value string) Value {
	t.Helper()
	var v Value
	if err := json.Unmarshal([]byte(value), &v); err != nil {
		t.Fatalf("%q: %v", value, err)
	}
	return v
}

// checkPuts holds every put to what its session can know: it takes up what its thread read
// last of the counter, with that read's context, and its own sum is by one more than
// what the session has counted with an acknowledgement.
func checkPuts(t *testing.T, h []harness.Op) (counts map[string]int) {
	t.Helper()
	type own struct {
		process int
		key     string
	}
	counts = map[string]int{}
	last, acked, values := map[place]harness.Op{}, map[own]account{}, map[string]bool{}
	names := map[string]int{} // the process behind a session's name
	for _, op := range h {
		at := place{op.Process % threads, op.Key}
		mine := own{op.Process, op.Key}
		if op.Kind != harness.Invoke {
			delete(last, at)
			if op.F == harness.Get && op.Kind == harness.OK {
				last[at] = op
			} else if op.F == harness.Put && op.Kind == harness.OK {
				acked[mine] = acked[mine].after(op.Action)
			}
			continue
		}
		if op.F != harness.Put {
			continue
		}
		read, v := last[at], decode(t, op.Value)
		want, account := Merge(read.Siblings), acked[mine].after(op.Action)
		name := ""
		for who := range greater(v.Up, v.Down) {
			if v.Up[who] == account.up && v.Down[who] == account.down && (want.Up[who] < account.up || want.Down[who] < account.down) {
				name = who
			}
		}
		if p, known := names[name]; name == "" || known && p != op.Process {
			t.Fatalf("op %d of process %d writes %s after reading %+v; its session has counted %+v", op.Index, op.Process, op.Value, want, account)
		}
		names[name] = op.Process
		for _, side := range []struct {
			of map[string]int
			n  int
		}{{want.Up, account.up}, {want.Down, account.down}} {
			if side.n > 0 {
				side.of[name] = side.n
			}
		}
		if (Value{ID: v.ID, Sums: want}).Encode() != op.Value || string(op.Context) != string(read.Token) || values[v.ID] {
			t.Fatalf("op %d writes %s with context %q after reading %+v with %q", op.Index, op.Value, op.Context, want, read.Token)
		}
		values[v.ID] = true
		counts[op.Action]++
		if len(op.Context) == 0 && read.Kind != harness.OK {
			counts["blind"]++
		}
	}
	counts["sessions"] = len(names)
	return counts
}

func TestEveryPutAddsOneToWhatItsSessionKnows(t *testing.T) {
	for seed := range uint64(5) {
		n := checkPuts(t, simulate(t, seed, true))
		if n["blind"] == 0 || n["sessions"] <= threads || n[checker.Decrement] < n[checker.Increment]/6 || n[checker.Decrement] > n[checker.Increment]/2 {
			t.Errorf("seed %d: %v; want blind puts, broken sessions, and about a quarter that counts down", seed, n)
		}
	}
}

// A store that keeps siblings as it should never makes the sum wrong, whatever fails.
func TestCountersOnACorrectStoreAreRight(t *testing.T) {
	for seed := range uint64(10) {
		h := simulate(t, seed, true)
		for _, mode := range []checker.Mode{checker.Strict, checker.Sloppy} {
			f := checker.Under(checker.Claims{Mode: mode}, checker.Counter())[0].Check(t.Context(), h)
			// Nobody has read the copies in the end, so nobody knows of losses.
			if f.Verdict != harness.Unknown || f.Figures["reads"] < 500 || f.Figures["unjudged"] > 0 {
				t.Errorf("seed %d, %s: %s: %s, %v", seed, mode, f.Verdict, f.Summary, f.Figures)
			}
		}
	}
}

func TestCountersAreRetired(t *testing.T) {
	ops := map[string]int{}
	for _, op := range gentest.Invocations(simulate(t, 1, false)) {
		ops[op.Key]++
	}
	if len(ops) < 12 {
		t.Errorf("%d counters in 2000 operations, want 15 or nearly so", len(ops))
	}
	for key, n := range ops {
		if n > 2*opsMax {
			t.Errorf("%s had %d operations", key, n)
		}
	}
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

// Nothing taken away, nothing changes: contexts and values come out again as they were.
func TestReplayingAllStepsIsTheSameRun(t *testing.T) {
	for seed := range uint64(5) {
		want := simulate(t, seed, true)
		got := replay(t, harness.StepsOf(want, threads), seed)
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Fatalf("seed %d: the replay differs", seed)
		}
	}
}

// Whatever is taken away, what is left is a run that counting clients could have made.
func TestAnyPartOfTheStepsMakesSense(t *testing.T) {
	all := harness.StepsOf(simulate(t, 1, true), threads)
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 0))
		steps := slices.DeleteFunc(slices.Clone(all), func(harness.Step) bool { return r.IntN(3) == 0 })
		if n := checkPuts(t, replay(t, steps, seed)); n["blind"] < 50 || n[checker.Increment] < 300 {
			t.Errorf("seed %d: %v; want many puts, some of them blind", seed, n)
		}
	}
}

func TestMergeTakesTheGreatestSumOfEachSession(t *testing.T) {
	value := func(up, down map[string]int) string { return Value{ID: "v", Sums: Sums{up, down}}.Encode() }
	got := Merge([]harness.Sibling{
		{Value: value(map[string]int{"s1": 3, "s2": 1}, nil)},
		{Value: value(map[string]int{"s1": 2, "s3": 4}, map[string]int{"s2": 2})},
		{Tombstone: true},
		{Value: "not ours"},
	})
	if want := (Sums{Up: map[string]int{"s1": 3, "s2": 1, "s3": 4}, Down: map[string]int{"s2": 2}}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
