package checker

import (
	"encoding/json"
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
