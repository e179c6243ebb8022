package seeds

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// Options say which seeds to run, and how. Command and Seeds are required.
type Options struct {
	Command func() *exec.Cmd   // a worker that is not started: a program that calls Work on its standard input and output
	Seeds   iter.Seq[uint64]   // in order; each runs once
	Workers int                // processes; default one a CPU
	Limit   time.Duration      // real time for one run of a seed, once it has begun; default 60s
	Recheck int                // every so many seeds, one runs again under another GOMAXPROCS; default 50, negative: none
	Procs   int                // GOMAXPROCS of the second run; default 1, or 8 on a machine of one CPU
	Done    func(Outcome) bool // told of every seed, one at a time; false: begin no more. Default: go on
}

func (o Options) withDefaults() Options {
	if o.Workers == 0 {
		o.Workers = runtime.NumCPU()
	}
	if o.Limit == 0 {
		o.Limit = time.Minute
	}
	if o.Recheck == 0 {
		o.Recheck = 50
	}
	if o.Procs == 0 {
		o.Procs = otherProcs()
	}
	if o.Done == nil {
		o.Done = func(Outcome) bool { return true }
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.Command == nil {
		errs = append(errs, errors.New("no command"))
	}
	if o.Seeds == nil {
		errs = append(errs, errors.New("no seeds"))
	}
	if o.Workers < 0 || o.Limit < 0 {
		errs = append(errs, fmt.Errorf("%d workers, limit %v: must not be negative", o.Workers, o.Limit))
	}
	return errors.Join(errs...)
}

// An End is how a seed's run ended.
type End uint8

// Ends of a run.
const (
	Passed   End = iota
	Failed       // its report says so
	Crashed      // the worker died of it
	Hung         // it did not finish within the limit
	Diverged     // it did not repeat, and that is all that is wrong: see Outcome.Differs
)

// String returns the end's name in lower case.
func (e End) String() string {
	return [...]string{"passed", "failed", "crashed", "hung", "diverged"}[e]
}

// An Outcome is what became of a seed.
type Outcome struct {
	Seed   uint64
	End    End
	Report Report  // of its first run; zero if that crashed or hung
	Again  *Report // of its second run, if there was one that ended by itself
	// Differs: it did not repeat. The second run gave another sum than the first, or did not
	// end by itself, unlike the first.
	Differs bool
	Stderr  string        // what the worker wrote during the last run: a panic, or all stacks of a hang
	Took    time.Duration // real time of the first run
}

// A Summary counts outcomes.
type Summary struct {
	Seeds    int
	Ends     map[End]int
	Rechecks int // seeds that ran twice
	Took     time.Duration
}

// PerMinute is how many seeds ran in a minute of real time.
func (s Summary) PerMinute() float64 {
	if s.Took <= 0 {
		return 0
	}
	return float64(s.Seeds) / s.Took.Minutes()
}

// Run runs the seeds and returns when all workers have ended. An error says that workers
// cannot be run or that ctx is over, not that a seed failed.
func Run(ctx context.Context, o Options) (Summary, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return Summary{}, fmt.Errorf("run seeds: %w", err)
	}
	next, stop := iter.Pull(o.Seeds)
	defer stop()
	p := &pool{opts: o, next: next, sum: Summary{Ends: map[End]int{}}}
	begin := time.Now()
	var work sync.WaitGroup
	for range o.Workers {
		work.Go(func() { p.serve(ctx) })
	}
	work.Wait()
	p.sum.Took = time.Since(begin)
	if err := errors.Join(p.err, context.Cause(ctx)); err != nil {
		return p.sum, fmt.Errorf("run seeds: %w", err)
	}
	return p.sum, nil
}

// A pool deals seeds out to workers.
type pool struct {
	opts Options

	mu     sync.Mutex
	next   func() (uint64, bool)
	dealt  int
	closed bool // no more seeds
	sum    Summary
	err    error // workers cannot be run
}

// deal returns the next seed and whether it is to run twice.
func (p *pool) deal() (seed uint64, twice, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, false, false
	}
	if seed, ok = p.next(); !ok {
		p.closed = true
		return 0, false, false
	}
	p.dealt++
	return seed, p.opts.Recheck > 0 && p.dealt%p.opts.Recheck == 0, true
}

// serve runs seeds in one worker process after another until there are none.
func (p *pool) serve(ctx context.Context) {
	var w *worker
	defer func() { w.close() }()
	for ctx.Err() == nil {
		seed, twice, ok := p.deal()
		if !ok {
			return
		}
		var out Outcome
		var err error
		if w, out, err = p.outcome(ctx, w, seed, twice); err != nil {
			p.fail(err)
			return
		}
		if ctx.Err() != nil {
			return // it was cut short, which says nothing of the seed
		}
		p.done(out)
	}
}

// outcome runs one seed, or twice. It returns the worker to go on with, nil if it is lost.
func (p *pool) outcome(ctx context.Context, w *worker, seed uint64, twice bool) (*worker, Outcome, error) {
	out := Outcome{Seed: seed}
	begin := time.Now()
	w, first, end, err := p.attempt(ctx, w, Job{Seed: seed}, &out)
	out.Took = time.Since(begin)
	if err != nil || end == Crashed || end == Hung {
		out.End = end
		return w, out, err
	}
	out.Report = *first
	if first.Failed {
		out.End = Failed
	}
	if !twice {
		return w, out, nil
	}
	p.mu.Lock()
	p.sum.Rechecks++
	p.mu.Unlock()
	w, second, end, err := p.attempt(ctx, w, Job{Seed: seed, Procs: p.opts.Procs}, &out)
	switch {
	case err != nil:
	case end != Passed:
		out.Differs = true
		if out.End != Failed { // what was found is worth more
			out.End = end
		}
	default:
		out.Again, out.Differs = second, second.Sum != first.Sum
		if out.Differs && out.End == Passed {
			out.End = Diverged
		}
	}
	return w, out, err
}

// otherProcs is a number of processors that makes the scheduler behave otherwise than in
// the first run, where it is as the worker found it.
func otherProcs() int {
	if runtime.NumCPU() == 1 {
		return 8
	}
	return 1
}

// attempt runs a job in w, or in a new worker if that is nil.
func (p *pool) attempt(ctx context.Context, w *worker, j Job, out *Outcome) (*worker, *Report, End, error) {
	if w == nil {
		var err error
		if w, err = start(p.opts.Command()); err != nil {
			return nil, nil, Crashed, err
		}
	}
	report, err := w.do(ctx, j, p.opts.Limit)
	switch {
	case err == nil:
		out.Stderr = w.stderr.String()
		return w, report, Passed, nil
	case errors.Is(err, errHung):
		out.Stderr = w.dump()
		return nil, nil, Hung, nil
	case errors.Is(err, errBabble):
		w.kill()
		return nil, nil, Crashed, err
	default:
		w.kill()
		out.Stderr = w.stderr.String()
		return nil, nil, Crashed, nil
	}
}

func (p *pool) done(out Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sum.Seeds++
	p.sum.Ends[out.End]++
	if !p.opts.Done(out) {
		p.closed = true
	}
}

func (p *pool) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.err = errors.Join(p.err, err)
}
