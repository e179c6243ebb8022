package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cartwheel/harness"
	"cartwheel/harness/mutation"
	"cartwheel/harness/suite"
)

func (a *app) mutantsCommand() *cobra.Command {
	g := gate{app: a}
	var results, resume, document string
	var first bool
	budget := budget{}
	c := &cobra.Command{
		Use:   "mutants [ID...]",
		Short: "Plant bugs in the store, one at a time, and demand that each is found",
		Long: `Builds the store with each bug of the catalogue (or those named) and runs the workload and
nemesis that the bug names, with one seed after the other, until the checker that it names
reports the kind of anomaly that it names. A crash, a time-out or another finding does not
count. The store as it is then goes through the same runs and must stay valid.

In containers only those bugs are hunted that are marked for it, unless others are named.
The matrix is saved after every run; --resume goes on with it.

Exit codes: 0 every bug was found and the control is valid, 1 a bug survived or the control was
found invalid, 2 a verdict on the control is missing.`,
		Example: `  cartwheel mutants --gate                      # those of every CI run, in simulation
  cartwheel mutants M48 M14 --budget 20x60s
  cartwheel mutants --cluster docker
  cartwheel mutants --control 1000 --document docs/DETECTION.md
  cartwheel mutants --resume results/20260101T000000Z-mutants`,
		RunE: func(c *cobra.Command, ids []string) error {
			chosen, err := choose(ids, first, g.cluster)
			if err != nil {
				return err
			}
			if document != "" && g.cluster != "sim" {
				return fmt.Errorf("%w: --document publishes hunts in simulation", errUsage)
			}
			g.budget = budget.orDefault(g.cluster)
			if g.results = resume; resume == "" {
				g.results = filepath.Join(results, time.Now().UTC().Format("20060102T150405Z")+"-mutants")
			}
			if err := g.run(c.Context(), chosen, resume != ""); err != nil {
				return err
			}
			if document == "" {
				return nil
			}
			return g.document(document, len(ids) > 0 || first)
		},
	}
	f := c.Flags()
	f.StringVar(&g.cluster, "cluster", "sim", "where the store runs: "+strings.Join(suite.Clusters(), ", "))
	f.Var(&budget, "budget", "runs of each bug x length of each load (default: 10x60s in simulation, 5x30s in containers)")
	f.Uint64Var(&g.seed, "seed", 1, "of the first run of each bug; the next one takes the next seed")
	f.IntVar(&g.control, "control", 0, "at least so many runs of the store as it is")
	f.IntVar(&g.workers, "workers", 0, "runs at a time in simulation (default: one a core)")
	f.BoolVar(&first, "gate", false, "only the bugs of the first gate")
	f.StringVar(&results, "results", "results", "folder for results")
	f.StringVar(&resume, "resume", "", "folder of a hunt that was cut short: what it knows is not tried again")
	f.StringVar(&document, "document", "", "write the table for people to this file, and the matrix beside the catalogue; bugs that were not hunted keep their rows")
	f.BoolVar(&g.verbose, "verbose", false, "show what the harness logs")
	return c
}

// A budget is how much is tried before a mutant counts as a survivor. It is a flag.
type budget struct {
	runs int
	time time.Duration // of each load
}

func (b *budget) String() string {
	if *b == (budget{}) {
		return ""
	}
	return fmt.Sprintf("%dx%v", b.runs, b.time)
}

func (b *budget) Type() string { return "RUNSxTIME" }

func (b *budget) Set(s string) error {
	runs, length, _ := strings.Cut(s, "x")
	n, err1 := strconv.Atoi(runs)
	d, err2 := time.ParseDuration(length)
	if err1 != nil || err2 != nil || n < 1 || d <= 0 {
		return fmt.Errorf("want runs x time, for example 10x60s")
	}
	*b = budget{n, d}
	return nil
}

func (b *budget) orDefault(cluster string) budget {
	switch {
	case *b != budget{}:
		return *b
	case cluster == "sim":
		return budget{10, time.Minute}
	}
	return budget{5, 30 * time.Second}
}

// choose finds mutants by their ids. If none are named: those of the first gate if only
// they are wanted, those marked for it in containers, else all.
func choose(ids []string, gate bool, cluster string) ([]mutation.Mutant, error) {
	all, err := mutation.Catalogue()
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return slices.DeleteFunc(all, func(m mutation.Mutant) bool {
			return gate && !m.Gate || cluster == "docker" && !m.Docker
		}), nil
	}
	left, err := mutation.LeftOuts()
	if err != nil {
		return nil, err
	}
	var chosen []mutation.Mutant
	var errs []error
	for _, id := range ids {
		i := slices.IndexFunc(all, func(m mutation.Mutant) bool { return m.ID == id })
		if i >= 0 {
			chosen = append(chosen, all[i])
			continue
		}
		err := noMutant(id)
		if l := slices.IndexFunc(left, func(l mutation.LeftOut) bool { return l.ID == id }); l >= 0 {
			err = fmt.Errorf("%w: %s (%s) is left out: %s", errUsage, id, left[l].Title, left[l].Reason)
		}
		errs = append(errs, err)
	}
	return chosen, errors.Join(errs...)
}

func (g *gate) run(ctx context.Context, mutants []mutation.Mutant, resumed bool) (err error) {
	if err := g.open(ctx, "mutants"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	source, err := mutation.SourceOf(g.root)
	if err != nil {
		return err
	}
	var before mutation.Matrix
	if resumed {
		if before, err = g.before(source); err != nil {
			return err
		}
	}
	workers := 1 // pods have the machine to themselves
	if g.cluster == "sim" {
		if workers = g.workers; workers <= 0 {
			workers = runtime.NumCPU()
		}
	}
	g.app.say("SEED %d", g.seed)
	g.app.say("%d mutants, at most %d runs of %v each; results in %s", len(mutants), g.budget.runs, g.budget.time, g.results)
	x, err := mutation.Run(ctx, mutation.Options{
		Root: g.root, Dir: g.dir, Mutants: mutants, Seed: g.seed, Runs: g.budget.runs, Workers: workers,
		Control: g.control, Before: before, Try: g.try, Limit: g.budget.time + 8*time.Minute,
	}, func(x mutation.Matrix, t mutation.Trial, a mutation.Attempt) {
		g.tell(t, a)
		g.unsaved = errors.Join(g.unsaved, g.save(g.stamp(x, source)))
	})
	if len(x.Mutants) == 0 {
		return err
	}
	g.matrix = g.stamp(x, source)
	if g.app.verdict = x.Verdict(); ctx.Err() != nil {
		g.app.verdict = harness.Unknown // what has not run has neither survived nor been found
	}
	return errors.Join(err, g.unsaved, x.WriteText(g.app.out), g.save(g.matrix))
}
