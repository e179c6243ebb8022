package fake

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"cartwheel/harness"
)

// A disturbed cluster's state besides cuts, pauses and kills.
type disturbed struct {
	shaped map[string]map[harness.Link]uint64 // by fault, with packets hit
	skews  map[harness.NodeID]skew
	disks  map[harness.NodeID]*uint64 // bad ones, with operations hit
}

type skew struct {
	harness.Skew
	since time.Time
}

func newDisturbed() disturbed {
	return disturbed{map[string]map[harness.Link]uint64{}, map[harness.NodeID]skew{}, map[harness.NodeID]*uint64{}}
}

func (d disturbed) well() bool { return len(d.shaped) == 0 && len(d.skews) == 0 && len(d.disks) == 0 }

// Use lets a node write to its disk once, which a bad one counts.
func (c *Cluster) Use(n harness.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hit := c.disks[n]; hit != nil && !c.dead[n] {
		*hit++
	}
}

// Shapes implements [harness.Shaper]: it can make packets late or lose them.
func (c *Cluster) Shapes() []string { return []string{harness.ShapeDelay, harness.ShapeLoss} }

// Shape implements [harness.Shaper].
func (c *Cluster) Shape(_ context.Context, fault string, links []harness.Link, s harness.Shape) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running {
		return ErrStopped
	}
	if c.defects.ShapeIdle {
		return nil
	}
	if c.defects.ShapeLeaks {
		links = links[1:]
	}
	c.shaped[fault] = map[harness.Link]uint64{}
	for _, l := range links {
		c.shaped[fault][l] = 0
	}
	return s.Valid()
}

// Unshape implements [harness.Shaper].
func (c *Cluster) Unshape(_ context.Context, fault string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.defects.UnshapeIdle {
		delete(c.shaped, fault)
	}
	return nil
}

// Shaped implements [harness.Shaper].
func (c *Cluster) Shaped(_ context.Context, fault string) (map[harness.Link]uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shaped[fault] == nil {
		return nil, errors.New("fake: no such fault")
	}
	return maps.Clone(c.shaped[fault]), nil
}

// Skew implements [harness.ClockSkewer].
func (c *Cluster) Skew(_ context.Context, n harness.NodeID, s harness.Skew) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.running || !slices.Contains(c.nodes, n):
		return ErrStopped
	case c.defects.SkewIdle:
	case s == harness.Skew{}:
		delete(c.skews, n)
	default:
		c.skews[n] = skew{s, time.Now()}
	}
	return nil
}

// Offset implements [harness.ClockSkewer].
func (c *Cluster) Offset(_ context.Context, n harness.NodeID) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running || c.dead[n] || c.paused[n] {
		return 0, ErrStopped
	}
	if c.defects.Offset > 0 {
		c.defects.Offset--
		return 0, errors.New("fake: it has just begun and does not answer yet")
	}
	s := c.skews[n]
	return s.At(time.Since(s.since)), nil
}

// DiskFaults implements [harness.DiskFaulter].
func (c *Cluster) DiskFaults() []string {
	return []string{harness.DiskSlow, harness.DiskFull, harness.DiskRotten}
}

// Disturb implements [harness.DiskFaulter].
func (c *Cluster) Disturb(_ context.Context, n harness.NodeID, f harness.DiskFault) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running || !slices.Contains(c.nodes, n) {
		return ErrStopped
	}
	if f.AtRest() && !c.dead[n] {
		return errors.New("fake: damage to files of a living node")
	}
	c.disks[n] = new(uint64)
	if f.AtRest() {
		*c.disks[n] = 1
	}
	return f.Valid()
}

// Undisturb implements [harness.DiskFaulter].
func (c *Cluster) Undisturb(_ context.Context, n harness.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.defects.UndisturbIdle {
		delete(c.disks, n)
	}
	return nil
}

// Disturbed implements [harness.DiskFaulter].
func (c *Cluster) Disturbed(_ context.Context, n harness.NodeID) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hit := c.disks[n]; hit != nil {
		return *hit, nil
	}
	return 0, nil
}
