package checker

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
)

// spoken writes a history of one operation after the other from words: "add 1" was
// acknowledged, "add? 1" had no answer, "add! 1" certainly failed, "read 1 2" showed these.
func spoken(t *testing.T, f string, words ...string) (h []harness.Op) {
	t.Helper()
	for i, w := range words {
		what := strings.Fields(w)
		inv := harness.Op{Process: i, Kind: harness.Invoke, Time: time.Duration(len(h)), Index: len(h), Key: "s"}
		done := inv
		if what[0] == "read" {
			inv.F = harness.Get
			b, err := json.Marshal(map[string]any{"items": what[1:]})
			if err != nil {
				t.Fatal(err)
			}
			done.Siblings = []harness.Sibling{{Value: string(b)}}
		} else {
			inv.F, inv.Element = f, what[1]
		}
		done.F, done.Element = inv.F, inv.Element
		done.Kind = map[string]harness.Kind{"add": harness.OK, "read": harness.OK, "add?": harness.Info, "add!": harness.Fail}[what[0]]
		done.Time, done.Index = inv.Time+1, inv.Index+1
		h = append(h, inv, done)
	}
	return h
}

func TestSetsByOutcome(t *testing.T) {
	for _, c := range []struct {
		name    string
		words   []string
		verdict harness.Verdict
		kind    string
		figure  string
		want    float64
	}{
		{name: "stable", words: []string{"add 1", "read 1"}, verdict: harness.Valid, figure: "stable", want: 1},
		{name: "lost", words: []string{"add 1", "read"}, verdict: harness.Invalid, kind: LostElement, figure: "lost", want: 1},
		{name: "seen and then lost", words: []string{"add? 1", "read 1", "read"}, verdict: harness.Invalid, kind: LostElement, figure: "lost", want: 1},
		{name: "stale and back again", words: []string{"add 1", "read", "read 1"}, verdict: harness.Valid, figure: "stale", want: 1},
		{name: "never acknowledged, never seen", words: []string{"add? 1", "add 2", "read 2"}, verdict: harness.Valid, figure: "lost", want: 0},
		{name: "acknowledged and never read", words: []string{"add 2", "read 2", "add 1"}, verdict: harness.Valid, figure: "never_read", want: 1},
		{name: "failed and shown", words: []string{"add! 1", "read 1"}, verdict: harness.Invalid, kind: PhantomElement},
		{name: "never added", words: []string{"add 2", "read 1 2"}, verdict: harness.Invalid, kind: PhantomElement},
		{name: "shown before it was added", words: []string{"read 1", "add 1", "read 1"}, verdict: harness.Invalid, kind: FutureElement},
		{name: "nothing read", words: []string{"add 1"}, verdict: harness.Unknown},
		{name: "added twice", words: []string{"add 1", "add 1", "read 1"}, verdict: harness.Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Set().Check(t.Context(), spoken(t, harness.Add, c.words...))
			if f.Verdict != c.verdict || c.kind != "" && f.Counts[c.kind] == 0 || c.figure != "" && f.Figures[c.figure] != c.want {
				t.Errorf("got %s, %v, %v: %s", f.Verdict, f.Counts, f.Figures, f.Summary)
			}
			if c.verdict == harness.Invalid && (len(f.Anomalies) == 0 || len(f.Anomalies[0].Story) == 0) {
				t.Error("it does not tell why")
			}
		})
	}
}

