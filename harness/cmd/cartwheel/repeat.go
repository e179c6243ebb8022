package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/seeds"
	"cartwheel/harness/suite"
)

// repeat does a run several times and says how often it failed. On real machines a seed
// repeats operations and faults but not their timing, so one run proves little of a bug that
// shows itself now and then.
func (a *app) repeat(c *cobra.Command, k suite.Knobs, count int, verbose bool) error {
	if suite.Exact(k.Cluster) {
		return fmt.Errorf("%w: --count %d: on the %s cluster a seed is one history; \"cartwheel sim\" plays many seeds", errUsage, count, k.Cluster)
	}
	r := repetition{of: count}
	for r.played < count {
		a.tell("run %d of %d", r.played+1, count)
		err := a.test(c, k, verbose)
		if a.verdict == "" { // there was none: another would not fare better
			return err
		}
		r.add(a.verdict, err)
		if c.Context().Err() != nil {
			break
		}
	}
	a.verdict = harness.Worst(r.verdicts...)
	r.tell(a)
	if c.Context().Err() != nil {
		r.errs = append(r.errs, context.Cause(c.Context()))
	}
	return errors.Join(r.errs...)
}

// A repetition counts what came of runs.
type repetition struct {
	of, played int
	counts     map[harness.Verdict]int
	verdicts   []harness.Verdict
	errs       []error
}

func (r *repetition) add(v harness.Verdict, err error) {
	if r.counts == nil {
		r.counts = map[harness.Verdict]int{}
	}
	r.played++
	r.counts[v]++
	r.verdicts = append(r.verdicts, v)
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

// tell prints the rate, of the runs of which something is known, and where the true one is.
func (r *repetition) tell(a *app) {
	known := r.played - r.counts[harness.Unknown]
	failed := r.counts[harness.Invalid]
	lo, hi := seeds.Interval(failed, known)
	a.tell("%s: %d of %d runs: %d valid, %d unknown, %d invalid", strings.ToUpper(string(a.verdict)),
		r.played, r.of, r.counts[harness.Valid], r.counts[harness.Unknown], failed)
	a.tell("with 95 %% confidence, between %.1f %% and %.1f %% of such runs fail (Wilson), unknown ones left out", 100*lo, 100*hi)
	if known > 0 {
		a.tell("figure repro_rate %.4f 1", float64(failed)/float64(known))
	}
}
