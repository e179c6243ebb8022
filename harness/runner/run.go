package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// Functions of the final process besides [harness.ReplicaRead]. They make a history
// complete in itself.
const (
	// SettleOp is OK when the cluster became quiet, Info with what was still going on.
	SettleOp = "settle"
	// EndOp is the last operation of a run that went its whole way: OK, or Info with
	// what was wrong with the run itself. A history without it was cut short.
	EndOp = "end"
)

// Actions of fault lines.
const (
	Inject = "inject"
	Heal   = "heal"
)

// A Recording is what a played run leaves to be judged.
type Recording struct {
	Plan    harness.Plan
	Dir     string // the run's folder; empty if nothing is written
	Started time.Time
	Epoch   time.Time // the zero of the history's times, on the run's own clock
	History []harness.Op
	Trouble error // why the run did not go its whole way; nil if it did
	// Attach writes what else is known of the run into its folder, before the report is
	// made; optional.
	Attach func(res harness.Result, h []harness.Op) error
}

// Run plays and concludes. The result is as good as what happened allows, also when
// there is an error: a run that was cut short is Unknown, unless what is known is
// already invalid. An error says that the harness, its options or the cluster failed,
// not the store's promises; cancelling ctx ends the load early, heals and stops.
func Run(ctx context.Context, o Options) (harness.Result, error) {
	rec, err := Play(ctx, o)
	if rec == nil {
		return harness.Result{Verdict: harness.Unknown, Reasons: []string{err.Error()}}, err
	}
	res, cerr := Conclude(ctx, o, rec)
	return res, errors.Join(err, cerr)
}

// Play starts the cluster, plays the load, the faults and the final phase and stops
// the cluster. The recording is nil only if the run was refused; with any other error
// it holds what was recorded until then.
func Play(ctx context.Context, o Options) (*Recording, error) {
	o = o.withDefaults()
	err := o.validate()
	if err == nil && o.Nemesis != nil {
		if a, ok := o.Nemesis.(harness.Acquainted); ok {
			a.Meet(o.Target)
		}
		err = o.Nemesis.Check(o.Cluster)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	r := &run{
		o:     o,
		rec:   &Recording{Started: o.Started, Plan: plan(o)},
		nodes: o.Cluster.Nodes(),
		keys:  make(map[string]bool),
	}
	r.begin()
	if r.rec.Started.IsZero() {
		r.rec.Started = *r.epoch.Load()
	}
	if err := r.open(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if o.Planned != nil {
		o.Planned(r.rec.Plan, r.rec.Dir)
	}
	r.board.start(o.Progress)
	r.rec.Trouble = r.watched(ctx)
	r.rec.Epoch = *r.epoch.Load()
	r.board.stop()
	return r.rec, errors.Join(r.rec.Trouble, r.readBack())
}

// plan decides everything random about a run but the operations themselves.
func plan(o Options) harness.Plan {
	p := harness.Plan{
		Suite: o.Suite, Workload: o.Workload.Name, Nemesis: "none",
		World: o.Cluster.World(), Target: o.Target.Name(),
		Seed: o.Seed, Nodes: o.Cluster.Nodes(),
		Concurrency: o.Concurrency, Time: o.Time, Rate: o.Rate,
		Read: o.Workload.Read, Write: o.Workload.Write, Store: o.Workload.Store,
		Schedule: o.Schedule, Mutant: o.Mutant, Repeat: o.Repeat,
	}
	if o.Nemesis != nil {
		p.Nemesis = o.Nemesis.Name()
		if s, ok := o.Nemesis.(harness.Skipper); ok {
			p.Skipped = s.Skipped()
		}
		if p.Schedule == nil {
			p.Schedule = o.Nemesis.Plan(Stream(o.Seed, "schedule"), slices.Clone(p.Nodes), o.Time)
		}
	}
	return p
}

// run is one run under way.
type run struct {
	o     Options
	rec   *Recording
	nodes []harness.NodeID
	epoch atomic.Pointer[time.Time] // when the load began, once it has
	board board

	pending atomic.Int32 // faults that have begun, and have not been in force for long enough

	journal *history.Writer
	memory  *bytes.Buffer // the journal, if nothing is written to disk

	keys map[string]bool // touched by the load

	mu       sync.Mutex
	problems []string // with the run itself; they make it unknown
	latest   string   // key of the operation that began last
}

func (r *run) now() time.Duration { return time.Since(*r.epoch.Load()) }

// begin makes this moment the zero of the run's times.
func (r *run) begin() {
	now := time.Now()
	r.epoch.Store(&now)
}

// problem notes what is wrong with the run itself, a few times at most.
func (r *run) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.o.Logger.Error("run went wrong", "problem", text)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.problems) < 10 && !slices.Contains(r.problems, text) {
		r.problems = append(r.problems, text)
	}
}

