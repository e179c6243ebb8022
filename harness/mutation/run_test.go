package mutation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
)

// planted is a mutant of a file that the test writes.
func planted(id string) Mutant {
	return Mutant{
		ID: id, Title: "title " + id, Mechanism: "Mechanism of " + id + ".", Checker: "lost-writes", Kind: "lost-write",
		Workload: "cart", Nemesis: "partition", Edits: []Edit{{File: "x.go", From: "x", To: "y"}},
	}
}

func result(v harness.Verdict, checker, kind string) harness.Result {
	res := harness.Result{Verdict: v, Reasons: []string{"because of " + kind}, Dir: "results/1"}
	if checker != "" {
		res.Findings = []harness.Finding{
			{Checker: "sanity", Verdict: harness.Valid},
			{Checker: checker, Verdict: v, Anomalies: []harness.Anomaly{{Kind: kind}}},
		}
	}
	return res
}

// run plays trials by a function and returns what was tried.
func run(t *testing.T, ctx context.Context, o Options, try func(context.Context, Trial) (harness.Result, error)) (Matrix, []Trial, error) {
	t.Helper()
	root := t.TempDir()
	if err := write(root+"/x.go", []byte("x")); err != nil {
		t.Fatal(err)
	}
	var tried []Trial
	o.Root, o.Dir, o.Seed, o.Try, o.Limit = root, t.TempDir(), 7, try, time.Hour
	x, err := Run(ctx, o, func(_ Matrix, tr Trial, _ Attempt) { tried = append(tried, tr) })
	return x, tried, err
}

func valid() (harness.Result, error) { return result(harness.Valid, "", ""), nil }

func TestOnlyTheNamedKindByTheNamedCheckerKills(t *testing.T) {
	for _, c := range []struct {
		name   string
		res    harness.Result
		err    error
		killed bool
	}{
		{name: "as promised", res: result(harness.Invalid, "lost-writes", "lost-write"), killed: true},
		{name: "another kind", res: result(harness.Invalid, "lost-writes", "resurrected")},
		{name: "another checker", res: result(harness.Invalid, "elements", "lost-write")},
		{name: "survived", res: result(harness.Valid, "lost-writes", "lost-write")},
		{name: "unknown", res: result(harness.Unknown, "lost-writes", "lost-write")},
		{name: "no verdict", res: result("", "lost-writes", "lost-write")},
		{name: "crash", res: result(harness.Invalid, "lost-writes", "lost-write"), err: errors.New("the harness failed")},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, _, err := run(t, t.Context(), Options{Mutants: []Mutant{planted("M1")}}, func(_ context.Context, tr Trial) (harness.Result, error) {
				if tr.Mutant == Control {
					return valid()
				}
				return c.res, c.err
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := x.Mutants[0].Killed; got != c.killed {
				t.Errorf("killed: got %v, want %v", got, c.killed)
			}
			if want := map[bool]harness.Verdict{true: harness.Valid, false: harness.Invalid}[c.killed]; x.Verdict() != want {
				t.Errorf("verdict %s, want %s", x.Verdict(), want)
			}
		})
	}
}

