package checker

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// fuzzHistories is how many random histories the judges are compared on:
// CARTWHEEL_FUZZ_CHECK, or few enough for every run of the tests.
func fuzzHistories(t *testing.T) int {
	if n, err := strconv.Atoi(os.Getenv("CARTWHEEL_FUZZ_CHECK")); err == nil {
		return n
	}
	return 20_000
}

func told(h []harness.Op) string {
	s := ""
	for _, op := range h {
		s += fmt.Sprintf("%d %d %s %s %s %s ctx=%q sees=%v\n", op.Time, op.Process, op.Kind, op.F, op.Key, op.Value, op.Context, op.Siblings)
	}
	return s
}

// TestFastAndSlowJudgesOfSiblingsAgree compares every checker of siblings with sets that
// are written out, and linearizability with Porcupine, on random and spoiled histories.
func TestFastAndSlowJudgesOfSiblingsAgree(t *testing.T) {
	kinds := make(map[string]int)
	n := fuzzHistories(t)
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 5))
		h := randomSiblings(r, 4+r.IntN(9))
		if err := history.Validate(h); err != nil {
			t.Fatal(err)
		}
		x, err := newIndex(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(x.keys, func(k *keyIndex) bool { return k.strange > 0 }) {
			kinds["a context from the future"]++
			continue // exchanged reads: nobody had been given it yet, so nothing is decided
		}
		ref := newReference(h)
		_, sane := ref.gets()
		kinds["sane "+strconv.FormatBool(sane)]++
		if f := sanity(t.Context(), x); (f.Verdict != harness.Invalid) != sane {
			t.Fatalf("seed %d: %s, want sane %t\n%s", seed, f.Summary, sane, told(h))
		}
		if !sane {
			continue // what such an answer admits to is not defined
		}
		got, want := make(map[string]int), ref.sessions()
		for _, k := range x.keys {
			con, ok := k.mvr()
			if legal := ref.linearizable(k.key); legal != (con == nil) || !ok {
				t.Fatalf("seed %d, key %s: by Porcupine linearizable: %t, by pairs: %t\n%s", seed, k.key, legal, con == nil, told(h))
			}
			kinds["linearizable "+strconv.FormatBool(con == nil)]++
			k.sessions(func(b breach) { got[b.kind]++ })
			k.stale(new(visibility), func(staleness) { got[Stale]++ })
		}
		sweep := newSweep(x)
		if err := sweep.run(t.Context(), func(missed) { got[CausalityBroken]++ }); err != nil {
			t.Fatal(err)
		}
		want[Stale], want[CausalityBroken] = ref.stale(), ref.causal()
		for _, kind := range []string{Stale, OwnWriteUnread, ReadWentBack, WriteOvertaken, ReadOvertaken, CausalityBroken} {
			if got[kind] != want[kind] {
				t.Fatalf("seed %d: %d %s, want %d\n%s", seed, got[kind], kind, want[kind], told(h))
			}
			if want[kind] > 0 {
				kinds[kind]++
			}
		}
	}
	for _, kind := range []string{
		"sane true", "sane false", "linearizable true", "linearizable false",
		Stale, OwnWriteUnread, ReadWentBack, WriteOvertaken, ReadOvertaken, CausalityBroken,
	} {
		if kinds[kind] < n/1000 {
			t.Errorf("only %d of %d histories with %s", kinds[kind], n, kind)
		}
	}
	t.Logf("%d histories: %v", n, kinds)
}
