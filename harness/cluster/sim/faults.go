package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/trace"
)

// Cut loses everything that nodes send over the links from now on.
func (c *Cluster) Cut(ctx context.Context, fault string, links []harness.Link) error {
	net, err := c.cuttable(ctx, links)
	if err != nil {
		return fmt.Errorf("cut %s: %w", fault, err)
	}
	net.Cut(fault, links)
	c.trace.event(trace.Line{Event: trace.Cut, Fault: fault, Links: links})
	return nil
}

// Mend undoes one fault's cuts.
func (c *Cluster) Mend(_ context.Context, fault string) error {
	c.mu.Lock()
	net := c.net
	c.mu.Unlock()
	if net == nil {
		return fmt.Errorf("mend %s: %w", fault, ErrStopped)
	}
	net.Mend(fault)
	c.trace.event(trace.Line{Event: trace.Mend, Fault: fault})
	return nil
}

// Dropped counts what a fault's cuts have lost, every repetition of a packet again.
func (c *Cluster) Dropped(_ context.Context, fault string) (map[harness.Link]uint64, error) {
	c.mu.Lock()
	net := c.net
	c.mu.Unlock()
	if net == nil {
		return nil, fmt.Errorf("count drops of %s: %w", fault, ErrStopped)
	}
	counts := net.Dropped(fault)
	if counts == nil {
		return nil, fmt.Errorf("count drops of %s: no such fault is in force", fault)
	}
	return counts, nil
}

// Probe sends echoes over all the links at once.
func (c *Cluster) Probe(ctx context.Context, links []harness.Link) (map[harness.Link]bool, error) {
	net, err := c.cuttable(ctx, links)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	open, errs := make([]bool, len(links)), make([]error, len(links))
	var echoes sync.WaitGroup
	for i, l := range links {
		echoes.Go(func() { open[i], errs[i] = net.Probe(ctx, l) })
	}
	echoes.Wait()
	got := make(map[harness.Link]bool, len(links))
	for i, l := range links {
		if errs[i] != nil {
			return nil, fmt.Errorf("probe %s->%s: %w", l.From, l.To, errs[i])
		}
		got[l] = open[i]
	}
	return got, nil
}

// cuttable returns the network if the links are links of a running cluster, or lead from or to
// its clients.
func (c *Cluster) cuttable(ctx context.Context, links []harness.Link) (*wire.Net, error) {
	var inside []harness.Link
	for _, l := range links {
		ends := []harness.NodeID{l.From, l.To}
		i := slices.Index(ends, harness.Clients)
		if i < 0 || l.From == l.To {
			inside = append(inside, l)
			continue
		}
		if _, _, err := c.find(ends[1-i]); err != nil {
			return nil, err
		}
	}
	return c.between(ctx, inside)
}

// between returns the network if the links are links of a running cluster.
func (c *Cluster) between(ctx context.Context, links []harness.Link) (*wire.Net, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.net == nil {
		return nil, ErrStopped
	}
	for _, l := range links {
		for _, end := range []harness.NodeID{l.From, l.To} {
			if !c.has(end) {
				return nil, c.missing(end)
			}
		}
		if l.From == l.To {
			return nil, fmt.Errorf("a link from %s to itself", l.From)
		}
	}
	return c.net, nil
}

// Pause keeps back all messages of and to the node until Resume. A dead node is not paused.
func (c *Cluster) Pause(ctx context.Context, n harness.NodeID) error {
	return c.on(ctx, "pause", n, func(net *wire.Net, v *machine) error {
		if v.alive() == nil {
			return fmt.Errorf("%s is dead", n)
		}
		net.Freeze(n)
		c.note(trace.Pause, n, "")
		return nil
	})
}

// Resume lets a paused node go on.
func (c *Cluster) Resume(ctx context.Context, n harness.NodeID) error {
	return c.on(ctx, "resume", n, func(net *wire.Net, _ *machine) error {
		net.Thaw(n)
		c.note(trace.Resume, n, "")
		return nil
	})
}

// Paused reports whether the node is paused.
func (c *Cluster) Paused(ctx context.Context, n harness.NodeID) (paused bool, err error) {
	err = c.on(ctx, "look at", n, func(net *wire.Net, _ *machine) error {
		paused = net.Frozen(n)
		return nil
	})
	return paused, err
}

// Kill cuts the node's power: its process is gone and with it whatever was not synced.
// A pause ends with it. Killing a dead node is no error.
func (c *Cluster) Kill(ctx context.Context, n harness.NodeID) error {
	defer c.lock()()
	return c.on(ctx, "kill", n, func(_ *wire.Net, v *machine) error {
		v.kill()
		return nil
	})
}

// Terminate ends the node's process in an orderly way and keeps its disk.
// Terminating a dead node is no error, a paused one does not hear.
func (c *Cluster) Terminate(ctx context.Context, n harness.NodeID) error {
	defer c.lock()()
	return c.on(ctx, "terminate", n, func(net *wire.Net, v *machine) error {
		if net.Frozen(n) {
			return errors.New("it is paused")
		}
		return v.stop()
	})
}

// Restart begins a new life on what the disk has kept. Restarting a running node is no error.
func (c *Cluster) Restart(ctx context.Context, n harness.NodeID) error {
	defer c.lock()()
	return c.on(ctx, "restart", n, func(_ *wire.Net, v *machine) error { return v.start(ctx) })
}

// Alive reports whether the node has a process.
func (c *Cluster) Alive(ctx context.Context, n harness.NodeID) (alive bool, err error) {
	err = c.on(ctx, "look at", n, func(_ *wire.Net, v *machine) error {
		alive = v.alive() != nil
		return nil
	})
	return alive, err
}

// on does something to a node of a running cluster.
func (c *Cluster) on(ctx context.Context, what string, n harness.NodeID, do func(*wire.Net, *machine) error) error {
	err := ctx.Err()
	if err == nil {
		var net *wire.Net
		var v *machine
		if net, v, err = c.find(n); err == nil {
			err = do(net, v)
		}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, n, err)
	}
	return nil
}
