package checker

import (
	"math/rand/v2"
	"slices"
	"testing"

	"cartwheel/harness"
)

// width is the greatest number of writes that can stand beside each other in an answer,
// found by trying every set: called by its end and superseded neither by each other nor
// by anything that it shows.
func (ref *reference) width(get int) int {
	shown := ref.h[ref.done[get]].Siblings
	var writes []string
	for value, i := range ref.by {
		covered := slices.ContainsFunc(shown, func(s harness.Sibling) bool { return ref.past[s.Value][value] })
		if ref.h[i].Key == ref.h[get].Key && i < ref.done[get] && !covered {
			writes = append(writes, value)
		}
	}
	most := 0
	for set := range 1 << len(writes) {
		var chosen []string
		for i, w := range writes {
			if set&(1<<i) != 0 {
				chosen = append(chosen, w)
			}
		}
		if len(chosen) > most && !slices.ContainsFunc(chosen, func(a string) bool {
			return slices.ContainsFunc(chosen, func(b string) bool { return ref.past[a][b] })
		}) {
			most = len(chosen)
		}
	}
	return most
}

// TestFastAndSlowJudgesOfCrowdsAgree compares the bound of siblings with the widest set of
// concurrent writes. The chains may be more than that, so the bound may be too kind,
// but never too strict; and it is mostly exact.
func TestFastAndSlowJudgesOfCrowdsAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 13))
	right, kind, within := 0, 0, 0
	n := fuzzHistories(t) / 4
	for range n {
		h := randomSiblings(r, 4+r.IntN(7))
		swell(r, h)
		x, err := newIndex(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		ref := newReference(h)
		for _, k := range x.keys {
			for i := range k.answers {
				a := &k.answers[i]
				if !a.client() || k.strange > 0 {
					continue
				}
				shown, bound := k.crowded(a)
				want := len(h[a.done].Siblings) > ref.width(int(a.inv))
				switch {
				case shown > bound && !want:
					t.Fatalf("%d siblings are called more than %d, but %d fit\n%s", shown, bound, ref.width(int(a.inv)), told(h))
				case shown > bound:
					right++
				case want:
					kind++
				default:
					within++
				}
			}
		}
	}
	if right < n/20 || within < n || kind > right/3 {
		t.Errorf("%d answers found with too many siblings, %d missed, %d right", right, kind, within)
	}
	t.Logf("%d answers found with too many siblings, %d missed, %d right", right, kind, within)
}

// swell shows some older values again, in answers whose contexts nobody can use then.
func swell(r *rand.Rand, h []harness.Op) {
	for i := range h {
		if h[i].F != harness.Get || h[i].Kind != harness.OK || r.IntN(3) > 0 {
			continue
		}
		h[i].Token = nil
		for _, op := range h[:i] {
			if op.F == harness.Put && op.Kind == harness.Invoke && op.Key == h[i].Key && r.IntN(2) == 0 {
				h[i].Siblings = append(slices.Clone(h[i].Siblings), harness.Sibling{Value: op.Value})
			}
		}
	}
}
