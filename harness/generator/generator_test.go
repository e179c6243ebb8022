package generator_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cartwheel/harness"
	"cartwheel/harness/generator"
	"cartwheel/harness/generator/gentest"
	"cartwheel/harness/history"
)

func read(key string) harness.Generator {
	return generator.Func(func(harness.GenContext, int) harness.Op {
		return harness.Op{F: harness.Get, Key: key}
	})
}

func simulate(t *testing.T, g harness.Generator, o gentest.Options) []harness.Op {
	t.Helper()
	h, err := gentest.Simulate(g, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := history.Validate(h); err != nil {
		t.Fatalf("simulated history is malformed: %v", err)
	}
	return h
}

func keys(ops []harness.Op) map[string]int {
	n := make(map[string]int)
	for _, op := range gentest.Invocations(ops) {
		n[op.Key]++
	}
	return n
}

// waits is pending for ever.
type waits struct{}

func (waits) Next(harness.GenContext) (harness.Draw, harness.Generator) {
	return harness.Draw{State: harness.Pending}, waits{}
}
func (waits) Update(harness.GenContext, harness.Op) harness.Generator { return waits{} }

func TestMixIsFairAndAPendingChildDoesNotBlockIt(t *testing.T) {
	g := generator.Limit(3000, generator.Mix(read("a"), waits{}, read("b"), generator.Limit(5, read("c"))))
	n := keys(simulate(t, g, gentest.Options{Threads: 5}))
	if n["a"]+n["b"] != 2995 || n["c"] != 5 {
		t.Fatalf("got %v, want 5 of c and the rest of a and b", n)
	}
	if diff := math.Abs(float64(n["a"] - n["b"])); diff > 250 {
		t.Errorf("got %v: not fair", n)
	}
}

func TestMixIsDoneWhenAllChildrenAre(t *testing.T) {
	g := generator.Mix(generator.Once(read("a")), generator.Seq(), generator.Limit(2, read("b")))
	if n := keys(simulate(t, g, gentest.Options{})); !reflect.DeepEqual(n, map[string]int{"a": 1, "b": 2}) {
		t.Fatalf("got %v", n)
	}
	if h := simulate(t, generator.Mix(), gentest.Options{}); len(h) != 0 {
		t.Fatalf("an empty mix offered %d operations", len(h))
	}
}

func TestMixTakesTheSoonestOfStaggeredChildren(t *testing.T) {
	slow := generator.Stagger(1, 1, read("slow"))
	fast := generator.Stagger(100, 2, read("fast"))
	n := keys(simulate(t, generator.Mix(slow, fast), gentest.Options{Threads: 20, Time: 100 * time.Second}))
	if n["fast"] < 9000 || n["fast"] > 11000 || n["slow"] < 70 || n["slow"] > 130 {
		t.Fatalf("got %v, want about 10000 fast and 100 slow", n)
	}
}

func TestStaggerKeepsItsRate(t *testing.T) {
	for _, tt := range []struct {
		name        string
		rate        float64
		threads     int
		least, most int
	}{
		{name: "with threads to spare", rate: 50, threads: 10, least: 4700, most: 5300},
		{name: "bounded by the threads", rate: 1000, threads: 1, least: 9900, most: 10000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := generator.Stagger(tt.rate, 7, read("a"))
			h := simulate(t, g, gentest.Options{Threads: tt.threads, Time: 100 * time.Second})
			if n := len(gentest.Invocations(h)); n < tt.least || n > tt.most {
				t.Fatalf("%d operations in 100 s, want %d to %d", n, tt.least, tt.most)
			}
		})
	}
}

func TestStaggerIsExponential(t *testing.T) {
	ops := gentest.Invocations(simulate(t, generator.Stagger(10, 3, read("a")), gentest.Options{Threads: 50, Execute: gentest.Instant}))
	var short int // below a tenth of the mean: 1-exp(-0.1) of them
	for i := 1; i < len(ops); i++ {
		if ops[i].Time-ops[i-1].Time < 10*time.Millisecond {
			short++
		}
	}
	if got := float64(short) / float64(len(ops)); math.Abs(got-0.095) > 0.02 {
		t.Fatalf("%.3f of the gaps are below a tenth of the mean, want 0.095", got)
	}
}

func TestStaggerDoesNotBurstAfterAStall(t *testing.T) {
	var n int
	stall := func(op harness.Op, _ *rand.Rand) (harness.Op, time.Duration) {
		op.Kind = harness.OK
		if n++; n == 10 {
			return op, 10 * time.Second
		}
		return op, 0
	}
	ops := gentest.Invocations(simulate(t, generator.Stagger(100, 3, read("a")),
		gentest.Options{Threads: 1, Execute: stall, Time: 12 * time.Second}))
	var burst int
	end := ops[10].Time
	for _, op := range ops[10:] {
		if op.Time-end < 50*time.Millisecond {
			burst++
		}
	}
	if burst > 50 {
		t.Fatalf("%d operations in the 50 ms after a stall, at a rate of 100/s", burst)
	}
}

