package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/trace"
)

// Add makes a machine and starts its node, which has seeds instead of members.
func (c *Cluster) Add(ctx context.Context, n harness.NodeID) error {
	defer c.lock()()
	c.mu.Lock()
	err := ctx.Err()
	switch {
	case err != nil:
	case n == "":
		err = errors.New("want a name")
	case c.net == nil:
		err = ErrStopped
	case c.has(n):
		err = errors.New("there is one of that name")
	}
	if err != nil {
		c.mu.Unlock()
		return fmt.Errorf("add machine %q: %w", n, err)
	}
	v := newMachine(c, n)
	v.spare = true
	c.nodes[n] = v
	c.added = append(c.added, n)
	c.mu.Unlock()
	if err := v.start(ctx); err != nil {
		c.forget(n)
		return fmt.Errorf("add %s: %w", n, err)
	}
	return nil
}

// Remove takes an added machine away at this instant, as a kill does.
func (c *Cluster) Remove(ctx context.Context, n harness.NodeID) error {
	defer c.lock()()
	if slices.Contains(c.ids, n) {
		return fmt.Errorf("remove %s: the cluster began with it", n)
	}
	if !slices.Contains(c.Spares(), n) {
		return ctx.Err()
	}
	err := c.on(ctx, "remove", n, func(_ *wire.Net, v *machine) error {
		v.kill()
		return nil
	})
	if err == nil {
		c.forget(n)
	}
	return err
}

func (c *Cluster) forget(n harness.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.nodes, n)
	c.added = slices.DeleteFunc(c.added, func(m harness.NodeID) bool { return m == n })
}

// Spares lists the added machines.
func (c *Cluster) Spares() []harness.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.added)
}

// Wipe gives a dead node an empty disk.
func (c *Cluster) Wipe(ctx context.Context, n harness.NodeID) error {
	defer c.lock()()
	return c.on(ctx, "wipe", n, func(_ *wire.Net, v *machine) error {
		if v.alive() != nil {
			return errors.New("it lives: kill it first")
		}
		v.wiped++
		v.disk = c.emptyDisk(fmt.Sprintf("%s, wiped %d times", n, v.wiped))
		c.note(trace.Disturb, n, "disk: emptied")
		return nil
	})
}

// Keep takes an image of a node's disk.
func (c *Cluster) Keep(ctx context.Context, n harness.NodeID) error {
	defer c.lock()()
	return c.on(ctx, "keep an image of", n, func(_ *wire.Net, v *machine) error {
		v.image = v.disk.Image()
		c.note(trace.Disturb, n, "disk: an image was kept")
		return nil
	})
}

// Rewind puts the image in the place of the disk of a dead node.
func (c *Cluster) Rewind(ctx context.Context, n harness.NodeID) error {
	defer c.lock()()
	return c.on(ctx, "rewind", n, func(_ *wire.Net, v *machine) error {
		switch {
		case v.alive() != nil:
			return errors.New("it lives: kill it first")
		case v.image == nil:
			return errors.New("no image of its disk was kept")
		}
		v.disk.Rewind(v.image)
		c.note(trace.Disturb, n, "disk: as it was when an image was kept")
		return nil
	})
}
