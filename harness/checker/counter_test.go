package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// A countOp is an increment or a read of a small random counter.
type countOp struct {
	read      bool
	by        int
	call, ret time.Duration
	kind      harness.Kind
	shown     []int // increments that a read counts
}

// sum is what a read shows.
func (o countOp) sum(ops []countOp) (n int) {
	for _, s := range o.shown {
		n += ops[s].by
	}
	return n
}

// randomCounter lets some clients count: a read shows any of the increments called by its end.
func randomCounter(r *rand.Rand) []countOp {
	var ops []countOp
	free := [3]time.Duration{}
	for range 3 + r.IntN(8) {
		p := r.IntN(len(free))
		o := countOp{read: r.IntN(3) == 0, by: 1 - 2*(r.IntN(4)/3), call: free[p] + time.Duration(r.IntN(3)), kind: harness.OK}
		o.ret = o.call + time.Duration(r.IntN(4))
		if !o.read {
			o.kind = []harness.Kind{harness.OK, harness.OK, harness.OK, harness.Info, harness.Fail}[r.IntN(5)]
		}
		free[p] = o.ret + time.Duration(r.IntN(2))
		ops = append(ops, o)
	}
	sloppy := r.IntN(3)
	for i := range ops {
		for j, inc := range ops {
			if ops[i].read && !inc.read && inc.call <= ops[i].ret && inc.kind != harness.Fail && r.IntN(4) > sloppy {
				ops[i].shown = append(ops[i].shown, j)
			}
		}
	}
	return ops
}

// explained decides by trying every choice whether a read of a counter may show a number:
// with acknowledged ones demanded, or free to be missed.
func explained(ops []countOp, read countOp, number int, demanded bool) bool {
	sums := map[int]bool{0: true}
	for _, inc := range ops {
		if inc.read || inc.kind == harness.Fail || inc.call > read.ret {
			continue
		}
		next := make(map[int]bool)
		for s := range sums {
			next[s+inc.by] = true
			if !demanded || inc.kind != harness.OK || inc.ret >= read.call {
				next[s] = true
			}
		}
		sums = next
	}
	return sums[number]
}

// countLines writes the operations as a history: of a store that counts, or of siblings, of
// which each increment makes one.
func countLines(ops []countOp, siblings bool) []harness.Op {
	type line struct {
		op harness.Op
		at time.Duration
	}
	value := func(i int) string {
		up, down := fmt.Sprintf("s%d:1", i), ""
		if ops[i].by < 0 {
			up, down = down, up
		}
		return counterValue(fmt.Sprintf("v%d", i), up, down)
	}
	var lines []line
	for i, o := range ops {
		inv := harness.Op{Process: i, Kind: harness.Invoke, F: harness.Get, Key: "c"}
		switch {
		case o.read:
		case siblings:
			inv.F, inv.Action, inv.Element, inv.Value = harness.Put, Increment, "1", value(i)
			if o.by < 0 {
				inv.Action = Decrement
			}
		default:
			inv.F, inv.Element = harness.Add, strconv.Itoa(o.by)
		}
		done := inv
		done.Kind = o.kind
		if o.read && !siblings {
			done.Siblings = []harness.Sibling{{Value: strconv.Itoa(o.sum(ops))}}
		}
		for _, s := range o.shown {
			if siblings {
				done.Siblings = append(done.Siblings, harness.Sibling{Value: value(s)})
			}
		}
		lines = append(lines, line{inv, o.call}, line{done, o.ret})
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return len(b.op.Kind) - len(a.op.Kind) // "invoke" first
	})
	h := make([]harness.Op, len(lines))
	for i, l := range lines {
		h[i] = l.op
		h[i].Index, h[i].Time = i, l.at
	}
	return h
}

// TestFastAndSlowJudgesOfCountersAgree compares the bounds with trying every choice of what
// a read may count, for counters of the store and for those kept on siblings.
func TestFastAndSlowJudgesOfCountersAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 11))
	seen := make(map[string]int)
	n := fuzzHistories(t)
	for range n {
		ops := randomCounter(r)
		behind := 0
		for _, o := range ops {
			if !o.read {
				continue
			}
			if !explained(ops, o, o.sum(ops), false) {
				t.Fatal("the history shows what was not attempted")
			}
			if !explained(ops, o, o.sum(ops), true) {
				behind++
			}
		}
		plain, kept := countLines(ops, false), countLines(ops, true)
		for _, h := range [][]harness.Op{plain, kept} {
			if err := history.Validate(h); err != nil {
				t.Fatal(err)
			}
		}
		f := Tally().Check(t.Context(), plain)
		g := Under(Claims{Mode: Strict}, Counter())[0].Check(t.Context(), kept)
		if f.Counts[CountBehind] != behind || g.Counts[CountBehind] != behind || f.Counts[ImpossibleCount]+g.Counts[ImpossibleCount] > 0 {
			t.Fatalf("want %d: %s; %s\n%+v", behind, f.Summary, g.Summary, ops)
		}
		seen[fmt.Sprintf("right %t", behind == 0)]++
	}
	if seen["right true"] < n/20 || seen["right false"] < n/20 {
		t.Errorf("the histories are one-sided: %v", seen)
	}
	t.Logf("%d histories: %v", n, seen)
}

// TestANumberIsShownOnlyIfSomeChoiceAddsUpToIt: the bounds are sharp for steps of one.
func TestANumberIsShownOnlyIfSomeChoiceAddsUpToIt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 12))
	for range 2000 {
		ops := randomCounter(r)
		var incs []increment
		for _, o := range ops {
			if i := (increment{by: o.by, call: o.call, acked: forever, failed: o.kind == harness.Fail}); !o.read {
				if o.kind == harness.OK {
					i.acked = o.ret
				}
				incs = append(incs, i)
			}
		}
		for _, o := range ops {
			b := newTab(incs).bounds(o.call, o.ret)
			for number := -12; o.read && number <= 12; number++ {
				if got, want := number >= b.low && number <= b.high, explained(ops, o, number, true); got != want {
					t.Fatalf("%d within %+v: %t, by every choice %t\n%+v", number, b, got, want, ops)
				}
				if got, want := number >= b.least && number <= b.most, explained(ops, o, number, false); got != want {
					t.Fatalf("%d possible within %+v: %t, by every choice %t\n%+v", number, b, got, want, ops)
				}
			}
		}
	}
}
