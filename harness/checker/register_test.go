package checker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
)

// possible decides linearizability by trying every order: operations may come next while
// no other one left ended before they began.
func possible(ops []registerOp, value string) bool {
	done := true
	for i, o := range ops {
		if !o.write || o.ret != forever {
			done = false
		}
		if slices.ContainsFunc(ops, func(p registerOp) bool { return p.ret < o.call }) {
			continue
		}
		if !o.write && o.value != value {
			continue
		}
		next := value
		if o.write {
			next = o.value
		}
		if possible(slices.Delete(slices.Clone(ops), i, i+1), next) {
			return true
		}
	}
	return done // only writes that need not have happened are left
}

// randomRegister makes a history in which every operation takes effect at some instant
// of its interval, and then perhaps swaps what two reads returned.
func randomRegister(r *rand.Rand, n int) *register {
	reg := &register{key: "x"}
	type effect struct {
		at time.Duration
		op int
	}
	var effects []effect
	free := make(map[int]time.Duration)
	for i := range n {
		p := r.IntN(3)
		call := free[p] + time.Duration(r.IntN(3))
		ret := call + time.Duration(r.IntN(4))
		o := registerOp{process: p, call: call, ret: ret, inv: i, done: i, write: r.IntN(5) < 2, title: "put"}
		at := call + time.Duration(r.Int64N(int64(ret-call)+1))
		free[p] = ret + time.Duration(r.IntN(2))
		if o.write {
			o.value = fmt.Sprintf("v%d", i)
			if r.IntN(5) == 0 {
				o.ret = forever
				at += time.Duration(r.IntN(20))
				o.process = 100 + i // its process is gone
				if r.IntN(3) == 0 {
					at = forever
				}
			}
		}
		reg.ops = append(reg.ops, o)
		effects = append(effects, effect{at, i})
	}
	slices.SortStableFunc(effects, func(a, b effect) int { return int(min(a.at, 1000) - min(b.at, 1000)) })
	value := ""
	for _, e := range effects {
		if o := &reg.ops[e.op]; o.write {
			value = o.value
		} else {
			o.value = value
		}
	}
	if reads := slices.DeleteFunc(r.Perm(n), func(i int) bool { return reg.ops[i].write }); r.IntN(2) == 0 && len(reads) > 1 {
		a, b := &reg.ops[reads[0]], &reg.ops[reads[1]]
		a.value, b.value = b.value, a.value
	}
	slices.SortStableFunc(reg.ops, func(a, b registerOp) int { return int(a.call - b.call) })
	return reg
}

// TestThreeJudgesOfRegistersAgree compares zones and Porcupine with trying every order,
// and checks that a longer interval never makes an operation harder to explain.
func TestThreeJudgesOfRegistersAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	l := linearizable{Budget{}.withDefaults()}
	verdicts := make(map[bool]int)
	n := fuzzHistories(t)
	for range n {
		reg := randomRegister(r, 3+r.IntN(6))
		want := possible(reg.ops, "")
		verdicts[want]++
		con := zones(reg.ops)
		legal, doubt := l.search(t.Context(), reg.steps())
		if (con == nil) != want || legal != want || doubt != "" {
			t.Fatalf("every order: %t, zones: %t, Porcupine: %t %s\n%+v", want, con == nil, legal, doubt, reg.ops)
		}
		if con != nil && possible(slices.DeleteFunc(slices.Clone(reg.ops), func(o registerOp) bool {
			return !slices.Contains(con.ops(), o.inv)
		}), "") {
			t.Fatalf("the operations of the proof alone are linearizable: %v\n%+v", con.ops(), reg.ops)
		}
		i := r.IntN(len(reg.ops))
		if o := &reg.ops[i]; o.ret != forever {
			o.ret += time.Duration(r.IntN(5))
		}
		if want && zones(reg.ops) != nil {
			t.Fatalf("a longer interval of operation %d made a violation\n%+v", i, reg.ops)
		}
	}
	if verdicts[true] < n/8 || verdicts[false] < n/8 {
		t.Errorf("%d linearizable and %d not: want plenty of both", verdicts[true], verdicts[false])
	}
}

// TestLongHistoriesAgree compares the two that can judge longer histories.
func TestLongHistoriesAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	l := linearizable{Budget{}.withDefaults()}
	for range 300 {
		reg := randomRegister(r, 60)
		con := zones(reg.ops)
		if legal, doubt := l.search(t.Context(), reg.steps()); doubt != "" || legal != (con == nil) {
			t.Fatalf("zones: %t, Porcupine: %t %s\n%+v", con == nil, legal, doubt, reg.ops)
		}
	}
}

func TestDisagreementIsUnknown(t *testing.T) {
	con := &conflict{}
	for _, c := range []struct {
		name    string
		con     *conflict
		legal   bool
		doubt   string
		invalid bool
		unsure  string
	}{
		{name: "both say yes", legal: true},
		{name: "both say no", con: con, invalid: true},
		{name: "only zones say no", con: con, legal: true, unsure: "disagree"},
		{name: "only the search says no", unsure: "disagree"},
		{name: "no answer, but a contradiction", con: con, doubt: "time", invalid: true},
		{name: "no answer and no contradiction", doubt: "time", unsure: "time"},
	} {
		got := reconcile(c.con, c.legal, c.doubt)
		if (got.conflict != nil) != c.invalid || !strings.Contains(got.doubt, c.unsure) || (got.doubt == "") != (c.unsure == "") {
			t.Errorf("%s: got %+v, want invalid %t, doubt %q", c.name, got, c.invalid, c.unsure)
		}
	}
}

