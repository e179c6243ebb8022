package checker

import (
	"testing"

	"cartwheel/harness"
)

func TestAContextOfAnotherKeyMustBeRefused(t *testing.T) {
	put := func(i int, kind harness.Kind, key, past, token string) harness.Op {
		return harness.Op{Index: i, Kind: kind, F: harness.Put, Key: key, Context: []byte(past), Token: []byte(token)}
	}
	before := []harness.Op{put(0, harness.Invoke, "a", "", ""), put(1, harness.OK, "a", "", "of a")}
	for _, c := range []struct {
		name string
		op   harness.Op
		want harness.Verdict
	}{
		{name: "its own", op: put(3, harness.OK, "a", "of a", "of a too"), want: harness.Valid},
		{name: "refused", op: put(3, harness.Fail, "b", "of a", ""), want: harness.Valid},
		{name: "of unknown fate", op: put(3, harness.Info, "b", "of a", ""), want: harness.Valid},
		{name: "never issued", op: put(3, harness.OK, "b", "of c", "of b"), want: harness.Valid},
		{name: "taken", op: put(3, harness.OK, "b", "of a", "of b"), want: harness.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Contexts().Check(t.Context(), append(before[:2:2], c.op))
			if f.Verdict != c.want || (c.want == harness.Invalid) != (f.Counts[ForeignContext] == 1) {
				t.Errorf("got %s: %s, want %s", f.Verdict, f.Summary, c.want)
			}
		})
	}
}
