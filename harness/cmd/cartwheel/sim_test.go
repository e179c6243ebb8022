package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/seeds"
)

// beCartwheel makes this test binary the program: a search starts itself as its workers.
const beCartwheel = "CARTWHEEL_TEST_BE_CARTWHEEL"

func TestMain(m *testing.M) {
	if os.Getenv(beCartwheel) != "" || len(os.Args) == 2 && os.Args[1] == searchName {
		main()
	}
	os.Exit(m.Run())
}

func TestASearchRunsItsSeedsAndSumsUp(t *testing.T) {
	t.Setenv(beCartwheel, "1")
	code, out, stderr := cartwheel(nil, "sim", "--seeds", "4", "--time", "20s", "--rate", "60", "--nemesis", "partition", "--workers", "2", "--allow-unknown")
	if code != exitValid || !strings.Contains(out, "VALID: 4 seeds") || !strings.Contains(out, "figure sim_seeds_per_minute ") {
		t.Errorf("got exit code %d; output:\n%s\n%s", code, out, stderr)
	}
}

// The weak register must be found out, and the seed be named that does it.
func TestASearchEndsAtAFailureThatCanBeRepeated(t *testing.T) {
	t.Setenv(beCartwheel, "1")
	args := []string{"--workload", "register-weak", "--nemesis", "partition", "--time", "20s"}
	code, out, stderr := cartwheel(nil, append([]string{"sim", "--seeds", "40", "--rate", "100", "--workers", "1", "--first", "7"}, args...)...)
	if code != exitInvalid || !strings.Contains(out, "INVALID: ") || !strings.Contains(out, "not-linearizable") {
		t.Fatalf("got exit code %d; output:\n%s\n%s", code, out, stderr)
	}
	_, repeat, found := strings.Cut(out, "repeat with: bin/cartwheel ")
	repeat, _, _ = strings.Cut(repeat, "\n")
	if !found {
		t.Fatalf("it does not say how to repeat it:\n%s", out)
	}
	if code, out, stderr := cartwheel(nil, append(strings.Fields(repeat), "--results", t.TempDir())...); code != exitInvalid {
		t.Errorf("%s: got exit code %d:\n%s\n%s", repeat, code, out, stderr)
	}
}

func TestASearchForNothingIsAUsageError(t *testing.T) {
	for _, args := range [][]string{{"--seeds", "0"}, {"--workload", "nonsense"}, {"--nemesis", "nonsense"}, {"extra"}} {
		if code, out, stderr := cartwheel(nil, append([]string{"sim"}, args...)...); code != exitUsage {
			t.Errorf("%v: got exit code %d:\n%s\n%s", args, code, out, stderr)
		}
	}
}

func TestATallyIsAsBadAsItsSeeds(t *testing.T) {
	report := func(v harness.Verdict) seeds.Report {
		return seeds.Report{Sum: 1, Data: []byte(`{"verdict":"` + string(v) + `","reasons":["because"]}`)}
	}
	valid := seeds.Outcome{End: seeds.Passed, Report: report(harness.Valid), Took: time.Second}
	unknown := seeds.Outcome{End: seeds.Passed, Report: report(harness.Unknown)}
	for _, c := range []struct {
		name     string
		outcomes []seeds.Outcome
		want     harness.Verdict
		says     string // of the last
	}{
		{"nothing", nil, harness.Unknown, ""},
		{"valid", []seeds.Outcome{valid}, harness.Valid, ""},
		{"unknown only", []seeds.Outcome{unknown, unknown}, harness.Unknown, "UNKNOWN: because"},
		{"some unknown", []seeds.Outcome{valid, valid, unknown}, harness.Unknown, "UNKNOWN: because"},
		{"some unknown, last valid", []seeds.Outcome{unknown, valid}, harness.Unknown, ""},
		{"invalid", []seeds.Outcome{valid, {End: seeds.Failed, Report: report(harness.Invalid)}}, harness.Invalid, "INVALID: because"},
		{"not run", []seeds.Outcome{{End: seeds.Failed, Report: seeds.Report{Error: "ouch"}}}, harness.Invalid, "COULD NOT BE RUN: ouch"},
		{"invalid and diverged", []seeds.Outcome{{End: seeds.Failed, Differs: true, Report: report(harness.Invalid), Again: &seeds.Report{Sum: 2}}}, harness.Invalid, "INVALID: because\n  DIVERGED: it ran twice and gave 1, then 2"},
		{"invalid, then crashed", []seeds.Outcome{{End: seeds.Failed, Differs: true, Report: report(harness.Invalid)}}, harness.Invalid, "INVALID: because\n  DIVERGED"},
		{"crashed", []seeds.Outcome{valid, {End: seeds.Crashed, Stderr: "panic: ouch"}}, harness.Invalid, "CRASHED:\n  panic: ouch"},
		{"hung", []seeds.Outcome{{End: seeds.Hung, Stderr: strings.Repeat("x\n", 99)}}, harness.Invalid, "HUNG:\n  x"},
		{"diverged", []seeds.Outcome{valid, {End: seeds.Diverged, Differs: true, Report: report(harness.Valid), Again: &seeds.Report{Sum: 2}}}, harness.Unknown, "gave 1, then 2"},
	} {
		tl := tally{verdicts: map[harness.Verdict]int{}}
		said := ""
		for _, o := range c.outcomes {
			tl.add(o)
			said = tl.remark(o)
		}
		if got := tl.verdict(nil); got != c.want || !strings.Contains(said, c.says) || (said == "") != (c.says == "") {
			t.Errorf("%s: got %s and %q, want %s and %q", c.name, got, said, c.want, c.says)
		}
	}
}