// open makes the run's folder and its journal, and saves the plan: a killed harness
// leaves a folder that tells what it was about.
func (r *run) open() error {
	if r.o.Dir == "" {
		r.memory = new(bytes.Buffer)
		var dst io.Writer = r.memory
		if r.o.Journal != nil {
			dst = io.MultiWriter(r.memory, r.o.Journal)
		}
		r.journal = history.NewWriter(dst, r.now)
		return nil
	}
	var err error
	r.rec.Dir, err = createDir(r.o.Dir, r.rec.Started, r.rec.Plan)
	if err != nil {
		return err
	}
	unfinished := harness.Result{
		Plan: r.rec.Plan, Started: r.rec.Started, Verdict: harness.Unknown,
		Reasons: []string{"the run has not finished"},
	}
	if err := errors.Join(
		saveJSON(filepath.Join(r.rec.Dir, scheduleFile), faultList(r.rec.Plan.Schedule)),
		saveJSON(filepath.Join(r.rec.Dir, verdictFile), unfinished),
	); err != nil {
		return err
	}
	r.journal, err = history.Create(filepath.Join(r.rec.Dir, historyFile), r.o.Journal, r.now)
	return err
}

// play goes through the phases. Whatever happens, the cluster's logs are kept and it
// is stopped.
func (r *run) play(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, r.journal.Close()) }()
	r.board.enter(Starting, r.o.StartLimit, "starting "+r.rec.Plan.World)
	started := r.o.Cluster.Start(ctx)
	defer func() { err = errors.Join(err, r.stop(ctx, started == nil)) }()
	if started != nil {
		return fmt.Errorf("start cluster: %w", started)
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	r.begin()
	if err := r.load(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("load was interrupted: %w", context.Cause(ctx))
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	return r.final(ctx)
}

// ready waits until every node serves.
func (r *run) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.o.StartLimit)
	defer cancel()
	for _, n := range r.nodes {
		for {
			attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
			err := r.o.Target.Ready(attempt, r.o.Cluster, n)
			cancel()
			if err == nil {
				break
			}
			if !sleep(ctx, 50*time.Millisecond) {
				return fmt.Errorf("wait for %s to serve: %w", n, err)
			}
		}
	}
	return nil
}

// stop keeps the logs and stops the cluster, with time of its own: ctx may be over.
func (r *run) stop(ctx context.Context, running bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.StopLimit)
	defer cancel()
	if running && r.rec.Dir != "" {
		r.saveLogs(ctx)
		r.saveCaptures(ctx)
	}
	if r.o.Keep && running {
		r.board.note("the cluster keeps running")
		return nil
	}
	if err := r.o.Cluster.Stop(ctx); err != nil {
		return fmt.Errorf("stop cluster: %w", err)
	}
	return nil
}

// readBack judges what is written, not what was meant: judging later sees the same.
func (r *run) readBack() error {
	var err error
	if r.memory != nil {
		r.rec.History, _, err = history.Read(r.memory)
		return err
	}
	r.rec.History, _, err = history.ReadFile(filepath.Join(r.rec.Dir, historyFile))
	return err
}

// sleep waits and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// guarded turns a panic in code that others wrote into an error: one bug must not keep
// the cluster from being healed and stopped, nor the history from being judged.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}
