package mutation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cartwheel/harness"
)

// Control is the Trial.Mutant of the unmutated store.
const Control = "control"

// A Trial is one run of a suite, of a mutant or of the control.
type Trial struct {
	Mutant   string // its id, or Control
	Overlay  string // for "go build -overlay"; empty for the control
	Workload string
	Nemesis  string
	Seed     uint64
}

// Options of Run.
type Options struct {
	Root    string   // the module's; required
	Dir     string   // where overlays are written; required
	Mutants []Mutant // which to plant; required
	Seed    uint64   // the first seed; the n-th run of every mutant takes Seed+n
	// Try does one trial. An error means that there was no verdict. Required.
	Try func(ctx context.Context, t Trial) (harness.Result, error)
	// Limit is the longest that one trial may take; default 10m.
	Limit time.Duration
}

// Progress is told of each trial when it has ended.
type Progress func(t Trial, a Attempt)

// Run plants each mutant until it is killed or its seeds are used up, then runs the
// control through all that the mutants went through. When ctx ends, or a mutant is
// stale, it returns what it has together with the error.
func Run(ctx context.Context, o Options, progress Progress) (Matrix, error) {
	if o.Limit == 0 {
		o.Limit = 10 * time.Minute
	}
	if progress == nil {
		progress = func(Trial, Attempt) {}
	}
	var x Matrix
	overlays := make([]string, len(o.Mutants))
	for i, m := range o.Mutants { // all, before the first run is paid for
		var err error
		if overlays[i], err = Apply(o.Root, m, o.Dir); err != nil {
			return x, err
		}
	}
	for i, m := range o.Mutants {
		row := Row{Mutant: m}
		for n := range uint64(m.Seeds) {
			t := Trial{m.ID, overlays[i], m.Workload, m.Nemesis, o.Seed + n}
			a := o.attempt(ctx, t)
			a.Killed = a.Error == "" && kills(a.Findings, m)
			if row.Attempts = append(row.Attempts, a); ctx.Err() == nil {
				progress(t, a)
			}
			if row.Killed = a.Killed; row.Killed || ctx.Err() != nil {
				break
			}
		}
		x.Mutants = append(x.Mutants, row)
		if err := ctx.Err(); err != nil {
			return x, fmt.Errorf("mutant %s: %w", m.ID, err)
		}
	}
	return o.control(ctx, x, progress)
}

// control repeats the mutants' runs with the store as it is, each once.
func (o Options) control(ctx context.Context, x Matrix, progress Progress) (Matrix, error) {
	done := map[Trial]bool{}
	for _, row := range x.Mutants {
		for _, a := range row.Attempts {
			t := Trial{Control, "", row.Mutant.Workload, row.Mutant.Nemesis, a.Seed}
			if done[t] {
				continue
			}
			done[t] = true
			c := o.attempt(ctx, t)
			if err := ctx.Err(); err != nil {
				return x, fmt.Errorf("control: %w", err)
			}
			x.Control = append(x.Control, ControlRun{t.Workload, t.Nemesis, c})
			progress(t, c)
		}
	}
	return x, nil
}

func (o Options) attempt(ctx context.Context, t Trial) Attempt {
	ctx, cancel := context.WithTimeoutCause(ctx, o.Limit, fmt.Errorf("no verdict within %v", o.Limit))
	defer cancel()
	began := time.Now()
	res, err := o.Try(ctx, t)
	a := Attempt{
		Seed: t.Seed, Verdict: res.Verdict, Findings: reported(res.Findings),
		Dir: res.Dir, Took: time.Since(began).Round(time.Millisecond),
	}
	if len(res.Reasons) > 0 {
		a.Reason = res.Reasons[0]
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // a verdict of a run that was cut short is none
	}
	if err == nil && res.Verdict == "" {
		err = errors.New("the run ended without a verdict")
	}
	if err != nil {
		a.Verdict, a.Error = harness.Unknown, err.Error()
	}
	return a
}

// kills reports whether the checker that a mutant names has reported the kind it names.
func kills(reports []Report, m Mutant) bool {
	for _, r := range reports {
		if r.Checker == m.Checker && r.Kind == m.Kind && r.Count > 0 {
			return true
		}
	}
	return false
}