func TestTimeLimitEndsByTheClockEvenWhileItsChildWaits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		child harness.Generator
	}{
		{name: "busy", child: read("a")},
		{name: "waiting", child: waits{}},
		{name: "too late", child: generator.Stagger(0.001, 1, read("a"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := generator.Concat(generator.TimeLimit(time.Second, tt.child), generator.Once(read("after")))
			ops := gentest.Invocations(simulate(t, g, gentest.Options{}))
			last := ops[len(ops)-1]
			if last.Key != "after" || last.Time < time.Second || last.Time > time.Second+10*time.Millisecond {
				t.Fatalf("last operation %s at %v, want after at 1s", last.Key, last.Time)
			}
			for _, op := range ops[:len(ops)-1] {
				if op.Time >= time.Second {
					t.Fatalf("an operation began at %v", op.Time)
				}
			}
		})
	}
}

func TestPhasesWaitForOperationsUnderWay(t *testing.T) {
	g := generator.Phases(generator.Limit(7, read("a")), generator.Seq(), generator.Limit(7, read("b")))
	h := simulate(t, g, gentest.Options{Threads: 4, Execute: gentest.Imperfect, Seed: 3})
	var open int
	for _, op := range h {
		switch {
		case op.Kind == harness.Invoke && op.Key == "b" && keysOpen(h[:op.Index], "a") > 0:
			t.Fatalf("line %d begins b while a is under way", op.Index)
		case op.Kind == harness.Invoke:
			open++
		}
	}
	if open != 14 {
		t.Fatalf("%d operations, want 14", open)
	}
}

func keysOpen(h []harness.Op, key string) int {
	n := 0
	for _, op := range h {
		switch {
		case op.Key == key && op.Kind == harness.Invoke:
			n++
		case op.Key == key:
			n--
		}
	}
	return n
}

func TestPhasesInsideASharedPoolWaitOnlyForTheirOwn(t *testing.T) {
	// The other pool is always busy, which must not hold up the barrier.
	g := generator.TimeLimit(10*time.Second, generator.Reserve(read("busy"), generator.Share{
		Threads: 2, Generator: generator.Phases(generator.Limit(4, read("a")), generator.Limit(4, read("b"))),
	}))
	n := keys(simulate(t, g, gentest.Options{Threads: 4}))
	if n["a"] != 4 || n["b"] != 4 || n["busy"] < 1000 {
		t.Fatalf("got %v", n)
	}
}

func TestReserveConfinesOperationsToTheirThreads(t *testing.T) {
	g := generator.Limit(2000, generator.Reserve(read("rest"),
		generator.Share{Threads: 2, Generator: read("two")},
		generator.Share{Threads: 0, Generator: read("none")},
		generator.Share{Threads: 1, Generator: read("one")}))
	const threads = 5
	want := []string{"two", "two", "one", "rest", "rest"}
	h := simulate(t, g, gentest.Options{Threads: threads, Execute: gentest.Imperfect})
	seen := make(map[string]bool)
	for _, op := range gentest.Invocations(h) {
		if want[op.Process%threads] != op.Key {
			t.Fatalf("process %d does %s", op.Process, op.Key)
		}
		seen[op.Key] = true
	}
	if len(seen) != 3 {
		t.Fatalf("only %v ran", seen)
	}
}

func TestEachThreadRunsItsOwnCopy(t *testing.T) {
	g := generator.EachThread(func(thread int) harness.Generator {
		return generator.Limit(3, read(fmt.Sprint(thread)))
	})
	h := simulate(t, g, gentest.Options{Threads: 4, Execute: gentest.Imperfect})
	for _, op := range gentest.Invocations(h) {
		if fmt.Sprint(op.Process%4) != op.Key {
			t.Fatalf("process %d does the operation of thread %s", op.Process, op.Key)
		}
	}
	if n := keys(h); !reflect.DeepEqual(n, map[string]int{"0": 3, "1": 3, "2": 3, "3": 3}) {
		t.Fatalf("got %v", n)
	}
}

func TestEachThreadTellsAChildOfItsOwnThreadOnly(t *testing.T) {
	// Each thread goes on until one operation succeeds; another's success is not its own.
	g := generator.EachThread(func(thread int) harness.Generator {
		return generator.UntilOK(read(fmt.Sprint(thread)))
	})
	done := make(map[string]int)
	execute := func(op harness.Op, _ *rand.Rand) (harness.Op, time.Duration) {
		op.Kind = harness.Fail
		if done[op.Key]++; done[op.Key] == 2+len(op.Key) {
			op.Kind = harness.OK
		}
		return op, time.Millisecond
	}
	h := simulate(t, g, gentest.Options{Threads: 3, Execute: execute})
	if n := keys(h); !reflect.DeepEqual(n, map[string]int{"0": 3, "1": 3, "2": 3}) {
		t.Fatalf("got %v, want three tries each", n)
	}
}