// wide is a history that is hard to search: many writes side by side, of which reads
// see the values in an order that only the last makes impossible for zones to miss.
func wide(clients int, stale bool) string {
	var b strings.Builder
	for i := range clients {
		fmt.Fprintf(&b, "%d put x v%d\n", i, i)
	}
	for i := range clients {
		fmt.Fprintf(&b, "%d ok sees=v%d token=t%d\n", i, i, i)
	}
	fmt.Fprintf(&b, "50 get x ok sees=v0\n")
	if stale {
		fmt.Fprintf(&b, "50 get x ok sees=v1\n")
	}
	return b.String()
}

func TestSearchKeepsToItsBudget(t *testing.T) {
	for _, c := range []struct {
		name   string
		budget Budget
		stale  bool
		want   harness.Verdict
		reason string
	}{
		{name: "enough of everything", want: harness.Valid},
		{name: "too many operations", budget: Budget{Ops: 3}, want: harness.Unknown, reason: "3 at most"},
		{name: "too much memory at the outset", budget: Budget{Memory: 50}, want: harness.Unknown, reason: "budget is"},
		{name: "too much memory on the way", budget: Budget{Memory: 800}, want: harness.Unknown, reason: "memory budget"},
		{name: "a contradiction needs no search", budget: Budget{Ops: 3}, stale: true, want: harness.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Linearizable(c.budget).Check(t.Context(), must(t, wide(12, c.stale)))
			if f.Verdict != c.want || !strings.Contains(f.Summary, c.reason) {
				t.Errorf("got %s: %s; want %s with %q", f.Verdict, f.Summary, c.want, c.reason)
			}
		})
	}
}

func TestPictureShowsTheFailedKeyUnderItsFaults(t *testing.T) {
	f := Linearizable(Budget{}).Check(t.Context(), must(t, `
		fault f7 inject partition halves nodes=n1 cut=n1-n2
		0 put x a ok sees=a token=A
		0 put x b ctx=A ok sees=b token=B
		1 get x ok sees=a
		fault f7 heal
		0 put y c ok sees=c`))
	for _, want := range []string{"<html", "f7", "partition halves", "get -\\u003e a"} {
		if !bytes.Contains(f.Picture, []byte(want)) {
			t.Errorf("the picture of %d bytes lacks %q", len(f.Picture), want)
		}
	}
	if bytes.Contains(f.Picture, []byte("put c")) {
		t.Error("the picture shows a key that is well")
	}
	if f := Linearizable(Budget{}).Check(t.Context(), must(t, "0 put x a ok sees=a")); f.Picture != nil {
		t.Error("a picture of a valid history")
	}
}

func allCheckers() []harness.Checker {
	var all []harness.Checker
	for _, name := range Names() {
		all = append(all, registry[name]())
	}
	return all
}

func TestACheckThatIsCutShortIsUnknown(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	h := simulate(1, correct)
	for _, c := range append(allCheckers(), Together(Sanity(), LostWrites())...) {
		if f := c.Check(ctx, h); f.Verdict != harness.Unknown || !strings.Contains(f.Summary, "enough") {
			t.Errorf("%s: got %s: %s", c.Name(), f.Verdict, f.Summary)
		}
	}
}

func TestNothingToJudgeIsUnknown(t *testing.T) {
	for _, c := range allCheckers() {
		if f := c.Check(t.Context(), nil); f.Verdict != harness.Unknown || f.Summary == "" || f.Checker != c.Name() {
			t.Errorf("%s: got %+v", c.Name(), f)
		}
	}
}

func TestValuesThatAreNotUniqueAreUnknown(t *testing.T) {
	h := must(t, "0 put x a ok sees=a token=A\n1 get x ok sees=a")
	again := slices.Concat(h, h[:2])
	for i := range again {
		again[i].Index = i
	}
	for _, c := range []harness.Checker{Sanity(), LostWrites(), Linearizable(Budget{}), Zones()} {
		if f := c.Check(t.Context(), again); f.Verdict != harness.Unknown || !strings.Contains(f.Summary, "both wrote") {
			t.Errorf("%s: got %s: %s", c.Name(), f.Verdict, f.Summary)
		}
	}
}

func TestFindingsAreDeterministicAndTheHistoryIsLeftAlone(t *testing.T) {
	for _, b := range []bug{correct, lastWins, noPruning, noAntiEntropy} {
		h := simulate(5, b)
		before := fmt.Sprintf("%+v", h)
		for _, c := range allCheckers() {
			first, second := c.Check(t.Context(), h), c.Check(t.Context(), h)
			first.Picture, second.Picture = nil, nil
			if !reflect.DeepEqual(first, second) {
				t.Errorf("%s, %s: two findings\n%+v\n%+v", b, c.Name(), first, second)
			}
		}
		if fmt.Sprintf("%+v", h) != before {
			t.Errorf("%s: a checker changed the history", b)
		}
	}
}