// A mutant is tried until it is killed, and the control goes through the same runs once.
func TestTheControlGoesThroughEveryRunOfAMutant(t *testing.T) {
	other := planted("M3")
	other.Workload = "register"
	_, tried, err := run(t, t.Context(), Options{Mutants: []Mutant{planted("M1"), planted("M2"), other}, Runs: 3}, func(_ context.Context, tr Trial) (harness.Result, error) {
		switch {
		case (tr.Overlay == "") != (tr.Mutant == Control):
			t.Errorf("%s has overlay %q", tr.Mutant, tr.Overlay)
		case tr.Mutant == "M1" && tr.Seed == 8:
			return result(harness.Invalid, "lost-writes", "lost-write"), nil
		}
		return valid()
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, tr := range tried {
		got = append(got, tr.Mutant+" "+tr.Workload+" "+string(rune('0'+tr.Seed)))
	}
	want := []string{
		"M1 cart 7", "M1 cart 8", "M2 cart 7", "M2 cart 8", "M2 cart 9", "M3 register 7", "M3 register 8", "M3 register 9",
		"control cart 7", "control cart 8", "control cart 9", "control register 7", "control register 8", "control register 9",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A bug that only one fault is said to reveal is looked for under another, with every seed that it took to find it.
func TestABugThatShowsElsewhereSpoilsTheMatrix(t *testing.T) {
	for _, c := range []struct {
		elsewhere harness.Result
		want      harness.Verdict
	}{
		{result(harness.Valid, "", ""), harness.Valid},
		{result(harness.Invalid, "lost-writes", "lost-write"), harness.Invalid},
		{result(harness.Invalid, "convergence", "divergent"), harness.Invalid},
		{result(harness.Unknown, "", ""), harness.Invalid},
	} {
		m := planted("M1")
		m.Unseen = "pause"
		var under []string
		x, _, err := run(t, t.Context(), Options{Mutants: []Mutant{m}, Runs: 5}, func(_ context.Context, tr Trial) (harness.Result, error) {
			under = append(under, tr.Mutant+" "+tr.Nemesis+" "+string(rune('0'+tr.Seed)))
			switch {
			case tr.Nemesis == "pause":
				return c.elsewhere, nil
			case tr.Mutant == "M1" && tr.Seed == 8:
				return result(harness.Invalid, "lost-writes", "lost-write"), nil
			}
			return valid()
		})
		want := []string{"M1 partition 7", "M1 partition 8", "M1 pause 7", "M1 pause 8", "control partition 7", "control partition 8"}
		if err != nil || !slices.Equal(under, want) {
			t.Fatalf("%v: tried %q, want %q", err, under, want)
		}
		if x.Verdict() != c.want || len(x.Mutants[0].Unseen) != 2 || x.Mutants[0].Elsewhere() != (c.want != harness.Valid) {
			t.Errorf("%s elsewhere: got %s, want %s; %+v", c.elsewhere.Verdict, x.Verdict(), c.want, x.Mutants[0].Unseen)
		}
	}
}

func TestAControlThatIsNotValidSpoilsTheMatrix(t *testing.T) {
	for _, c := range []struct {
		control, want harness.Verdict
		alarms        int
	}{
		{harness.Valid, harness.Valid, 0},
		{harness.Invalid, harness.Invalid, 1},
		{harness.Unknown, harness.Unknown, 0},
	} {
		x, _, err := run(t, t.Context(), Options{Mutants: []Mutant{planted("M1")}}, func(_ context.Context, tr Trial) (harness.Result, error) {
			if tr.Mutant == Control {
				return result(c.control, "convergence", "divergent"), nil
			}
			return result(harness.Invalid, "lost-writes", "lost-write"), nil
		})
		if err != nil || x.Verdict() != c.want || x.FalseAlarms() != c.alarms {
			t.Errorf("control %s: got %s with %d false alarms, %v; want %s, %d", c.control, x.Verdict(), x.FalseAlarms(), err, c.want, c.alarms)
		}
	}
}

func TestAStaleMutantStopsEverythingBeforeTheFirstRun(t *testing.T) {
	stale := planted("M2")
	stale.Edits[0].From = "z"
	_, tried, err := run(t, t.Context(), Options{Mutants: []Mutant{planted("M1"), stale}}, func(context.Context, Trial) (harness.Result, error) { return valid() })
	if !errors.Is(err, ErrStale) || len(tried) > 0 {
		t.Errorf("got %v after %d trials, want a stale mutant after none", err, len(tried))
	}
}

func TestATrialThatNeverEndsKillsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, err := run(t, t.Context(), Options{Mutants: []Mutant{planted("M1")}}, func(ctx context.Context, tr Trial) (harness.Result, error) {
			if tr.Mutant == Control {
				return valid()
			}
			<-ctx.Done()
			return result(harness.Invalid, "lost-writes", "lost-write"), nil
		})
		if err != nil || x.Mutants[0].Killed || !strings.Contains(x.Mutants[0].Attempts[0].Error, "within 1h") {
			t.Errorf("got %+v, %v", x.Mutants, err)
		}
	})
}

func TestAMutantThatDoesNotCompileIsTriedOnce(t *testing.T) {
	x, tried, err := run(t, t.Context(), Options{Mutants: []Mutant{planted("M1")}, Runs: 5}, func(_ context.Context, tr Trial) (harness.Result, error) {
		if tr.Mutant == Control {
			return valid()
		}
		return harness.Result{}, fmt.Errorf("x.go:1: %w", ErrBuild)
	})
	if err != nil || len(tried) != 2 || x.Verdict() != harness.Invalid {
		t.Errorf("got %s after %v, %v", x.Verdict(), tried, err)
	}
}

func TestWhatIsKnownIsReturnedWhenTheCallerGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	x, tried, err := run(t, ctx, Options{Mutants: []Mutant{planted("M1"), planted("M2")}}, func(_ context.Context, tr Trial) (harness.Result, error) {
		if tr.Mutant == "M2" {
			cancel()
		}
		return result(harness.Invalid, "lost-writes", "lost-write"), nil
	})
	if !errors.Is(err, context.Canceled) || len(tried) != 1 || !x.Mutants[0].Killed || x.Mutants[1].Killed {
		t.Errorf("got %v after %v, %+v", err, tried, x)
	}
}

