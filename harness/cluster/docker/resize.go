package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/docker/docker/api/types/container"

	"cartwheel/harness"
)

// ErrFixed means that the store under test does not say how a node joins.
var ErrFixed = errors.New("nodes of this store cannot join: see Options.Join")

// Add makes a pod beside those that the cluster began with. Its store is told to join. No rule
// of other pods names it: what is cut between them does not cut it off.
func (c *Cluster) Add(ctx context.Context, n harness.NodeID) error {
	if err := checkName("machine", string(n)); err != nil {
		return err
	}
	if err := lock(ctx, c.lifecycle); err != nil {
		return fmt.Errorf("add %s: %w", n, err)
	}
	defer unlock(c.lifecycle)
	r, err := c.started()
	switch {
	case err != nil:
	case c.opts.Join == nil:
		err = ErrFixed
	case r.pod(n) != nil:
		err = errors.New("there is one of that name")
	}
	if err == nil {
		err = r.add(ctx, n)
	}
	if err == nil {
		c.opts.Logger.Info("machine added", "node", n)
	}
	return wrap(err, "add %s", n)
}

func (r *running) add(ctx context.Context, n harness.NodeID) error {
	self := peer{node: n, address: hostAddress(r.plan.within, r.slot())}
	if !r.plan.within.Contains(self.address) {
		return errors.New("the network has no further address")
	}
	p, backend, err := r.plan.start(ctx, self, r.plan.join(self, 0))
	if err == nil && backend != r.backend {
		err = fmt.Errorf("its packet filter is %s, those of the others are %s", backend, r.backend)
	}
	if err != nil {
		// ctx may be what ended it, and clean-up must happen all the same.
		alone, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return errors.Join(err, r.discard(alone, n))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pods[n] = p
	r.added = append(r.added, self)
	return nil
}

// slot is the number of the first address that no pod has. Adding takes turns.
func (r *running) slot() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	used := map[string]bool{}
	for _, p := range r.pods {
		used[p.address.String()] = true
	}
	for i := 0; ; i++ {
		if !used[hostAddress(r.plan.within, i).String()] {
			return i
		}
	}
}

// join is what a machine's store runs that is no member; its name tells how often it was wiped.
func (p *plan) join(self peer, wiped int) []string {
	var seeds []string
	for n, address := range p.reached() {
		if n != self.node {
			seeds = append(seeds, address)
		}
	}
	slices.Sort(seeds)
	return p.opts.Join(harness.Life(self.node, wiped), p.reach(self), seeds)
}

// Remove takes an added pod away with all that it has.
func (c *Cluster) Remove(ctx context.Context, n harness.NodeID) error {
	if slices.Contains(c.nodes, n) {
		return fmt.Errorf("remove %s: the cluster began with it", n)
	}
	if err := lock(ctx, c.lifecycle); err != nil {
		return fmt.Errorf("remove %s: %w", n, err)
	}
	defer unlock(c.lifecycle)
	r, err := c.started()
	if err != nil || r.pod(n) == nil {
		return wrap(err, "remove %s", n)
	}
	if err := r.discard(ctx, n); err != nil {
		return fmt.Errorf("remove %s: %w", n, err)
	}
	if err := lock(ctx, c.rules); err != nil {
		return fmt.Errorf("remove %s: %w", n, err)
	}
	r.pod(n).hangUp()
	unlock(c.rules)
	r.mu.Lock()
	delete(r.pods, n)
	r.added = slices.DeleteFunc(r.added, func(p peer) bool { return p.node == n })
	r.mu.Unlock()
	c.opts.Logger.Info("machine removed", "node", n)
	return nil
}

// discard removes all that carries the node's name.
func (r *running) discard(ctx context.Context, n harness.NodeID) error {
	of := ours(r.plan.opts.Run)
	of.Add("label", labelNode+"="+string(n))
	left, err := list(ctx, r.cli, of)
	if err != nil {
		return err
	}
	return left.remove(ctx, r.cli, map[string]bool{}, &Cleaned{})
}

// Spares lists the added machines.
func (c *Cluster) Spares() []harness.NodeID {
	r, err := c.started()
	if err != nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []harness.NodeID
	for _, p := range r.added {
		out = append(out, p.node)
	}
	return out
}

// Wipe gives a dead node's pod a new volume, and a store container that joins when it is started.
func (c *Cluster) Wipe(ctx context.Context, n harness.NodeID) error {
	return c.on(ctx, "wipe", n, func(r *running, p *pod) error {
		if c.opts.Join == nil {
			return ErrFixed
		}
		state, err := r.cli.ContainerInspect(ctx, p.store())
		if err != nil {
			return fmt.Errorf("inspect: %w", err)
		}
		if state.State.Running {
			return errors.New("it lives: kill it first")
		}
		if err := r.mendFile(ctx, p); err != nil { // what has the volume would keep it
			return err
		}
		if err := removed(0, r.cli.ContainerRemove(ctx, p.store(), container.RemoveOptions{Force: true})); err != nil {
			return fmt.Errorf("remove the store's container: %w", err)
		}
		self := peer{node: n, address: p.address}
		volume := r.plan.name(self, "data")
		if err := insist(ctx, func() error { return removed(0, r.cli.VolumeRemove(ctx, volume, true)) }); err != nil {
			return fmt.Errorf("remove the volume: %w", err)
		}
		p.wiped++
		id, err := r.plan.create(ctx, self, "store", r.plan.storeConfig(self, p.host, r.plan.join(self, p.wiped)))
		if err != nil {
			return err
		}
		p.storeID.Store(id)
		p.stopped.Store(false)
		c.opts.Logger.Info("node wiped", "node", n)
		return nil
	})
}
