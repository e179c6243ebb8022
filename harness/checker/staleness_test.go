package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cartwheel/harness"
)

// within decides by trying every order whether each read can show one of the k newest
// values. Newest first; the initial value is empty.
func within(ops []registerOp, newest []string, k int) bool {
	done := true
	for i, o := range ops {
		if !o.write || o.ret != forever {
			done = false
		}
		if slices.ContainsFunc(ops, func(p registerOp) bool { return p.ret < o.call }) {
			continue
		}
		if !o.write && !slices.Contains(newest, o.value) {
			continue
		}
		next := newest
		if o.write {
			next = append([]string{o.value}, newest...)
			next = next[:min(len(next), k)]
		}
		if within(slices.Delete(slices.Clone(ops), i, i+1), next, k) {
			return true
		}
	}
	return done
}

// earlier moves the calls of reads.
func earlier(ops []registerOp, by time.Duration) []registerOp {
	out := slices.Clone(ops)
	for i := range out {
		if !out[i].write {
			out[i].call -= by
		}
	}
	return out
}

// lines writes a register's operations as a history.
func (r *register) lines() []harness.Op {
	type line struct {
		op harness.Op
		at time.Duration
	}
	var lines []line
	for i, o := range r.ops {
		inv := harness.Op{Process: i, Kind: harness.Invoke, F: harness.Get, Key: "x"}
		if o.write {
			inv.F, inv.Value = harness.Put, o.value
		}
		lines = append(lines, line{inv, o.call})
		if o.ret == forever {
			continue
		}
		done := inv
		done.Kind = harness.OK
		if !o.write && o.value != "" {
			done.Siblings = []harness.Sibling{{Value: o.value}}
		}
		lines = append(lines, line{done, o.ret})
	}
	// What is called and what ends in one instant is concurrent.
	slices.SortStableFunc(lines, func(a, b line) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return len(b.op.Kind) - len(a.op.Kind)
	})
	h := make([]harness.Op, len(lines))
	for i, l := range lines {
		h[i] = l.op
		h[i].Index, h[i].Time = i, l.at
	}
	return h
}

// TestFastAndSlowJudgesOfStalenessAgree compares 2-atomicity and Delta with trying all orders
// of small registers, in which reads may be several versions behind.
func TestFastAndSlowJudgesOfStalenessAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	seen := make(map[string]int)
	n := fuzzHistories(t)
	for range n {
		reg := randomRegister(r, 3+r.IntN(6))
		age(r, reg)
		x, err := newIndex(t.Context(), reg.lines())
		if err != nil {
			t.Fatal(err)
		}
		k := x.keys[0]
		v, why := k.versioned()
		if why != "" {
			seen["not a register"]++
			continue
		}
		two := within(reg.ops, []string{""}, 2)
		if got := v.twoAtomic(); got != two {
			t.Fatalf("2-atomic: %t, by every order %t\n%+v", got, two, reg.ops)
		}
		seen[fmt.Sprintf("2-atomic %t", two)]++
		delta, gamma := v.delta()
		if possible(earlier(reg.ops, delta), "") && (delta == 0 || !possible(earlier(reg.ops, delta-1), "")) {
			seen[fmt.Sprintf("late %t", delta > 0)]++
		} else {
			t.Fatalf("Delta is %d\n%+v", delta, reg.ops)
		}
		if gamma > delta || (gamma == 0) != (delta == 0) {
			t.Fatalf("Gamma %d, Delta %d\n%+v", gamma, delta, reg.ops)
		}
		most, oldest := 0, time.Duration(0)
		v.lags(func(versions int, age time.Duration) { most, oldest = max(most, versions), max(oldest, age) })
		if oldest > delta || most > 1 && two {
			t.Fatalf("a read is certainly %d versions and %d behind, Delta is %d, 2-atomic %t\n%+v", most, oldest, delta, two, reg.ops)
		}
		if !two {
			if part := v.smallest(); part.twoAtomic() {
				t.Fatalf("the operations of the proof alone are 2-atomic: %+v\n%+v", part, reg.ops)
			} else if len(part.writes)+len(part.reads) < len(v.writes)+len(v.reads) {
				seen["smaller"]++
			}
		}
	}
	for _, kind := range []string{"2-atomic true", "2-atomic false", "late true", "late false", "smaller"} {
		if seen[kind] < n/20 {
			t.Errorf("only %d of %d histories are %s", seen[kind], n, kind)
		}
	}
	t.Logf("%d histories: %v", n, seen)
}

// age lets some reads show an older value, if any had been written by then.
func age(r *rand.Rand, reg *register) {
	for i := range reg.ops {
		o := &reg.ops[i]
		if o.write || r.IntN(3) > 0 {
			continue
		}
		old := []string{""}
		for _, w := range reg.ops {
			if w.write && w.call <= o.ret {
				old = append(old, w.value)
			}
		}
		o.value = old[r.IntN(len(old))]
	}
}
