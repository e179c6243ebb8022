package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"cartwheel/harness"
	"cartwheel/harness/anomaly"
	"cartwheel/harness/suite"
	"cartwheel/nemesis/schedule"
)

// A lab plays known anomalies.
type lab struct {
	gate  // builds and runs
	runs  int
	plans []anomaly.Scenario

	mu       sync.Mutex
	outcomes [][]anomaly.Outcome // by scenario; guarded by mu
}

func (a *app) anomalyCommand() *cobra.Command {
	l := &lab{gate: gate{app: a, cluster: "sim"}}
	var results string
	c := &cobra.Command{
		Use:   "anomaly [KA-ID...]",
		Short: "Repeat published anomalies of Dynamo-like stores",
		Long: `Plays experiments whose outcome was published (or those named) and prints the figures of the
field beside the published ones. What is known to go wrong must go wrong, and what is known
to be safe must stay so: a surprise either way is a failure.

Everything is played on the simulated cluster. What goes wrong only in a store with a
certain bug is played with that bug planted.`,
		Example: `  cartwheel anomaly
  cartwheel anomaly KA-05 --runs 20`,
		RunE: func(c *cobra.Command, ids []string) error {
			all := anomaly.Catalogue()
			for _, s := range all {
				if len(ids) == 0 || slices.Contains(ids, s.ID) {
					l.plans = append(l.plans, s)
				}
			}
			for _, id := range ids {
				if !slices.ContainsFunc(all, func(s anomaly.Scenario) bool { return s.ID == id }) {
					return fmt.Errorf("%w: there is no scenario %q, only %s", errUsage, id, strings.Join(known(all), ", "))
				}
			}
			if l.runs < 1 {
				return fmt.Errorf("%w: --runs %d: must be positive", errUsage, l.runs)
			}
			l.results = filepath.Join(results, time.Now().UTC().Format("20060102T150405Z")+"-anomalies")
			return l.play(c.Context())
		},
	}
	f := c.Flags()
	f.IntVar(&l.runs, "runs", 3, "of each scenario, each with a seed of its own")
	f.Uint64Var(&l.seed, "seed", 1, "of the first run")
	f.DurationVar(&l.budget.time, "time", time.Minute, "length of each load")
	f.StringVar(&results, "results", "results", "folder for results")
	return c
}

// known lists the ids there are, each once.
func known(all []anomaly.Scenario) []string {
	var ids []string
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	return slices.Compact(ids)
}

func (l *lab) play(ctx context.Context) (err error) {
	if err := l.open(ctx, "anomalies"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	l.outcomes = make([][]anomaly.Outcome, len(l.plans))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for i := range l.plans {
		for n := range l.runs {
			g.Go(func() error { return l.run(gctx, i, l.seed+uint64(n)) })
		}
	}
	err = g.Wait()
	l.app.verdict = harness.Valid
	for _, outcomes := range l.outcomes {
		for _, o := range outcomes {
			if len(o.Misses) > 0 {
				l.app.verdict = harness.Invalid
			}
		}
	}
	if err != nil {
		l.app.verdict = harness.Unknown
	}
	return errors.Join(err, l.print())
}

// run plays one scenario once.
func (l *lab) run(ctx context.Context, i int, seed uint64) error {
	s := l.plans[i]
	k := suite.Knobs{
		Suite: s.ID, Workload: s.Workload, Nemesis: s.Nemesis, Cluster: l.cluster, Seed: seed, Time: l.budget.time, R: s.R, W: s.W, Quorum: s.Quorum,
		Durability: s.Durability, FlushAfter: s.FlushAfter, NoAntiEntropy: s.NoAntiEntropy, HintBytes: s.HintBytes,
		Results: filepath.Join(l.results, fmt.Sprintf("%s-%d-%d", s.ID, i, seed)),
	}
	if err := os.MkdirAll(k.Results, 0o755); err != nil {
		return fmt.Errorf("results: %w", err)
	}
	var err error
	if k.Schedule, err = l.schedule(s, k.Results); err != nil {
		return err
	}
	if k.Overlay, err = l.overlay(s.Mutant); err != nil {
		return err
	}
	res, err := l.elsewhere(ctx, k)
	if err != nil {
		return fmt.Errorf("%s, seed %d: %w", s.ID, seed, err)
	}
	o := s.Judge(res)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes[i] = append(l.outcomes[i], o)
	slices.SortFunc(l.outcomes[i], func(a, b anomaly.Outcome) int { return cmp.Compare(a.Seed, b.Seed) })
	l.app.say("%-6s seed %d: %s", s.ID, seed, saidOf(o))
	if len(o.Misses) == 0 {
		return os.RemoveAll(k.Results) // a run of one set is tens of megabytes
	}
	return nil
}

// schedule writes the scenario's faults to a file, if it brings its own.
func (l *lab) schedule(s anomaly.Scenario, dir string) (string, error) {
	faults := s.Schedule(suite.Nodes(5), l.budget.time)
	if faults == nil {
		return "", nil
	}
	text, err := schedule.Encode(faults)
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "faults.json")
	return name, os.WriteFile(name, text, 0o644)
}

// overlay is the planted bug that a scenario needs, if any; the same file for the same bug.
func (l *lab) overlay(id string) (string, error) {
	if id == "" {
		return "", nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return planting{mutant: id}.file(l.root, l.dir)
}

func saidOf(o anomaly.Outcome) string {
	if len(o.Misses) == 0 {
		return "as published"
	}
	return strings.Join(o.Misses, "; ")
}

// print writes the figures that the field quotes of such runs.
func (l *lab) print() error {
	for i, s := range l.plans {
		if len(l.outcomes[i]) == 0 {
			continue
		}
		with := ""
		if s.Mutant != "" {
			with = ", bug " + s.Mutant + " planted"
		}
		l.app.tell("\n%s  %s\n  workload %s, nemesis %s%s", s.ID, s.Title, s.Workload, s.Nemesis, with)
		l.app.tell("  published: %s", s.Published)
		w := tabwriter.NewWriter(l.app.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "  seed\tattempted\tacknowledged\tsurvivors\tlost\tloss\tunacknowledged but found\tmost siblings\t")
		for _, o := range l.outcomes[i] {
			f := o.Figures
			fmt.Fprintf(w, "  %d\t%d\t%d\t%d\t%d\t%.1f %%\t%d\t%d\t%s\n", o.Seed, f.Attempted, f.Acknowledged, f.Survivors, f.Lost,
				100*f.LossRate(), f.Recovered, f.Siblings, saidOf(o))
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("print figures: %w", err)
		}
	}
	return nil
}
