package suite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim"
	"cartwheel/harness/report"
	"cartwheel/harness/shrink"
	"cartwheel/harness/shrink/trial"
)

// seedsMax is how many seeds of the simulation are tried for a run of another world,
// whose timing no seed repeats.
const seedsMax = 20

// A Shrinking says how a stored run is made smaller.
type Shrinking struct {
	Path     string                // the run's folder
	Anomaly  string                // kind of anomaly to keep; default: the first that is reported
	Budget   time.Duration         // real time for the search; 0: the run is played again as it is
	Results  string                // folder for results
	Flags    string                // of the command line that plays the result again, such as the bug to plant
	Progress func(shrink.Progress) // optional
	Note     func(text string)     // optional
}

// A Shrunk is what came of it.
type Shrunk struct {
	Checker string // that reports ...
	Kind    string // ... this kind of anomaly
	From    shrink.Size
	Outcome shrink.Outcome
	Result  harness.Result // of the smallest case, as a run of its own
}

// Shrink makes a stored run smaller as long as it shows the same anomaly, on the
// simulated cluster (a run of sim-grpc in that tier), and writes the smallest as a run of its own. An error that is
// [shrink.ErrNotShown] means that the simulation does not show it at all; ErrKnobs, that
// there is nothing to make smaller. When ctx ends, the smallest so far is written.
func Shrink(ctx context.Context, s Shrinking) (Shrunk, error) {
	stored, h, err := Judge(ctx, s.Path, "", time.Minute)
	if err != nil {
		return Shrunk{}, err
	}
	var out Shrunk
	if out.Checker, out.Kind, err = reported(stored, s.Anomaly); err != nil {
		return out, err
	}
	c, ok, err := trial.Load(stored.Dir)
	if err == nil && !ok {
		c, err = trial.From(stored.Plan, h)
	}
	if err != nil {
		return out, fmt.Errorf("%w: %w", ErrKnobs, err)
	}
	out.From = c.Size()
	t, err := trialOf(stored.Plan, out.Checker, out.Kind)
	if err != nil {
		return out, err
	}
	s.note("%s reports %s: %s, in the %s world", out.Checker, out.Kind, out.From, stored.Plan.World)
	if out.Outcome, err = s.search(ctx, t, stored.Plan.World, c); err != nil {
		return out, err
	}
	// What was found by an interrupted search is worth its folder, too.
	out.Result, err = t.Record(context.WithoutCancel(ctx), out.Outcome.Case, s.Results, report.Write, s.repeat)
	if err == nil && !trial.Shows(out.Result, out.Checker, out.Kind) {
		err = fmt.Errorf("play the shrunk case once more: %w: the simulation does not repeat itself", shrink.ErrNotShown)
	}
	return out, err
}

func (s Shrinking) note(format string, args ...any) {
	if s.Note != nil {
		s.Note(fmt.Sprintf(format, args...))
	}
}

// repeat is the command line that plays a shrunk run again.
func (s Shrinking) repeat(dir string) string {
	words := []string{"bin/cartwheel", "shrink", "--budget", "0s"}
	if s.Flags != "" {
		words = append(words, s.Flags)
	}
	return strings.Join(append(words, quoted(dir)), " ")
}

// reported finds the anomaly to keep: a checker and what kind it reports.
func reported(res harness.Result, kind string) (checker, found string, err error) {
	var kinds []string
	for _, f := range res.Findings {
		if f.Verdict != harness.Invalid {
			continue
		}
		for _, a := range f.Anomalies {
			if kind == "" || a.Kind == kind {
				return f.Checker, a.Kind, nil
			}
			kinds = append(kinds, a.Kind)
		}
	}
	if len(kinds) > 0 {
		return "", "", fmt.Errorf("%w: the run has no anomaly %q, only %s", ErrKnobs, kind, strings.Join(kinds, ", "))
	}
	return "", "", fmt.Errorf("%w: the run has no anomaly to keep: it is %s", ErrKnobs, res.Verdict)
}

// trialOf makes a trial of a run's workload, nemesis and consistency knobs.
func trialOf(p harness.Plan, checker, kind string) (*trial.Trial, error) {
	w, err := Workload(p.Workload)
	if err != nil {
		return nil, err
	}
	w.Store = p.Store
	if w.Read != p.Read || w.Write != p.Write {
		w.Read, w.Write = p.Read, p.Write
		w.Invoke = func(ctx context.Context, c harness.Client, op harness.Op) harness.Op {
			return harness.Perform(ctx, c, op, p.Read, p.Write)
		}
	}
	if _, err := Nemesis(p.Nemesis); err != nil {
		return nil, err
	}
	t, err := trial.New(trial.Options{
		Suite:    strings.TrimSuffix(p.Suite, shrunkSuffix) + shrunkSuffix,
		Workload: w,
		Nemesis: func() harness.Nemesis {
			n, _ := Nemesis(p.Nemesis) // it was found above
			return n
		},
		GRPC: p.World == sim.WorldGRPC, Checker: checker, Kind: kind,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKnobs, err)
	}
	return t, nil
}

// shrunkSuffix names the suite of a shrunk run after that of the run it comes from.
const shrunkSuffix = "-shrunk"

// search plays the case as it is, then looks for a smaller one.
func (s Shrinking) search(ctx context.Context, t *trial.Trial, world string, c shrink.Case) (shrink.Outcome, error) {
	c, tries, err := s.shown(ctx, t, world, c)
	if err != nil || s.Budget <= 0 {
		return shrink.Outcome{Case: c, Tries: tries}, err
	}
	limited, cancel := context.WithTimeout(ctx, s.Budget)
	defer cancel()
	out, err := shrink.Shrink(limited, c, shrink.Options{Judge: t.Judge, Progress: s.Progress})
	if limited.Err() != nil && out.Tries == 0 { // c was shown before
		err = nil
	}
	if errors.Is(err, trial.ErrHang) && out.Tries > 0 {
		s.note("%v: the search ends here", err)
		err = nil
	}
	out.Tries += tries
	return out, err
}

// shown finds a seed with which the simulation shows the anomaly: the case's own, or for
// a run of another world one of a few.
func (s Shrinking) shown(ctx context.Context, t *trial.Trial, world string, c shrink.Case) (shrink.Case, int, error) {
	seeds := 1
	if !Exact(world) {
		seeds = seedsMax
	}
	var last error
	for i := range seeds {
		shows, err := t.Judge(ctx, c)
		switch {
		case err != nil:
			return c, i, fmt.Errorf("play the run again: %w", err)
		case shows:
			if !Exact(world) {
				s.note("the simulation shows it with seed %d", c.Seed)
			}
			return c, i + 1, nil
		}
		if t.Last() != nil {
			last = fmt.Errorf("; the last run went wrong: %w", t.Last())
		}
		c.Seed++
	}
	why := "the same run in the simulation is another one"
	if !Exact(world) {
		why = fmt.Sprintf("the run is of the %s world, and %d seeds of the simulation with the same faults and operations do not show it", world, seeds)
	}
	if last == nil {
		return c, seeds, fmt.Errorf("%w: %s", shrink.ErrNotShown, why)
	}
	return c, seeds, fmt.Errorf("%w: %s%w", shrink.ErrNotShown, why, last)
}
