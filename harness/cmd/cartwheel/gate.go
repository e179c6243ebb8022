package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

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
	seed    uint64
	budget  budget
	control int
	workers int
	verbose bool
	matrix  mutation.Matrix // in the end
	unsaved error           // why the matrix could not be saved on the way

	mu    sync.Mutex
	built map[string]*build // binaries for the simulation, by overlay; guarded by mu
}

// A build is done once, by whoever needs it first.
type build struct {
	once   sync.Once
	binary string
	err    error
}

// open finds the module and makes room for overlays and binaries; the caller closes.
func (g *gate) open(ctx context.Context, what string) (err error) {
	if err := suite.Check(suite.Knobs{Cluster: g.cluster, Time: g.budget.time}); err != nil {
		return err
	}
	if g.root, err = moduleRoot(ctx); err != nil {
		return err
	}
	if g.dir, err = os.MkdirTemp("", "cartwheel-"+what+"-"); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (g *gate) close() error { return os.RemoveAll(g.dir) }

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
	g.app.say("%-8s %s, %s, seed %d: %s%s (%v) %s", t.Mutant, t.Workload, t.Nemesis, t.Seed, found, a.Verdict, a.Took.Round(100*time.Millisecond), why)
}

// stamp says of a matrix what it was won with.
func (g *gate) stamp(x mutation.Matrix, source string) mutation.Matrix {
	x.Source, x.World, x.Runs, x.Time = source, g.cluster, g.budget.runs, g.budget.time
	return x
}

// save writes the matrix so that a reader at any time sees all of one.
func (g *gate) save(x mutation.Matrix) error {
	name := filepath.Join(g.results, "matrix.json")
	var text strings.Builder
	err := x.WriteJSON(&text)
	if err == nil {
		err = os.WriteFile(name+".part", []byte(text.String()), 0o644)
	}
	if err == nil {
		err = os.Rename(name+".part", name)
	}
	if err != nil {
		return fmt.Errorf("save matrix: %w", err)
	}
	return nil
}

// before is what a hunt that was cut short has found out, if its results still count.
func (g *gate) before(source string) (x mutation.Matrix, err error) {
	name := filepath.Join(g.results, "matrix.json")
	text, err := os.ReadFile(name)
	if err != nil {
		return x, fmt.Errorf("%w: resume: %w", errUsage, err)
	}
	if err := json.Unmarshal(text, &x); err != nil {
		return x, fmt.Errorf("%w: resume: %s: %w", errUsage, name, err)
	}
	if want := g.stamp(x, source); x.Source != want.Source || x.World != want.World || x.Time != want.Time {
		return x, fmt.Errorf("%w: resume: %s was won with other code, another cluster or another length of load: begin anew", errUsage, name)
	}
	return x, nil
}

// document publishes a hunt. One through a part of the catalogue leaves the rows of the others as they are.
func (g *gate) document(name string, part bool) error {
	file := filepath.Join(g.root, mutation.PublishedFile)
	p := g.matrix.Publish()
	if part {
		before, err := mutation.Load(file)
		if err != nil {
			return err
		}
		if p, err = before.With(p); err != nil {
			return err
		}
	}
	text, err := p.Document()
	if err != nil {
		return err
	}
	return errors.Join(p.Save(file), os.WriteFile(name, text, 0o644))
}

// try does one run. The folder of its results tells whose it is.
func (g *gate) try(ctx context.Context, t mutation.Trial) (harness.Result, error) {
	k := suite.Knobs{
		Suite: t.Mutant, Workload: t.Workload, Nemesis: t.Nemesis, Cluster: g.cluster, Seed: t.Seed, Time: g.budget.time,
		Overlay: t.Overlay, Results: filepath.Join(g.results, fmt.Sprintf("%s-%s-%s-%d", t.Mutant, t.Workload, t.Nemesis, t.Seed)),
	}
	// A hunt that is resumed may have left something there.
	if err := errors.Join(os.RemoveAll(k.Results), os.MkdirAll(k.Results, 0o755)); err != nil {
		return harness.Result{}, fmt.Errorf("results: %w", err)
	}
	if t.Overlay != "" {
		k.Mutant = t.Mutant
	}
	var res harness.Result
	var err error
	if g.cluster == "sim" {
		res, err = g.elsewhere(ctx, k)
	} else {
		res, err = suite.Run(ctx, k, suite.Hooks{Logger: logger(g.app.err, g.verbose)})
	}
	if err == nil && res.Verdict == harness.Valid {
		// There is nothing to see, and a thousand of them fill a disk.
		res.Dir, err = "", os.RemoveAll(k.Results)
	}
	return res, err
}

// elsewhere does a run of the simulated cluster in a process of its own that has the bug,
// if any, in it: there the store is part of the harness's binary.
func (g *gate) elsewhere(ctx context.Context, k suite.Knobs) (harness.Result, error) {
	binary, err := g.build(ctx, k.Overlay)
	if err != nil {
		return harness.Result{}, err
	}
	k.Overlay = "" // it is in the binary
	child := exec.CommandContext(ctx, binary, append(k.Arguments(), "--results", k.Results, "--planted", k.Mutant)...)
	child.Env = withoutKnobs(os.Environ())
	said, err := child.CombinedOutput()
	var code *exec.ExitError
	if err != nil && !(errors.As(err, &code) && (code.ExitCode() == exitInvalid || code.ExitCode() == exitUnknown)) {
		return harness.Result{}, fmt.Errorf("the run: %w\n%s", err, said)
	}
	return verdictIn(k.Results)
}

// withoutKnobs takes our settings from an environment: a trial is its command line alone.
func withoutKnobs(env []string) []string {
	var rest []string
	for _, s := range env {
		if !strings.HasPrefix(s, "CARTWHEEL_") {
			rest = append(rest, s)
		}
	}
	return rest
}

// build builds this command with an overlay, or as it is without one, once.
func (g *gate) build(ctx context.Context, overlay string) (string, error) {
	g.mu.Lock()
	if g.built == nil {
		g.built = map[string]*build{}
	}
	b := g.built[overlay]
	if b == nil {
		b = &build{binary: filepath.Join(g.dir, fmt.Sprintf("cartwheel-%d", len(g.built)))}
		g.built[overlay] = b
	}
	g.mu.Unlock()
	b.once.Do(func() { b.err = buildWith(ctx, g.root, overlay, b.binary) })
	return b.binary, b.err
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
