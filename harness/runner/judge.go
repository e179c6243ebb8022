package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/core"
	"cartwheel/harness/history"
)

// Conclude judges a recording and writes the verdict and the reports into its folder.
// If ctx is over, the checkers still get a short budget: what is known may be enough.
func Conclude(ctx context.Context, o Options, rec *Recording) (harness.Result, error) {
	o = o.withDefaults()
	budget := o.CheckBudget
	if ctx.Err() != nil {
		budget = min(budget, 10*time.Second)
	}
	if o.Progress != nil {
		s := statsOf(rec.History)
		o.Progress(Progress{
			Phase: Judging, Remaining: budget, Note: fmt.Sprintf("judging %d lines", len(rec.History)),
			OK: s.OK, Fail: s.Fail, Info: s.Info,
		})
	}
	res := Judge(context.WithoutCancel(ctx), rec.Plan, o.Workload, rec.History, budget)
	res.Started, res.Dir = rec.Started, rec.Dir
	if rec.Trouble != nil {
		res = troubled(res, rec.Trouble.Error())
	}
	if rec.Dir == "" {
		return res, nil
	}
	var junit bytes.Buffer
	errs := []error{
		saveJSON(filepath.Join(rec.Dir, verdictFile), res),
		JUnit(&junit, res),
		saveFile(filepath.Join(rec.Dir, junitFile), junit.Bytes()),
	}
	if rec.Attach != nil {
		errs = append(errs, guarded(func() error { return rec.Attach(res, rec.History) }))
	}
	if o.Report != nil {
		if err := guarded(func() error { return o.Report(rec.Dir, res, rec.History) }); err != nil {
			errs = append(errs, fmt.Errorf("write report: %w", err))
		}
	}
	return res, errors.Join(errs...)
}

// Judge decides a verdict from a history and its plan alone: the same input gives the
// same verdict, unless a checker runs out of its budget. Valid needs every checker to
// be content and the run to have been hard: it went its whole way, operations
// succeeded, every planned fault is proven, every required event was seen.
func Judge(ctx context.Context, p harness.Plan, w harness.Workload, h []harness.Op, budget time.Duration) harness.Result {
	return judge(ctx, p, w, h, history.Validate, budget, true)
}

// JudgeModel judges a history from anywhere by checkers that know what it is a history
// of. Nothing is asked of how it came about, but that operations succeeded. Values may
// repeat unless unique.
func JudgeModel(ctx context.Context, name string, checkers []harness.Checker, unique bool, h []harness.Op, budget time.Duration) harness.Result {
	p := planOf(h)
	p.Suite, p.Workload = name, name
	p.Nemesis, p.Schedule = "none", []harness.Fault{} // faults are shown, nothing is asked of them
	formed := history.WellFormed
	if unique {
		formed = history.Validate
	}
	return judge(ctx, p, harness.Workload{Checkers: checkers}, h, formed, budget, false)
}

// JudgeDir judges a run's folder, or a history file on its own, again. The workload is
// found from the plan that is stored beside the history; without one the plan is what
// the history shows, and the history need not be a whole run.
func JudgeDir(ctx context.Context, path string, find func(harness.Plan) (harness.Workload, error), budget time.Duration) (harness.Result, []harness.Op, error) {
	file := path
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		file = filepath.Join(path, historyFile)
	}
	h, notes, err := history.ReadFile(file)
	if err != nil {
		return harness.Result{}, nil, fmt.Errorf("%w: %w", ErrStored, err)
	}
	dir := filepath.Dir(file)
	var stored harness.Result
	err = fs.ErrNotExist
	if filepath.Base(file) == historyFile { // any other beside it is a part of it, and no whole run
		stored, err = Stored(dir)
	}
	whole := err == nil
	switch {
	case errors.Is(err, fs.ErrNotExist):
		stored.Plan = planOf(h)
	case err != nil:
		return harness.Result{}, h, err
	}
	w, err := find(stored.Plan)
	if err != nil {
		return harness.Result{}, h, fmt.Errorf("find workload: %w", err)
	}
	res := judge(ctx, stored.Plan, w, h, history.Validate, budget, whole)
	res.Started, res.Dir = stored.Started, dir
	if stored.Trouble != "" { // the history does not tell
		res = troubled(res, stored.Trouble)
	}
	res.Reasons = append(res.Reasons, notes...)
	return res, h, nil
}

// ErrStored marks a stored run that cannot be read.
var ErrStored = errors.New("no run can be read")

