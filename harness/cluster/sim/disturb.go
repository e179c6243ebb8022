package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/trace"
)

// Shapes lists all there are. A message here is a packet there: what is lost or has a
// flipped bit is sent again, of two that arrive the first counts.
func (c *Cluster) Shapes() []string {
	return []string{
		harness.ShapeDelay, harness.ShapeJitter, harness.ShapeLoss, harness.ShapeDuplicate,
		harness.ShapeReorder, harness.ShapeCorrupt, harness.ShapeRate,
	}
}

// Shape disturbs links between nodes.
func (c *Cluster) Shape(ctx context.Context, fault string, links []harness.Link, s harness.Shape) error {
	err := s.Valid()
	var net *wire.Net
	if err == nil {
		net, err = c.between(ctx, links)
	}
	if err != nil {
		return fmt.Errorf("shape links for %s: %w", fault, err)
	}
	net.Shape(fault, s, links)
	c.trace.event(trace.Line{Event: trace.Disturb, Fault: fault, Links: slices.Clone(links), Detail: fmt.Sprintf("links: %+v", s)})
	return nil
}

// Unshape undoes one fault's shaping.
func (c *Cluster) Unshape(ctx context.Context, fault string) error {
	net, err := c.between(ctx, nil)
	if err != nil {
		return fmt.Errorf("undo the shaping of %s: %w", fault, err)
	}
	net.Unshape(fault)
	c.trace.event(trace.Line{Event: trace.Disturb, Fault: fault, Detail: "links: well again"})
	return nil
}

// Shaped counts what a fault has changed or held up, every repetition of a packet again.
func (c *Cluster) Shaped(ctx context.Context, fault string) (map[harness.Link]uint64, error) {
	net, err := c.between(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("count what %s has shaped: %w", fault, err)
	}
	counts := net.Shaped(fault)
	if counts == nil {
		return nil, fmt.Errorf("count what %s has shaped: no such fault is in force", fault)
	}
	return counts, nil
}

// Skew sets the node's wall clock wrong. Its timers are not touched.
func (c *Cluster) Skew(ctx context.Context, n harness.NodeID, s harness.Skew) error {
	return c.on(ctx, "skew the clock of", n, func(_ *wire.Net, v *machine) error {
		if s != (harness.Skew{}) {
			if err := s.Valid(); err != nil {
				return err
			}
		}
		v.clock.set(s)
		c.note(trace.Disturb, n, fmt.Sprintf("its clock: %+v", s))
		return nil
	})
}

// Offset asks the clock that the node reads.
func (c *Cluster) Offset(ctx context.Context, n harness.NodeID) (ahead time.Duration, err error) {
	err = c.on(ctx, "look at the clock of", n, func(_ *wire.Net, v *machine) error {
		ahead = time.Until(v.clock.Now())
		return nil
	})
	return ahead, err
}

// DiskFaults lists all there are.
func (c *Cluster) DiskFaults() []string {
	return []string{harness.DiskSlow, harness.DiskReadErrors, harness.DiskWriteErrors, harness.DiskFull, harness.DiskReadOnly, harness.DiskBitFlips, harness.DiskRotten, harness.DiskTruncated, harness.DiskBadHints, harness.DiskBadRecords}
}

// Disturb makes the node's disk slow or failing.
func (c *Cluster) Disturb(ctx context.Context, n harness.NodeID, f harness.DiskFault) error {
	return c.on(ctx, "disturb the disk of", n, func(_ *wire.Net, v *machine) error {
		if err := f.Valid(); err != nil {
			return err
		}
		if f.AtRest() && v.alive() != nil {
			return errors.New("its files are in use: stop it first")
		}
		damaged, err := v.disk.Disturb(f)
		if err != nil {
			return err
		}
		c.note(trace.Disturb, n, fmt.Sprintf("its disk: %+v %s", f, damaged))
		return nil
	})
}

// Undisturb makes the node's disk well again.
func (c *Cluster) Undisturb(ctx context.Context, n harness.NodeID) error {
	return c.on(ctx, "heal the disk of", n, func(_ *wire.Net, v *machine) error {
		if v.disk.Damaged() && v.alive() != nil {
			return errors.New("its files are in use: stop it first")
		}
		if _, err := v.disk.Disturb(harness.DiskFault{}); err != nil {
			return err
		}
		c.note(trace.Disturb, n, "its disk: well again")
		return nil
	})
}

// Disturbed counts what the fault of the node's disk has hit.
func (c *Cluster) Disturbed(ctx context.Context, n harness.NodeID) (hit uint64, err error) {
	err = c.on(ctx, "look at the disk of", n, func(_ *wire.Net, v *machine) error {
		hit = v.disk.Disturbed()
		return nil
	})
	return hit, err
}