func TestTheMatrixIsPrintedForPeopleAndMachines(t *testing.T) {
	x := Matrix{
		Mutants: []Row{
			{Mutant: planted("M1"), Killed: true, Attempts: []Attempt{
				{Seed: 1, Verdict: harness.Valid, Length: 40 * time.Second, Took: time.Second},
				{Seed: 2, Verdict: harness.Invalid, Killed: true, Length: 40 * time.Second, Took: 2 * time.Second, Findings: []Report{{"elements", "lost-element", 2}, {"lost-writes", "lost-write", 3}}},
			}},
			{Mutant: planted("M2"), Attempts: []Attempt{{Seed: 1, Verdict: harness.Unknown, Error: "it crashed", Dir: "results/x"}}},
		},
		Control: []ControlRun{{"cart", "partition", Attempt{Seed: 1, Verdict: harness.Valid}}},
	}
	var text, data bytes.Buffer
	if err := errors.Join(x.WriteText(&text), x.WriteJSON(&data)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"MUTANT  KILLED  RUNS  LENGTH  TOOK  EXPECTED                 FIRST NOTICED                                        WHAT\n",
		"M1      yes     2     1m20s   3s    lost-writes: lost-write  elements: 2 lost-element, lost-writes: 3 lost-write  title M1\n",
		"M2      NO      1     0s      0s    lost-writes: lost-write  nobody                                               title M2\n",
		"control: 1 runs, 1 valid, 0 unknown, 0 invalid\n",
		"M2 survived: Mechanism of M2.\n  lost-writes had to report \"lost-write\".\n  seed 1: unknown: it crashed (results/x)\n",
		"figure mutants_killed_ratio 0.5 1\nfigure control_false_alarms 0 1\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	var back Matrix
	if err := json.Unmarshal(data.Bytes(), &back); err != nil || !reflect.DeepEqual(back, x) {
		t.Errorf("got %+v, %v\nwant %+v", back, err, x)
	}
}

func TestAHuntGoesOnWhereItWasCutShort(t *testing.T) {
	killer := func(_ context.Context, tr Trial) (harness.Result, error) {
		if tr.Mutant == Control {
			return valid()
		}
		return result(harness.Invalid, "lost-writes", "lost-write"), nil
	}
	other := planted("M3")
	other.Title = "as it was before"
	before := Matrix{
		Mutants: []Row{
			{Mutant: planted("M1"), Killed: true, Attempts: []Attempt{{Seed: 7, Verdict: harness.Invalid, Killed: true}}},
			{Mutant: planted("M2"), Attempts: []Attempt{{Seed: 7, Verdict: harness.Valid}, {Seed: 8, Error: "it crashed"}}},
			{Mutant: other, Killed: true, Attempts: []Attempt{{Seed: 7, Killed: true}}},
		},
		Control: []ControlRun{{"cart", "partition", Attempt{Seed: 7, Verdict: harness.Valid}}},
	}
	x, tried, err := run(t, t.Context(), Options{Mutants: []Mutant{planted("M1"), planted("M2"), planted("M3")}, Runs: 5, Before: before}, killer)
	if err != nil || x.Verdict() != harness.Valid {
		t.Fatalf("got %s, %v", x.Verdict(), err)
	}
	var got []string
	for _, tr := range tried {
		got = append(got, fmt.Sprint(tr.Mutant, " ", tr.Seed))
	}
	if want := []string{"M2 8", "M3 7", "control 8"}; !slices.Equal(got, want) {
		t.Errorf("tried %q, want %q", got, want)
	}
	if len(x.Control) != 2 || len(x.Mutants[1].Attempts) != 2 {
		t.Errorf("what was known is not in %+v", x)
	}
}

func TestTheControlMayRunMoreThanTheMutants(t *testing.T) {
	other := planted("M2")
	other.Workload = "register"
	x, _, err := run(t, t.Context(), Options{Mutants: []Mutant{planted("M1"), other}, Control: 5, Workers: 3}, func(_ context.Context, tr Trial) (harness.Result, error) {
		if tr.Mutant == Control {
			return valid()
		}
		return result(harness.Invalid, "lost-writes", "lost-write"), nil
	})
	var got []string
	for _, c := range x.Control {
		got = append(got, fmt.Sprint(c.Workload, " ", c.Attempt.Seed))
	}
	if want := []string{"cart 7", "cart 8", "cart 9", "register 7", "register 8"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

var rewrite = flag.Bool("rewrite", false, "write docs/DETECTION.md anew from the published matrix")

// The page is made from the file that is kept beside it.
func TestGoldenDetection(t *testing.T) {
	p, err := Load("../../" + PublishedFile)
	if err != nil {
		t.Fatal(err)
	}
	want, err := p.Document()
	if err != nil {
		t.Fatal(err)
	}
	const name = "../../docs/DETECTION.md"
	if *rewrite {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/DETECTION.md is not what %s gives (%v): 'make mutants-all' measures anew, 'make golden' writes it from what was measured", PublishedFile, err)
	}
}

// A hunt for a few bugs is published beside what is known of the others; what has changed
// since it was measured says so.
func TestAPartOfTheCatalogueIsPublished(t *testing.T) {
	all, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	changed, gone := all[2], planted("M0")
	changed.Title += ", as it was once"
	before := Published{
		Mutants: []Row{{Mutant: all[0], Killed: true}, {Mutant: all[1]}, {Mutant: changed}, {Mutant: gone}},
		Control: []Tally{{Workload: "cart", Nemesis: "none", Valid: 9}, {Workload: "nobody's", Nemesis: "none", Invalid: 1}},
	}
	later := Published{World: "sim", Mutants: []Row{{Mutant: all[1], Killed: true}}, Control: []Tally{{Workload: "cart", Nemesis: "none", Valid: 3}}}
	got, err := before.With(later)
	want := Published{World: "sim", Mutants: []Row{{Mutant: all[0], Killed: true}, {Mutant: all[1], Killed: true}}, Control: before.Control[:1]}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	page, err := got.Document()
	if err != nil || !bytes.Contains(page, []byte("**2 of 2 planted bugs were found.**")) || !bytes.Contains(page, fmt.Appendf(nil, "| %s | %s | %s; %s | not measured", all[2].ID, all[2].Title, all[2].Workload, all[2].Nemesis)) {
		t.Errorf("%v\n%s", err, page)
	}
}