func TestListsByOutcome(t *testing.T) {
	for _, c := range []struct {
		name    string
		words   []string
		verdict harness.Verdict
		kind    string
	}{
		{name: "in order", words: []string{"add 1", "read 1", "add 2", "read 1 2"}, verdict: harness.Valid},
		{name: "without an answer, anywhere", words: []string{"add? 1", "add 2", "read 2", "read 2 1"}, verdict: harness.Valid},
		{name: "two orders", words: []string{"add? 1", "add? 2", "read 1 2", "read 2"}, verdict: harness.Invalid, kind: TwoOrders},
		{name: "against real time", words: []string{"add 1", "add 2", "read 2 1"}, verdict: harness.Invalid, kind: TwoOrders},
		{name: "stale", words: []string{"add 1", "read 1", "add 2", "read 1", "read 1 2"}, verdict: harness.Invalid, kind: StaleList},
		{name: "shrunk", words: []string{"add? 1", "read 1", "read"}, verdict: harness.Invalid, kind: StaleList},
		{name: "acknowledged and skipped", words: []string{"add 1", "add 2", "read 2"}, verdict: harness.Invalid, kind: StaleList},
		{name: "twice", words: []string{"add 1", "read 1 1"}, verdict: harness.Invalid, kind: TwiceElement},
		{name: "nobody's", words: []string{"add 1", "read 1 9"}, verdict: harness.Invalid, kind: PhantomElement},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := List().Check(t.Context(), spoken(t, harness.Append, c.words...))
			if f.Verdict != c.verdict || c.kind != "" && f.Counts[c.kind] == 0 {
				t.Errorf("got %s, %v: %s", f.Verdict, f.Counts, f.Summary)
			}
		})
	}
}

// randomSets is a history of few clients on one set; some answers lack what was added, and
// some adds have no answer.
func randomSets(r *rand.Rand) (h []harness.Op) {
	busy := map[int]harness.Op{}
	processes := []int{0, 1, 2}
	var added []string
	for range 4 + r.IntN(20) {
		i := r.IntN(len(processes))
		p := processes[i]
		now := time.Duration(len(h))
		done, ok := busy[p]
		if !ok {
			op := harness.Op{Process: p, Kind: harness.Invoke, F: harness.Get, Time: now, Index: len(h), Key: "s"}
			if r.IntN(3) == 0 {
				op.F, op.Element = harness.Add, fmt.Sprint(len(added))
				added = append(added, op.Element)
			}
			busy[p] = op
			h = append(h, op)
			continue
		}
		done.Kind, done.Index, done.Time = harness.OK, len(h), now
		if done.F == harness.Add && r.IntN(4) == 0 {
			done.Kind, processes[i] = harness.Info, p+3
		} else if done.F == harness.Get {
			shown := slices.DeleteFunc(slices.Clone(added), func(string) bool { return r.IntN(4) == 0 })
			done.Siblings = []harness.Sibling{{Value: cartValue("", strings.Join(shown, ","))}}
		}
		delete(busy, p)
		h = append(h, done)
	}
	return h
}

// lostElements lists what a set has lost by the words of the rule: an element is known from an
// instant on, a read that was called later lacks it, and so does every read called after that.
func lostElements(h []harness.Op) (lost []string) {
	type read struct {
		call  time.Duration
		shown []string
	}
	var reads []read
	call, known := map[int]time.Duration{}, map[string]time.Duration{}
	learn := func(e string, at time.Duration) {
		if before, ok := known[e]; !ok || at < before {
			known[e] = at
		}
	}
	for _, op := range h {
		switch {
		case op.Kind == harness.Invoke:
			call[op.Process] = op.Time
		case op.Kind == harness.OK && op.F == harness.Add:
			learn(op.Element, op.Time)
		case op.Kind == harness.OK:
			reads = append(reads, read{call[op.Process], elementsShown(op.Siblings)})
			for _, e := range elementsShown(op.Siblings) {
				learn(e, op.Time)
			}
		}
	}
	for e, at := range known {
		if slices.ContainsFunc(reads, func(r read) bool {
			return r.call > at && !slices.Contains(r.shown, e) &&
				!slices.ContainsFunc(reads, func(o read) bool { return o.call > r.call && slices.Contains(o.shown, e) })
		}) {
			lost = append(lost, e)
		}
	}
	return lost
}

func TestFastAndSlowJudgesOfSetsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 14))
	seen := map[bool]int{}
	n := fuzzHistories(t)
	for range n {
		h := randomSets(r)
		want := len(lostElements(h))
		if f := Set().Check(t.Context(), h); f.Counts[LostElement] != want || f.Counts[PhantomElement]+f.Counts[FutureElement] > 0 {
			t.Fatalf("want %d lost: %s\n%+v", want, f.Summary, h)
		}
		seen[want == 0]++
	}
	if seen[true] < n/20 || seen[false] < n/20 {
		t.Errorf("the histories are one-sided: %v", seen)
	}
}