func TestUntilOKGoesOnAfterFailAndInfo(t *testing.T) {
	tries := 0
	execute := func(op harness.Op, _ *rand.Rand) (harness.Op, time.Duration) {
		tries++
		op.Kind = []harness.Kind{harness.Fail, harness.Info, harness.OK, harness.OK}[min(tries, 4)-1]
		return op, time.Millisecond
	}
	h := simulate(t, generator.UntilOK(read("a")), gentest.Options{Threads: 1, Execute: execute})
	if tries != 3 || h[len(h)-1].Kind != harness.OK {
		t.Fatalf("%d tries, want 3: fail, info, ok", tries)
	}
}

func TestSeqAndMapKeepOrder(t *testing.T) {
	g := generator.Map(func(op harness.Op) harness.Op { op.Action = "mapped"; return op },
		generator.Seq(harness.Op{F: harness.Put, Value: "1"}, harness.Op{F: harness.Put, Value: "2"}))
	ops := gentest.Invocations(simulate(t, g, gentest.Options{}))
	if len(ops) != 2 || ops[0].Value != "1" || ops[1].Value != "2" || ops[1].Action != "mapped" {
		t.Fatalf("got %+v", ops)
	}
}

func TestCheckNamesBrokenContracts(t *testing.T) {
	c := harness.GenContext{Free: []int{1, 4}}
	for _, tt := range []struct {
		name string
		draw harness.Draw
		ok   bool
	}{
		{name: "done", draw: harness.Draw{State: harness.Done}, ok: true},
		{name: "ready", draw: harness.Draw{State: harness.Ready, Op: harness.Op{Process: 4, F: "get"}}, ok: true},
		{name: "busy process", draw: harness.Draw{State: harness.Ready, Op: harness.Op{Process: 2, F: "get"}}},
		{name: "no function", draw: harness.Draw{State: harness.Ready, Op: harness.Op{Process: 4}}},
		{name: "strange state", draw: harness.Draw{State: 9}},
	} {
		if err := generator.Check(c, tt.draw); (err == nil) != tt.ok {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	bad := generator.Map(func(op harness.Op) harness.Op { op.Process = 99; return op }, read("a"))
	if _, err := gentest.Simulate(bad, gentest.Options{}); err == nil {
		t.Error("simulate accepted an operation of a process that does not exist")
	}
	if _, err := gentest.Simulate(waits{}, gentest.Options{}); err == nil {
		t.Error("simulate accepted a generator that waits for nothing")
	}
}

// anything draws a tree of combinators that is sure to end.
func anything(t *rapid.T, depth int) harness.Generator {
	if depth == 0 {
		return generator.Limit(rapid.IntRange(0, 5).Draw(t, "n"), read("leaf"))
	}
	child := func() harness.Generator { return anything(t, depth-1) }
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		return generator.Mix(child(), child())
	case 1:
		return generator.Phases(child(), child())
	case 2:
		return generator.Concat(child(), child())
	case 3:
		return generator.Stagger(100, 5, child())
	case 4:
		return generator.TimeLimit(50*time.Millisecond, child())
	case 5:
		c := child()
		return generator.EachThread(func(int) harness.Generator { return c })
	case 6:
		return generator.Reserve(child(), generator.Share{Threads: 1, Generator: child()})
	default:
		return generator.UntilOK(child())
	}
}

// TestGeneratorsAreValues: asking changes nothing, whatever is composed; every tree
// ends; the same seed gives the same history.
func TestGeneratorsAreValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := anything(t, 3)
		o := gentest.Options{Seed: rapid.Uint64().Draw(t, "seed"), Execute: gentest.Imperfect}
		first, err := gentest.Simulate(g, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := history.Validate(first); err != nil {
			t.Fatal(err)
		}
		second, err := gentest.Simulate(g, o)
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Fatalf("the second run differs: %v\n%v\n%v", err, first, second)
		}
		if len(gentest.Invocations(first)) >= 10000 {
			t.Fatal("a bounded generator did not end")
		}
		asked := asksTwice{g}
		third, err := gentest.Simulate(asked, o)
		if err != nil || !slices.EqualFunc(first, third, func(a, b harness.Op) bool { return reflect.DeepEqual(a, b) }) {
			t.Fatalf("asking twice changed the run: %v\n%v\n%v", err, first, third)
		}
	})
}

// asksTwice asks its child once too often and forgets the first answer.
type asksTwice struct{ child harness.Generator }

func (g asksTwice) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	other := c
	other.Rand = rand.New(rand.NewPCG(1, 2))
	g.child.Next(other)
	d, next := g.child.Next(c)
	return d, asksTwice{next}
}

func (g asksTwice) Update(c harness.GenContext, op harness.Op) harness.Generator {
	return asksTwice{g.child.Update(c, op)}
}
