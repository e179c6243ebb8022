package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cartwheel/harness"
)

// standMost is the longest that the heal of a fault that struck late waits, so that it is in force for a while.
const standMost = 2 * time.Second

// pendingEvery is how often a load in its overtime looks whether it may end.
const pendingEvery = 100 * time.Millisecond

// fault plays one fault of the schedule, the i-th. It is healed at its planned stop,
// or at once when the load is over or cancelled; then it is not begun either. One that struck late, as
// happens on a busy machine, is in force for half of its planned time all the same: healed at once it would prove nothing.
func (r *run) fault(ctx context.Context, i int, f harness.Fault, over <-chan struct{}) {
	// A nanosecond each: faults planned for one instant act in the schedule's order.
	own := time.Duration(i)
	if !r.until(ctx, f.Start+own, over) {
		return
	}
	r.pending.Add(1)
	proven := sync.OnceFunc(func() { r.pending.Add(-1) })
	defer proven()
	var evidence harness.Evidence
	if err := r.resolve(ctx, &f, over); err != nil {
		r.act(f, Inject, &evidence, func() error { return err })
		return
	}
	r.act(f, Inject, &evidence, func() error {
		// A machine that is so busy that faults come late takes longer to end the change before this one, too.
		ctx, cancel := context.WithTimeout(ctx, r.o.FaultLimit+r.o.Overtime)
		defer cancel()
		return guarded(func() (err error) {
			evidence, err = r.o.Nemesis.Inject(ctx, r.o.Cluster, f, r.now)
			return err
		})
	})
	r.board.struck(f)
	stop := f.Stop
	if evidence.Injected > 0 {
		stop = max(stop, evidence.Injected+min((f.Stop-f.Start)/2, standMost))
	}
	if !r.until(ctx, stop+own, over) {
		sleep(context.WithoutCancel(ctx), own+1)
	}
	proven()
	r.act(f, Heal, &evidence, func() error {
		// An interrupted run heals too. What other faults hold up may take until they are over.
		limit := r.o.FaultLimit + max(0, r.o.Time-r.now())
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		return guarded(func() error { return r.o.Nemesis.Heal(ctx, r.o.Cluster, f, &evidence, r.now) })
	})
	r.board.healed(f)
}

// lookEvery is how often it is asked who has a role that nobody has.
const lookEvery = 100 * time.Millisecond

// resolve finds out whom a fault strikes that names a role, and notes it in the fault. It
// waits until somebody has the role, but not past the fault's planned stop.
func (r *run) resolve(ctx context.Context, f *harness.Fault, over <-chan struct{}) error {
	if f.Role == nil || len(f.Nodes) > 0 {
		return nil
	}
	finder, ok := r.o.Target.(harness.RoleFinder)
	if !ok {
		return fmt.Errorf("whom: target %s knows no roles", r.rec.Plan.Target)
	}
	role := *f.Role
	for {
		if role.Key == "" && role.Name != harness.HintHolder {
			r.mu.Lock()
			role.Key = r.latest
			r.mu.Unlock()
		}
		attempt, cancel := context.WithTimeout(ctx, r.o.OpTimeout)
		nodes, err := finder.Find(attempt, r.o.Cluster, role)
		cancel()
		if err == nil && len(nodes) > 0 {
			f.Nodes, f.Role = nodes, &role
			return nil
		}
		if now := r.now(); now+lookEvery >= f.Stop || !r.until(ctx, now+lookEvery, over) {
			return errors.Join(fmt.Errorf("whom: no node was %s in time", role.Name), err)
		}
	}
}

// until waits for a time and reports whether it came before the load's end.
func (r *run) until(ctx context.Context, at time.Duration, over <-chan struct{}) bool {
	timer := time.NewTimer(at - r.now())
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-over:
		return false
	case <-ctx.Done():
		return false
	}
}

// act journals one side of a fault around f. What goes wrong becomes part of the
// evidence, which judges the fault.
func (r *run) act(f harness.Fault, action string, evidence *harness.Evidence, do func() error) {
	op := harness.Op{
		Process: harness.NemesisProcess, Kind: harness.Invoke, F: f.Kind,
		Phase: harness.Load, Action: action, Fault: &f,
	}
	r.append(op)
	problems := len(evidence.Problems)
	err := do()
	if err != nil && len(evidence.Problems) == problems {
		evidence.Problems = append(evidence.Problems, fmt.Sprintf("%s: %v", action, err))
	}
	seen := *evidence
	op.Kind, op.Evidence = harness.OK, &seen
	if len(evidence.Problems) > 0 {
		op.Kind, op.Error = harness.Info, strings.Join(evidence.Problems, "; ")
	}
	r.append(op)
}

// append journals a line that is no client's. A failure is told once, by the next
// client line or by the journal's Close.
func (r *run) append(op harness.Op) {
	if _, err := r.journal.Append(op); err != nil {
		r.o.Logger.Error("journal line was lost", "f", op.F, "err", err)
	}
}
