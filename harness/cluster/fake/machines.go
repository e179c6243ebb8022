package fake

import (
	"context"
	"fmt"
	"slices"

	"cartwheel/harness"
)

// Add implements [harness.Resizer].
func (c *Cluster) Add(_ context.Context, n harness.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.running:
		return ErrStopped
	case slices.Contains(c.nodes, n), slices.Contains(c.spares, n):
		return fmt.Errorf("fake: add %s: the name is taken", n)
	}
	c.spares = append(c.spares, n)
	return nil
}

// Remove implements [harness.Resizer].
func (c *Cluster) Remove(_ context.Context, n harness.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.nodes, n) {
		return fmt.Errorf("fake: remove %s: the cluster began with it", n)
	}
	c.spares = slices.DeleteFunc(c.spares, func(s harness.NodeID) bool { return s == n })
	delete(c.dead, n)
	return nil
}

// Spares implements [harness.Resizer].
func (c *Cluster) Spares() []harness.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spares)
}

// Wipe implements [harness.Resizer].
func (c *Cluster) Wipe(_ context.Context, n harness.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead[n] {
		return fmt.Errorf("fake: wipe %s: it lives", n)
	}
	c.wiped[n] = true
	return nil
}

// wipedSince reports whether a node's disk was emptied since the last such question.
func (c *Cluster) wipedSince(n harness.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.wiped[n]
	delete(c.wiped, n)
	return was
}

// Keep implements [harness.Rewinder].
func (c *Cluster) Keep(_ context.Context, n harness.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[n] = true
	return nil
}

// Rewind implements [harness.Rewinder].
func (c *Cluster) Rewind(_ context.Context, n harness.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead[n] || !c.kept[n] {
		return fmt.Errorf("fake: rewind %s: it lives, or no image was kept", n)
	}
	c.rewound = append(c.rewound, n)
	return nil
}

// Rewound lists the nodes that were given an old disk.
func (c *Cluster) Rewound() []harness.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.rewound)
}
