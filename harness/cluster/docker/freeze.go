package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/client"

	"cartwheel/harness"
)

// Attempts at pausing before SIGSTOP is tried: the freezer is known to fail in passing
// under load and for good where an engine has no cgroups of its own.
const pauseAttempts = 4

// Pause freezes the node's store: it neither runs nor dies. The pod's network stays up.
// It returns when the store is seen to be frozen. A dead store cannot be paused.
func (c *Cluster) Pause(ctx context.Context, n harness.NodeID) error {
	return c.on(ctx, "pause", n, func(r *running, p *pod) error {
		err := settle(ctx, r.cli, p, true, func() error { return r.cli.ContainerPause(ctx, p.store()) })
		if err == nil || ctx.Err() != nil || errors.Is(err, errDead) {
			return err
		}
		// The signal comes from outside the container, so even its first process obeys.
		p.stopped.Store(true)
		if second := settle(ctx, r.cli, p, true, func() error { return r.cli.ContainerKill(ctx, p.store(), "SIGSTOP") }); second != nil {
			return errors.Join(err, second)
		}
		c.opts.Logger.Warn("node frozen by signal, the engine cannot pause", "node", n, "err", err)
		return nil
	})
}

// Resume lets the node's store run on. It returns when the store is seen to run, or not to
// be there any more: its end has ended the pause.
func (c *Cluster) Resume(ctx context.Context, n harness.NodeID) error {
	return c.on(ctx, "resume", n, func(r *running, p *pod) error {
		err := settle(ctx, r.cli, p, false, func() error { return p.thaw(ctx, r.cli) })
		if err != nil && !errors.Is(err, errDead) {
			return err
		}
		p.stopped.Store(false)
		return nil
	})
}

// thaw undoes both ways of freezing, as far as they are in force.
func (p *pod) thaw(ctx context.Context, cli *client.Client) error {
	state, err := cli.ContainerInspect(ctx, p.store())
	if err != nil {
		return err
	}
	if state.State.Paused {
		if err := cli.ContainerUnpause(ctx, p.store()); err != nil {
			return err
		}
	}
	if p.stopped.Load() {
		return cli.ContainerKill(ctx, p.store(), "SIGCONT")
	}
	return nil
}

// Paused reports whether the node's store is frozen. A dead one is not.
func (c *Cluster) Paused(ctx context.Context, n harness.NodeID) (bool, error) {
	r, p, err := c.pod(n)
	if err != nil {
		return false, fmt.Errorf("is %s paused: %w", n, err)
	}
	frozen, err := isFrozen(ctx, r.cli, p)
	if errors.Is(err, errDead) {
		return false, nil
	}
	return frozen, wrap(err, "is %s paused", n)
}

// errDead means that the store's process has ended, so that it can be neither frozen nor
// thawed.
var errDead = errors.New("the store has ended")

// settle makes a store frozen or running by the given call and looks whether it is. Only
// the state counts: what engines say about pausing a paused container differs, and a call
// may have worked although it returned an error.
func settle(ctx context.Context, cli *client.Client, p *pod, want bool, call func() error) error {
	var said error
	for attempt := range pauseAttempts {
		frozen, err := isFrozen(ctx, cli, p)
		if err != nil {
			return err
		}
		if frozen == want {
			return nil
		}
		said = call()
		if frozen, err = isFrozen(ctx, cli, p); err != nil {
			return err
		}
		if frozen == want {
			return nil
		}
		if err := pause(ctx, time.Duration(25<<attempt)*time.Millisecond); err != nil {
			return errors.Join(said, err)
		}
	}
	if said == nil {
		said = errors.New("the engine agreed but nothing changed")
	}
	return said
}

// isFrozen looks at the engine's word and, where the store was stopped by a signal of
// which the engine keeps no record, at its processes.
func isFrozen(ctx context.Context, cli *client.Client, p *pod) (bool, error) {
	state, err := cli.ContainerInspect(ctx, p.store())
	if err != nil {
		return false, fmt.Errorf("inspect: %w", err)
	}
	if !state.State.Running {
		return false, fmt.Errorf("%w with status %d", errDead, state.State.ExitCode)
	}
	if state.State.Paused || !p.stopped.Load() {
		return state.State.Paused, nil
	}
	top, err := cli.ContainerTop(ctx, p.store(), []string{"-o", "pid,stat"})
	if err != nil {
		return false, fmt.Errorf("list processes: %w", err)
	}
	column := slices.Index(top.Titles, "STAT")
	if column < 0 || len(top.Processes) == 0 {
		return false, fmt.Errorf("list processes: unexpected columns %q", top.Titles)
	}
	for _, process := range top.Processes {
		if len(process) <= column || !strings.HasPrefix(process[column], "T") {
			return false, nil
		}
	}
	return true, nil
}

// wrap adds what was being done to an error, if there is one.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
