package runner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"cartwheel/harness"
)

// ErrStalled marks a run that was given up because nothing happened in it any more, or because it took longer than
// all of its limits together allow.
var ErrStalled = errors.New("stalled")

// stacksMax bounds what is kept of the goroutines of a run that stalled.
const stacksMax = 16 << 20

// watched plays the run, and gives it up when it stalls: then it keeps what the harness was doing, cancels the rest, and returns an error
// that is [ErrStalled]. Every step of a run has a limit of its own, which holds as long as what is called
// heeds its context; the watch is for what does not. Whatever has not returned some time after that is left to
// itself, and the cluster is stopped without it.
func (r *run) watched(ctx context.Context) error {
	if r.o.StallAfter == 0 {
		return r.play(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var playing sync.WaitGroup // joined through done, save where it never ends
	done := make(chan error, 1)
	playing.Go(func() { done <- r.play(ctx) })
	stalled := r.watch(done)
	if stalled == nil {
		return <-done
	}
	r.problem("%v", stalled)
	r.saveStacks()
	cancel(stalled)
	if err, ended := within(r.o.FaultLimit+2*r.o.StopLimit, done); ended {
		if errors.Is(err, ErrStalled) {
			return err // an interruption, with this for its cause
		}
		return errors.Join(stalled, err)
	}
	stopped := make(chan error, 1)
	playing.Go(func() { stopped <- errors.Join(r.journal.Close(), r.stop(ctx, true)) })
	err, ended := within(2*r.o.StopLimit, stopped)
	if !ended {
		err = errors.New("the cluster was not stopped: 'cartwheel clean' removes it")
	}
	return errors.Join(stalled, err)
}

// within waits for a result, for so long at most.
func within(limit time.Duration, done <-chan error) (err error, ended bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err, true
	case <-timer.C:
		return nil, false
	}
}

// watch returns why the run has stalled, or nil once it has ended by itself: its result is in done then.
func (r *run) watch(done chan error) error {
	const looks = 20 // within the shortest silence that counts
	tick := time.NewTicker(max(r.o.StallAfter/looks, time.Millisecond))
	defer tick.Stop()
	began := time.Now()
	lines, phase, since := 0, Starting, began
	for {
		select {
		case err := <-done:
			done <- err
			return nil
		case <-tick.C:
		}
		now, n, p := time.Now(), r.journal.Len(), r.board.snapshot().Phase
		if n != lines || p != phase {
			lines, phase, since = n, p, now
		}
		if silent := now.Sub(since); silent > r.silence(phase)+r.o.StallAfter {
			return fmt.Errorf("%w: nothing was recorded for %v in the phase %q, after %d lines", ErrStalled, silent.Round(time.Second), phase, lines)
		}
		if took := now.Sub(began); took > r.most()+r.o.StallAfter {
			return fmt.Errorf("%w: the run has not ended after %v, in the phase %q", ErrStalled, took.Round(time.Second), phase)
		}
	}
}

// silence is for how long a phase may record nothing, by the limits of its steps.
func (r *run) silence(p harness.Phase) time.Duration {
	switch p {
	case Starting:
		return 2 * r.o.StartLimit // to come up, and to serve
	case harness.Load: // at its end faults are healed, and clients are waited for
		return max(r.o.OpTimeout+r.o.Grace+r.o.FaultLimit+r.o.StopLimit, r.between())
	case harness.Settle:
		return r.o.SettleLimit
	}
	return max(r.o.OpTimeout+time.Second, 2*r.o.StopLimit) // from one answer to the next, and until all is stopped
}

// between is a time in which a load that goes slowly begins an operation all the same.
func (r *run) between() time.Duration {
	if r.o.Rate == 0 {
		return 0
	}
	return min(r.o.Time, time.Duration(10/r.o.Rate*float64(time.Second)))
}

// most is how long the whole run may take, by its limits.
func (r *run) most() time.Duration {
	o := r.o
	audits := time.Duration(len(r.nodes)) * o.OpTimeout
	return 2*o.StartLimit + o.Time + 2*o.Overtime + o.OpTimeout + o.Grace + o.FaultLimit + o.SettleLimit + o.FinalLimit + o.EqualLimit + audits + 3*o.StopLimit
}

// saveStacks keeps what every goroutine of the harness was doing.
func (r *run) saveStacks() {
	if r.rec.Dir == "" {
		return
	}
	stacks := make([]byte, stacksMax)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if err := saveFile(filepath.Join(r.rec.Dir, stacksFile), stacks); err != nil {
		r.o.Logger.Warn("goroutines were not kept", "err", err)
	}
}