// Stored returns what a run's folder says of the run. What cannot be read is ErrStored.
func Stored(dir string) (harness.Result, error) {
	var res harness.Result
	data, err := os.ReadFile(filepath.Join(dir, verdictFile))
	if err != nil {
		return res, fmt.Errorf("%w: read verdict: %w", ErrStored, err)
	}
	if err := json.Unmarshal(data, &res); err != nil {
		return harness.Result{}, fmt.Errorf("%w: %s is damaged: %w", ErrStored, filepath.Join(dir, verdictFile), err)
	}
	res.Dir = dir
	return res, nil
}

func judge(ctx context.Context, p harness.Plan, w harness.Workload, h []harness.Op, formed func([]harness.Op) error, budget time.Duration, whole bool) harness.Result {
	res := harness.Result{
		Plan: p, Stats: statsOf(h), Phases: phasesOf(h),
		Faults: faultsOf(h), Events: []harness.EventRecord{}, Findings: []harness.Finding{},
	}
	var doubts []string
	if err := formed(h); err != nil {
		// A checker that is fed nonsense would find nonsense.
		doubts = append(doubts, fmt.Sprintf("the history is malformed: %v", err))
	} else {
		res.Findings = findings(ctx, briefed(w.Checkers, p), h, budget)
	}
	if len(w.Checkers) == 0 {
		doubts = append(doubts, "nothing was checked")
	}
	if whole {
		doubts = append(doubts, incomplete(h)...)
	}
	doubts = append(doubts, idle(res.Stats)...)
	doubts = append(doubts, unproven(p, res.Faults)...)
	var missing []string
	res.Events, res.Missing, missing = eventsOf(p, w.Events, h)
	without, _ := sum(res, doubts)
	res.Verdict, res.Reasons = sum(res, append(doubts, missing...))
	res.Thin = without == harness.Valid && len(missing) > 0 && len(missing) == len(res.Missing)
	return res
}

// briefed tells the plan to those checkers that judge by it.
func briefed(checkers []harness.Checker, p harness.Plan) []harness.Checker {
	out := slices.Clone(checkers)
	for i, c := range out {
		if b, ok := c.(harness.Briefed); ok {
			out[i] = b.Brief(p)
		}
	}
	return out
}

// findings runs the checkers side by side, each under a budget of its own.
func findings(ctx context.Context, checkers []harness.Checker, h []harness.Op, budget time.Duration) []harness.Finding {
	out := make([]harness.Finding, len(checkers))
	gate := make(chan struct{}, 2) // checkers have worker pools of their own
	var wg sync.WaitGroup
	for i, c := range checkers {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			out[i] = finding(ctx, c, h, budget)
		})
	}
	wg.Wait()
	return out
}

// Limits of the search for cores: the first anomalies of a kind are those that people read.
const (
	coresMax   = 2
	coreBudget = 3 * time.Second
)

// cores finds out how few operations show the first anomalies of each kind. Checkers that judge by the
// plan go by the faults as well, which are no part of a core.
func cores(ctx context.Context, c harness.Checker, h []harness.Op, f *harness.Finding) {
	if _, ok := c.(harness.Briefed); ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, coreBudget)
	defer cancel()
	if member, ok := c.(interface{ Alone() harness.Checker }); ok {
		c = member.Alone()
	}
	looked := make(map[string]int)
	for i := range f.Anomalies {
		a := &f.Anomalies[i]
		if looked[a.Kind]++; looked[a.Kind] <= coresMax && f.Verdict == harness.Invalid {
			a.Core = core.Of(ctx, c, h, *f, *a)
		}
	}
}

// finding runs one checker. One that panics, or does not return soon after its budget,
// is unknown and takes no other with it.
func finding(ctx context.Context, c harness.Checker, h []harness.Op, budget time.Duration) harness.Finding {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	unknown := func(summary string) harness.Finding {
		return harness.Finding{Checker: c.Name(), Verdict: harness.Unknown, Summary: summary}
	}
	result := make(chan harness.Finding, 1)
	var wg sync.WaitGroup // not waited for: a checker that ignores its budget must not hold up the verdict
	wg.Go(func() {
		var f harness.Finding
		if err := guarded(func() error { f = c.Check(ctx, h); cores(ctx, c, h, &f); return nil }); err != nil {
			f = unknown(fmt.Sprintf("the checker failed: %v", err))
		}
		result <- f
	})
	late := time.NewTimer(budget + budget/4 + time.Second)
	defer late.Stop()
	select {
	case f := <-result:
		if f.Checker == "" {
			f.Checker = c.Name()
		}
		return f
	case <-late.C:
		return unknown(fmt.Sprintf("the checker did not return within its budget of %v", budget))
	}
}