func TestUnknownSeedsMayBeAllowedButNotAlone(t *testing.T) {
	unknown := seeds.Outcome{End: seeds.Passed, Report: seeds.Report{Data: []byte(`{"verdict":"unknown"}`)}}
	valid := seeds.Outcome{End: seeds.Passed, Report: seeds.Report{Data: []byte(`{"verdict":"valid"}`)}}
	tl := tally{verdicts: map[harness.Verdict]int{}, unknownOK: true}
	tl.add(unknown)
	if got := tl.verdict(nil); got != harness.Unknown {
		t.Errorf("one unknown seed alone: got %s", got)
	}
	tl.add(valid)
	if got := tl.verdict(nil); got != harness.Valid {
		t.Errorf("an unknown and a valid one: got %s", got)
	}
}

func TestAHangShowsWhoWaitsForAMutex(t *testing.T) {
	const idle, stuck = "goroutine 1 [select, synctest bubble 1]:\nidle()", "goroutine 2 gp=0x1 [sync.Mutex.Lock, synctest bubble 1]:\nstuck()"
	for in, want := range map[string]string{
		"SIGQUIT: quit\n\n" + idle + "\n\n" + stuck + "\n\n" + idle: stuck,
		"SIGQUIT: quit\n\n" + idle:                                  "SIGQUIT: quit\n\n" + idle,
		"panic: in a Mutex.":                                        "panic: in a Mutex.",
	} {
		if got := culprits(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What a short seed cannot show by itself, the search must show.
func TestRequiredEventsAreRequiredOfTheSearch(t *testing.T) {
	outcome := func(text string) seeds.Outcome {
		return seeds.Outcome{End: seeds.Passed, Report: seeds.Report{Data: []byte(text)}}
	}
	thin := outcome(`{"verdict":"unknown","reasons":["it never happened"],"thin":true,"missing":["cart: hinted"]}`)
	full := outcome(`{"verdict":"valid","seen":["cart: hinted"]}`)
	other := outcome(`{"verdict":"valid","seen":["register: repaired"]}`)
	for _, c := range []struct {
		name     string
		outcomes []seeds.Outcome
		want     harness.Verdict
		never    int
	}{
		{"one lacks what another shows", []seeds.Outcome{thin, full}, harness.Valid, 0},
		{"nobody shows it", []seeds.Outcome{thin, other}, harness.Unknown, 1},
		{"alone", []seeds.Outcome{thin}, harness.Unknown, 1},
	} {
		tl := tally{verdicts: map[harness.Verdict]int{}}
		for _, o := range c.outcomes {
			tl.add(o)
			if said := tl.remark(o); said != "" {
				t.Errorf("%s: said %q", c.name, said)
			}
		}
		if got := tl.verdict(nil); got != c.want || len(tl.never()) != c.never {
			t.Errorf("%s: got %s, %v never; want %s, %d", c.name, got, tl.never(), c.want, c.never)
		}
	}
}
