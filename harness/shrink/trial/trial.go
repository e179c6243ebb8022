package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim"
	"cartwheel/harness/runner"
	"cartwheel/harness/shrink"
	"cartwheel/harness/target/cartwheel"
)

// ErrHang means that a run did not end, although it was told to.
var ErrHang = errors.New("the simulation hangs")

// Options say how cases are played. Workload, Checker and Kind are required, Nemesis too
// if cases have faults.
type Options struct {
	Suite    string                 // names the recorded run; default the workload's name
	Workload harness.Workload       // with Replay
	Nemesis  func() harness.Nemesis // makes one for each run, since they remember what they did
	GRPC     bool                   // play in the tier that has gRPC itself
	Checker  string                 // whose finding is looked for ...
	Kind     string                 // ... and the kind of its anomaly
	Limit    time.Duration          // real time that a run may take, judging included; default 10s
	HangWait time.Duration          // real time to stop in, beyond Limit; default 10s
}

// A Trial plays cases. It may be used by one goroutine at a time.
type Trial struct {
	o       Options
	checked harness.Workload // judged by the one checker
	last    error            // why the last case was not played to its end
}

// New makes a trial.
func New(o Options) (*Trial, error) {
	if o.Limit == 0 {
		o.Limit = 10 * time.Second
	}
	if o.HangWait == 0 {
		o.HangWait = 10 * time.Second
	}
	if o.Nemesis == nil {
		o.Nemesis = func() harness.Nemesis { return nil }
	}
	if o.Workload.Replay == nil {
		return nil, fmt.Errorf("workload %q cannot replay steps", o.Workload.Name)
	}
	checked := o.Workload
	checked.Checkers = slices.DeleteFunc(slices.Clone(checked.Checkers), func(c harness.Checker) bool { return c.Name() != o.Checker })
	if len(checked.Checkers) == 0 {
		return nil, fmt.Errorf("workload %q has no checker %q", o.Workload.Name, o.Checker)
	}
	return &Trial{o: o, checked: checked}, nil
}

// Judge plays a case and reports whether it shows the anomaly. It is a [shrink.Judge].
func (t *Trial) Judge(ctx context.Context, c shrink.Case) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, t.o.Limit)
	defer cancel()
	o := t.options(c, t.checked)
	rec, err := t.play(limited, c, o)
	t.last = err
	switch {
	case errors.Is(err, ErrHang):
		return false, err
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return false, nil
	}
	res := runner.Judge(limited, rec.Plan, o.Workload, rec.History, t.o.Limit)
	return Shows(res, t.o.Checker, t.o.Kind), nil
}

// Last is why the last case that was judged could not be played to its end; nil if it was.
func (t *Trial) Last() error { return t.last }

// Record plays a case once more, judges it by every checker and writes it as a folder
// below dir, with the case in it. Report is runner.Options.Report, repeat the command
// that plays the folder again.
func (t *Trial) Record(ctx context.Context, c shrink.Case, dir string, report func(string, harness.Result, []harness.Op) error, repeat func(dir string) string) (harness.Result, error) {
	o := t.options(c, t.o.Workload)
	o.Dir, o.Report = dir, report
	limited, cancel := context.WithTimeout(ctx, 2*t.o.Limit)
	defer cancel()
	rec, err := t.play(limited, c, o)
	if rec == nil {
		return harness.Result{Verdict: harness.Unknown}, err
	}
	if repeat != nil {
		rec.Plan.Repeat = repeat(rec.Dir)
	}
	res, cerr := runner.Conclude(ctx, o, rec)
	if rec.Dir != "" {
		cerr = errors.Join(cerr, save(rec.Dir, c))
	}
	return res, errors.Join(err, cerr)
}

func (t *Trial) options(c shrink.Case, w harness.Workload) runner.Options {
	replay := w.Replay
	w.Generator = func(s harness.Setup) harness.Generator { return replay(s, c.Steps) }
	schedule := c.Schedule
	if schedule == nil {
		schedule = []harness.Fault{} // none, and none are to be planned
	}
	suite := t.o.Suite
	if suite == "" {
		suite = w.Name
	}
	return runner.Options{
		Suite: suite, Seed: c.Seed, Workload: w, Nemesis: t.o.Nemesis(), Schedule: schedule,
		Target: cartwheel.Seeded(sim.Names(c.Seed)).On(w.Store), Concurrency: len(c.Threads), Homes: c.Threads, Time: c.Time,
		Started: time.Now(), // outside the bubble, where it is the real time
	}
}

// play plays a case in a simulation. When ctx is over the run is told to end; if
// it does not, it is left to itself.
func (t *Trial) play(ctx context.Context, c shrink.Case, o runner.Options) (*runner.Recording, error) {
	fresh := func() (*sim.Cluster, error) {
		cluster, err := sim.NewStore(sim.Options{Nodes: len(c.Nodes), Seed: c.Seed, GRPC: t.o.GRPC}, cartwheel.Configure(o.Workload.Store))
		if err == nil && !slices.Equal(cluster.Nodes(), c.Nodes) {
			err = fmt.Errorf("%w: the simulation's nodes are %v, the case's are %v", runner.ErrRefused, cluster.Nodes(), c.Nodes)
		}
		return cluster, err
	}
	type played struct {
		rec *runner.Recording
		err error
	}
	done := make(chan played, 1)
	var run sync.WaitGroup // not waited for: a hang must not become ours
	run.Go(func() {
		var p played
		rec, err := sim.Play(ctx, fresh, o)
		if p.err = err; rec != nil {
			p.rec = rec.Recording
		}
		done <- p
	})
	select {
	case p := <-done:
		return p.rec, p.err
	case <-ctx.Done():
	}
	patience := time.NewTimer(t.o.HangWait)
	defer patience.Stop()
	select {
	case p := <-done:
		return p.rec, p.err
	case <-patience.C:
		return nil, fmt.Errorf("seed %d, %s: %w", c.Seed, c.Size(), ErrHang)
	}
}

// Shows reports whether a checker has found a kind of anomaly.
func Shows(res harness.Result, checker, kind string) bool {
	for _, f := range res.Findings {
		if f.Checker != checker || f.Verdict != harness.Invalid {
			continue
		}
		if f.Counts[kind] > 0 || slices.ContainsFunc(f.Anomalies, func(a harness.Anomaly) bool { return a.Kind == kind }) {
			return true
		}
	}
	return false
}
