package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cartwheel/harness"
	"cartwheel/harness/mutation"
	"cartwheel/harness/suite"
)

// A gate is the hunt for planted bugs.
type gate struct {
	app     *app
	root    string // of the module
	dir     string // for overlays and binaries; removed in the end
	results string // of this gate: a folder a trial, and the matrix
	cluster string
	time    time.Duration
	verbose bool
	built   map[string]string // binaries for the simulation, by overlay
}

func (a *app) mutantsCommand() *cobra.Command {
	g := gate{app: a, built: map[string]string{}}
	var seed uint64
	var results string
	c := &cobra.Command{
		Use:   "mutants [ID...]",
		Short: "Plant bugs in the store, one at a time, and demand that each is found",
		Long: `Builds the store with each bug of the catalogue (or those named) and runs the workload and
nemesis that the bug names, with one seed after the other, until the checker that it names
reports the kind of anomaly that it names. A crash, a time-out or another finding does not
count. The store as it is then goes through the same runs and must stay valid.

Exit codes: 0 every bug was found and the control is valid, 1 a bug survived or the control was
found invalid, 2 a verdict on the control is missing.`,
		Example: `  cartwheel mutants
  cartwheel mutants --cluster sim M48 M14`,
		RunE: func(c *cobra.Command, ids []string) error {
			chosen, err := choose(ids)
			if err != nil {
				return err
			}
			g.results = filepath.Join(results, time.Now().UTC().Format("20060102T150405Z")+"-mutants")
			return g.run(c.Context(), chosen, seed)
		},
	}
	f := c.Flags()
	f.StringVar(&g.cluster, "cluster", "docker", "where the store runs: "+strings.Join(suite.Clusters(), ", "))
	f.DurationVar(&g.time, "time", 30*time.Second, "length of each load")
	f.Uint64Var(&seed, "seed", 1, "of the first run of each bug; the next one takes the next seed")
	f.StringVar(&results, "results", "results", "folder for results")
	f.BoolVar(&g.verbose, "verbose", false, "show what the harness logs")
	return c
}

// choose finds mutants by their ids; all if none are named.
func choose(ids []string) ([]mutation.Mutant, error) {
	all, err := mutation.Catalogue()
	if err != nil || len(ids) == 0 {
		return all, err
	}
	var chosen []mutation.Mutant
	var errs []error
	for _, id := range ids {
		i := slices.IndexFunc(all, func(m mutation.Mutant) bool { return m.ID == id })
		if i < 0 {
			errs = append(errs, fmt.Errorf("%w: there is no mutant %q", errUsage, id))
			continue
		}
		chosen = append(chosen, all[i])
	}
	return chosen, errors.Join(errs...)
}

func (g *gate) run(ctx context.Context, mutants []mutation.Mutant, seed uint64) (err error) {
	if err := suite.Check(suite.Knobs{Cluster: g.cluster, Time: g.time}); err != nil {
		return err
	}
	if g.root, err = moduleRoot(ctx); err != nil {
		return err
	}
	if g.dir, err = os.MkdirTemp("", "cartwheel-mutants-"); err != nil {
		return fmt.Errorf("mutants: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(g.dir)) }()
	g.app.say("SEED %d", seed)
	x, err := mutation.Run(ctx, mutation.Options{
		Root: g.root, Dir: g.dir, Mutants: mutants, Seed: seed, Try: g.try, Limit: g.time + 8*time.Minute,
	}, g.tell)
	if len(x.Mutants) == 0 {
		return err
	}
	if g.app.verdict = x.Verdict(); ctx.Err() != nil {
		g.app.verdict = harness.Unknown // what has not run has neither survived nor been found
	}
	return errors.Join(err, x.WriteText(g.app.out), g.save(x))
}

// tell says how a trial ended.
func (g *gate) tell(t mutation.Trial, a mutation.Attempt) {
	why := a.Reason
	if a.Error != "" {
		why = a.Error
	}
	found := ""
	if a.Killed {
		found = "FOUND "
	}
	g.app.say("%-8s %s, %s, seed %d: %s%s (%v) %s", t.Mutant, t.Workload, t.Nemesis, t.Seed, found, a.Verdict, a.Took.Round(time.Second), why)
}

func (g *gate) save(x mutation.Matrix) error {
	file, err := os.Create(filepath.Join(g.results, "matrix.json"))
	if err != nil {
		return fmt.Errorf("save matrix: %w", err)
	}
	return errors.Join(x.WriteJSON(file), file.Close())
}

// try does one run. The folder of its results tells whose it is.
func (g *gate) try(ctx context.Context, t mutation.Trial) (harness.Result, error) {
	k := suite.Knobs{
		Suite: t.Mutant, Workload: t.Workload, Nemesis: t.Nemesis, Cluster: g.cluster, Seed: t.Seed, Time: g.time,
		Overlay: t.Overlay, Results: filepath.Join(g.results, fmt.Sprintf("%s-%s-%s-%d", t.Mutant, t.Workload, t.Nemesis, t.Seed)),
	}
	if err := os.MkdirAll(k.Results, 0o755); err != nil {
		return harness.Result{}, fmt.Errorf("results: %w", err)
	}
	if g.cluster == "sim" && t.Overlay != "" {
		return g.elsewhere(ctx, k)
	}
	return suite.Run(ctx, k, suite.Hooks{Logger: logger(g.app.err, g.verbose)})
}

// elsewhere does a run of the simulated cluster in a process that has the bug in it:
// there the store is part of the harness's own binary.
func (g *gate) elsewhere(ctx context.Context, k suite.Knobs) (harness.Result, error) {
	binary, err := g.build(ctx, k.Overlay)
	if err != nil {
		return harness.Result{}, err
	}
	child := exec.CommandContext(ctx, binary, "test", "--cluster", "sim", "--workload", k.Workload, "--nemesis", k.Nemesis,
		"--seed", fmt.Sprint(k.Seed), "--time", k.Time.String(), "--results", k.Results)
	said, err := child.CombinedOutput()
	var code *exec.ExitError
	if err != nil && !(errors.As(err, &code) && (code.ExitCode() == exitInvalid || code.ExitCode() == exitUnknown)) {
		return harness.Result{}, fmt.Errorf("run with the bug: %w\n%s", err, said)
	}
	return verdictIn(k.Results)
}

// build builds this command with an overlay, once.
func (g *gate) build(ctx context.Context, overlay string) (string, error) {
	if binary := g.built[overlay]; binary != "" {
		return binary, nil
	}
	binary := filepath.Join(g.dir, fmt.Sprintf("cartwheel-%d", len(g.built)))
	if err := buildWith(ctx, g.root, overlay, binary); err != nil {
		return "", err
	}
	g.built[overlay] = binary
	return binary, nil
}

// verdictIn reads the verdict of the only run in a folder of results.
func verdictIn(results string) (res harness.Result, err error) {
	files, err := filepath.Glob(filepath.Join(results, "*-*", "verdict.json"))
	if err != nil || len(files) != 1 {
		return res, errors.Join(err, fmt.Errorf("%d verdicts in %s, want one", len(files), results))
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return res, fmt.Errorf("read verdict: %w", err)
	}
	if err := json.Unmarshal(data, &res); err != nil {
		return res, fmt.Errorf("read %s: %w", files[0], err)
	}
	res.Dir = filepath.Dir(files[0])
	return res, nil
}
