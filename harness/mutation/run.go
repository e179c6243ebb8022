package mutation

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cartwheel/harness"
)

// Control is the Trial.Mutant of the unmutated store.
const Control = "control"

// ErrBuild marks the error of a trial whose mutant does not compile: more trials of it
// would bring no more.
var ErrBuild = errors.New("does not compile")

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
	Runs    int      // the budget of every mutant; default 1
	Workers int      // trials at the same time; default 1
	Control int      // at least so many runs of the unmutated store, by turns of what mutants ask for
	Before  Matrix   // what an earlier hunt on the same source has tried already: it is not tried again
	// Try does one trial. An error means that there was no verdict; one that wraps ErrBuild
	// ends the mutant's trials. It is called by
	// several goroutines at a time if there are Workers. Required.
	Try func(ctx context.Context, t Trial) (harness.Result, error)
	// Limit is the longest that one trial may take; default 10m.
	Limit time.Duration
}

// Progress is told of each trial when it has ended, and of all that is known by then.
// It is called by one goroutine at a time and must not keep x.
type Progress func(x Matrix, t Trial, a Attempt)

// Run plants each mutant until it is killed or the budget is used up, then runs the
// control through all that the mutants went through. When ctx ends, or a mutant is
// stale, it returns what it has together with the error.
func Run(ctx context.Context, o Options, progress Progress) (Matrix, error) {
	if o.Limit == 0 {
		o.Limit = 10 * time.Minute
	}
	o.Runs, o.Workers = max(o.Runs, 1), max(o.Workers, 1)
	overlays := make([]string, len(o.Mutants))
	for i, m := range o.Mutants { // all, before the first run is paid for
		var err error
		if overlays[i], err = Apply(o.Root, m, o.Dir); err != nil {
			return Matrix{}, err
		}
	}
	h := &hunt{Options: o, progress: progress}
	for _, m := range o.Mutants {
		h.x.Mutants = append(h.x.Mutants, o.Before.row(m))
	}
	err := h.inParallel(ctx, len(o.Mutants), func(ctx context.Context, i int) error {
		return h.plant(ctx, i, overlays[i])
	})
	if err != nil {
		return h.x, err
	}
	trials := h.controls()
	return h.x, h.inParallel(ctx, len(trials), func(ctx context.Context, i int) error {
		return h.leaveAlone(ctx, trials[i])
	})
}

// A hunt is a Run under way.
type hunt struct {
	Options
	progress Progress
	mu       sync.Mutex
	x        Matrix // guarded by mu
}

func (h *hunt) inParallel(ctx context.Context, n int, do func(context.Context, int) error) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(h.Workers)
	for i := range n {
		g.Go(func() error {
			if err := gctx.Err(); err != nil {
				return err
			}
			return do(gctx, i)
		})
	}
	return g.Wait()
}

// plant tries a mutant until it is killed. Its row is this call's alone.
func (h *hunt) plant(ctx context.Context, i int, overlay string) error {
	m := h.Mutants[i]
	for {
		h.mu.Lock()
		row := &h.x.Mutants[i]
		n := len(row.Attempts)
		killed := row.Killed
		h.mu.Unlock()
		if killed {
			return h.elsewhere(ctx, i, overlay)
		}
		if n >= h.Runs {
			return nil
		}
		t := Trial{m.ID, overlay, m.Workload, m.Nemesis, h.Seed + uint64(n)}
		a, broken := h.attempt(ctx, t)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("mutant %s: %w", m.ID, err)
		}
		a.Killed = a.Error == "" && kills(a.Findings, m)
		h.note(t, a, func() {
			row := &h.x.Mutants[i]
			row.Attempts, row.Killed = append(row.Attempts, a), a.Killed
		})
		if broken {
			return nil
		}
	}
}

// elsewhere tries a mutant that was killed under the nemesis that must not reveal it, with the seeds that it was
// killed with.
func (h *hunt) elsewhere(ctx context.Context, i int, overlay string) error {
	m := h.Mutants[i]
	if m.Unseen == "" {
		return nil
	}
	h.mu.Lock()
	row := h.x.Mutants[i]
	h.mu.Unlock()
	for _, found := range row.Attempts[len(row.Unseen):] {
		t := Trial{m.ID, overlay, m.Workload, m.Unseen, found.Seed}
		a, _ := h.attempt(ctx, t)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("mutant %s: %w", m.ID, err)
		}
		h.note(t, a, func() {
			row := &h.x.Mutants[i]
			row.Unseen = append(row.Unseen, a)
		})
	}
	return nil
}

// leaveAlone runs the store as it is.
func (h *hunt) leaveAlone(ctx context.Context, t Trial) error {
	a, _ := h.attempt(ctx, t)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	h.note(t, a, func() {
		h.x.Control = append(h.x.Control, ControlRun{t.Workload, t.Nemesis, a})
		slices.SortFunc(h.x.Control, ControlRun.compare)
	})
	return nil
}

// note enters a result and tells of it.
func (h *hunt) note(t Trial, a Attempt, enter func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	enter()
	if h.progress != nil {
		h.progress(h.x, t, a)
	}
}

// controls are the mutants' runs with the store as it is, each once, and more of them
// until there are enough. What was done before is taken over.
func (h *hunt) controls() []Trial {
	var trials []Trial
	known := map[Trial]bool{}
	add := func(t Trial) {
		if known[t] {
			return
		}
		known[t] = true
		for _, c := range h.Before.Control {
			if c.Workload == t.Workload && c.Nemesis == t.Nemesis && c.Attempt.Seed == t.Seed && c.Attempt.Error == "" {
				h.x.Control = append(h.x.Control, c)
				return
			}
		}
		trials = append(trials, t)
	}
	for _, row := range h.x.Mutants {
		for _, a := range row.Attempts {
			add(Trial{Control, "", row.Mutant.Workload, row.Mutant.Nemesis, a.Seed})
		}
	}
	for n := uint64(0); len(known) > 0 && len(known) < h.Control; n++ {
		for _, row := range h.x.Mutants {
			if len(known) < h.Control {
				add(Trial{Control, "", row.Mutant.Workload, row.Mutant.Nemesis, h.Seed + n})
			}
		}
	}
	return trials
}

// row is what was tried of the mutant before, if it was the same mutant, up to the first
// attempt that brought no verdict.
func (x Matrix) row(m Mutant) Row {
	for _, r := range x.Mutants {
		if reflect.DeepEqual(r.Mutant, m) {
			if i := slices.IndexFunc(r.Attempts, func(a Attempt) bool { return a.Error != "" }); i >= 0 {
				r.Attempts = r.Attempts[:i]
			}
			r.Attempts, r.Unseen = slices.Clone(r.Attempts), slices.Clone(r.Unseen)
			return r
		}
	}
	return Row{Mutant: m}
}

func (o Options) attempt(ctx context.Context, t Trial) (a Attempt, broken bool) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.Limit, fmt.Errorf("no verdict within %v", o.Limit))
	defer cancel()
	began := time.Now()
	res, err := o.Try(ctx, t)
	a = Attempt{
		Seed: t.Seed, Verdict: res.Verdict, Findings: reported(res.Findings),
		Dir: res.Dir, Took: time.Since(began).Round(time.Millisecond),
	}
	if n := len(res.Phases); n > 0 {
		a.Length = res.Phases[n-1].End.Round(time.Millisecond)
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
	return a, errors.Is(err, ErrBuild)
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
