package wire

import (
	"cmp"
	"context"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
)

// A cut is what one fault took away.
type cut struct {
	links   map[harness.Link]bool
	dropped map[harness.Link]uint64
}

// Cut loses every packet on the links from now on, those in flight included. Faults
// may overlap; a second Cut of one fault adds links.
func (n *Net) Cut(fault string, links []harness.Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.cuts[fault]
	if c == nil {
		c = &cut{links: map[harness.Link]bool{}, dropped: map[harness.Link]uint64{}}
		n.cuts[fault] = c
	}
	for _, l := range links {
		c.links[l] = true
	}
}

// Mend undoes one fault's Cut, and forgets it. An unknown fault is no error.
func (n *Net) Mend(fault string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cuts, fault)
}

// Dropped counts the packets, repeated ones again, that the fault has lost; probes are
// left out. It is nil for an unknown fault.
func (n *Net) Dropped(fault string) map[harness.Link]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.cuts[fault]
	if c == nil {
		return nil
	}
	out := make(map[harness.Link]uint64, len(c.links))
	for l := range c.links {
		out[l] = c.dropped[l]
	}
	return out
}

// lose reports whether a fault has cut the link and counts the packet for every one that has.
// The caller holds n.mu.
func (n *Net) lose(l harness.Link, count bool) (lost bool) {
	if len(n.cuts) == 0 {
		return false
	}
	l = n.crowded(l)
	for _, c := range n.cuts {
		if c.links[l] {
			lost = true
			if count {
				c.dropped[l]++
			}
		}
	}
	return lost
}

// crowded is the link as cuts know it.
func (n *Net) crowded(l harness.Link) harness.Link {
	if n.opts.Crowd == nil {
		return l
	}
	return harness.Link{From: cmp.Or(n.opts.Crowd(l.From), l.From), To: cmp.Or(n.opts.Crowd(l.To), l.To)}
}

// probesMax is how many echoes a probe sends, so that a lossy link is not taken for a cut one.
const probesMax = 3

// Probe sends up to three echoes over the link, from kernel to kernel, and reports
// whether one arrived: the process at the other end need not run. It waits for each.
func (n *Net) Probe(ctx context.Context, l harness.Link) (bool, error) {
	for i := range uint64(probesMax) {
		n.mu.Lock()
		name := fate.Hash('p', i)
		ill, lost := n.disturb(l, name, 0, false), n.lose(l, false)
		n.mu.Unlock()
		lost = lost || ill.lost
		timer := time.NewTimer(n.latency(l, name, ill.late))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false, ctx.Err()
		case <-timer.C:
		}
		n.mu.Lock()
		lost = lost || n.lose(l, false)
		n.mu.Unlock()
		if !lost {
			return true, nil
		}
	}
	return false, nil
}
