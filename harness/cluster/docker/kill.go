package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"cartwheel/harness"
)

// Limits of the end of a store. An orderly one takes a few seconds at most.
const (
	killLimit = 20 * time.Second
	termLimit = 15 * time.Second
	// The first process of a container does not hear a signal that comes before it listens, as
	// right after its start. So one that has not ended after this time is asked once more.
	askAgain = 5 * time.Second
)

// Kill ends the node's store by SIGKILL, also one that is paused, and returns when the
// engine says that it does not run. Its volume, the pod's address, its published port
// and its packet filter stay. Killing a dead node is no error.
func (c *Cluster) Kill(ctx context.Context, n harness.NodeID) error {
	return c.on(ctx, "kill", n, func(r *running, p *pod) error {
		kill := func(paused bool) error {
			err := r.cli.ContainerKill(ctx, p.store(), "SIGKILL")
			if err != nil && paused {
				// Engines differ in whether they kill what is paused.
				err = errors.Join(err, p.thaw(ctx, r.cli))
			}
			return err
		}
		status, err := p.end(ctx, r.cli, killLimit, kill)
		if err == nil {
			c.opts.Logger.Info("node killed", "node", n, "status", status)
		}
		return err
	})
}

// Terminate ends the node's store by SIGTERM and returns when the engine says that it does
// not run. One that has not ended after 15 s runs on, and that is an error, as is a paused
// one, which cannot obey. Terminating a dead node is no error.
func (c *Cluster) Terminate(ctx context.Context, n harness.NodeID) error {
	return c.on(ctx, "terminate", n, func(r *running, p *pod) error {
		status, err := p.terminate(ctx, r.cli, termLimit)
		if err == nil {
			c.opts.Logger.Info("node terminated", "node", n, "status", status)
		}
		return err
	})
}

func (p *pod) terminate(ctx context.Context, cli *client.Client, patience time.Duration) (status int, err error) {
	if frozen, err := isFrozen(ctx, cli, p); err == nil && frozen {
		return 0, errors.New("it is paused: resume it first")
	}
	var asked time.Time
	return p.end(ctx, cli, patience, func(bool) error {
		if time.Since(asked) < askAgain {
			return nil // a second signal may mean something else to it
		}
		err := cli.ContainerKill(ctx, p.store(), "SIGTERM")
		if err == nil {
			asked = time.Now()
		}
		return err
	})
}

// Restart starts the node's store again, on its volume and in its pod, and returns when it
// listens, or takes long to. Should the pod have lost its rules, or its host container have ended, it
// gets both back first. Restarting a running node is no error. A store that ends at once
// is one, with what it said.
func (c *Cluster) Restart(ctx context.Context, n harness.NodeID) error {
	return c.on(ctx, "restart", n, func(r *running, p *pod) error {
		state, err := r.cli.ContainerInspect(ctx, p.store())
		if err != nil {
			return fmt.Errorf("inspect: %w", err)
		}
		if state.State.Running {
			return nil
		}
		if err := c.rearm(ctx, r, n, p); err != nil {
			return err
		}
		p.stopped.Store(false)
		err = uninterrupted(ctx, func(ctx context.Context) error {
			return r.cli.ContainerStart(ctx, p.store(), container.StartOptions{})
		})
		if err != nil {
			return err
		}
		c.opts.Logger.Info("node restarted", "node", n)
		if err := r.plan.attend(ctx, p); err != nil {
			return err
		}
		return r.trace(ctx, n, p) // its disk is as bad as before
	})
}

// rearm looks whether the pod still has its rules, which no end of a store takes away, and gives it those
// that it should have if it has not. A host container that has ended is started anew: what joins it now
// joins its new network.
func (c *Cluster) rearm(ctx context.Context, r *running, n harness.NodeID, p *pod) error {
	host, err := r.cli.ContainerInspect(ctx, p.host)
	if err != nil {
		return fmt.Errorf("inspect host container: %w", err)
	}
	if !host.State.Running {
		if err := r.plan.run(ctx, p.host); err != nil {
			return fmt.Errorf("host container: %w", err)
		}
		if err := r.plan.locate(ctx, p); err != nil {
			return err
		}
		if err := r.plan.recapture(ctx, p); err != nil {
			return err
		}
	}
	if _, err := r.counters(ctx, []harness.NodeID{n}); !errors.Is(err, errRulesGone) {
		return err
	}
	c.opts.Logger.Warn("node had lost its packet filter rules", "node", n)
	if err := lock(ctx, c.rules); err != nil {
		return err
	}
	defer unlock(c.rules)
	_, err = p.install(ctx, c.rulesOf(r, n))
	return wrap(err, "install rules")
}

// Alive reports whether the node's store has a process, paused or not.
func (c *Cluster) Alive(ctx context.Context, n harness.NodeID) (bool, error) {
	r, p, err := c.pod(n)
	if err != nil {
		return false, fmt.Errorf("is %s alive: %w", n, err)
	}
	state, err := r.cli.ContainerInspect(ctx, p.store())
	if err != nil {
		return false, fmt.Errorf("is %s alive: inspect: %w", n, err)
	}
	return state.State.Running, nil
}

// on changes the state of a node's store, one change at a time.
func (c *Cluster) on(ctx context.Context, what string, n harness.NodeID, change func(*running, *pod) error) error {
	r, p, err := c.pod(n)
	if err == nil {
		if err = lock(ctx, p.busy); err == nil {
			defer unlock(p.busy)
			err = change(r, p)
		}
	}
	return wrap(err, "%s %s", what, n)
}

// errStillRuns means that a store was asked to end and has not.
var errStillRuns = errors.New("it still runs")

// end calls for a store's end until it does not run, and returns its exit status. Only
// the state counts: a signal that the engine refuses because the store has ended has
// done its work.
func (p *pod) end(ctx context.Context, cli *client.Client, limit time.Duration, call func(paused bool) error) (status int, err error) {
	var said error
	wait := 5 * time.Millisecond
	for begun := time.Now(); time.Since(begun) < limit; wait = min(2*wait, 100*time.Millisecond) {
		state, err := cli.ContainerInspect(ctx, p.store())
		if err != nil {
			return 0, fmt.Errorf("inspect: %w", err)
		}
		if !state.State.Running {
			p.stopped.Store(false) // a pause ends with the process
			return state.State.ExitCode, nil
		}
		said = call(state.State.Paused)
		if err := pause(ctx, wait); err != nil {
			return 0, errors.Join(said, err)
		}
	}
	return 0, errors.Join(fmt.Errorf("%w after %s", errStillRuns, limit), said)
}
