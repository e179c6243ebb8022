package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"cartwheel/harness"
)

// Cut loses every packet on the links, by rules of the receiving pods, or of the sending one
// where clients receive. A fault that is cut
// again loses more links. After an error some of the links may be cut; Mend undoes that.
func (c *Cluster) Cut(ctx context.Context, fault string, links []harness.Link) error {
	fail := func(err error) error { return fmt.Errorf("cut %s: %w", fault, err) }
	if err := checkName("fault", fault); err != nil {
		return fail(err)
	}
	r, err := c.started()
	if err != nil {
		return fail(err)
	}
	if err := r.checkLinks(links); err != nil {
		return fail(err)
	}
	if err := lock(ctx, c.rules); err != nil {
		return fail(err)
	}
	defer unlock(c.rules)
	if c.faults[fault] == nil {
		c.faults[fault] = map[harness.Link]bool{}
	}
	for _, l := range links {
		c.faults[fault][l] = true
		c.dirty[gate(l)] = true
	}
	if err := c.rewrite(ctx, r); err != nil {
		return fail(err)
	}
	return nil
}

// Mend undoes one fault's cut. After an error it can be called again.
func (c *Cluster) Mend(ctx context.Context, fault string) error {
	r, err := c.started()
	if err != nil {
		return fmt.Errorf("mend %s: %w", fault, err)
	}
	if err := lock(ctx, c.rules); err != nil {
		return fmt.Errorf("mend %s: %w", fault, err)
	}
	defer unlock(c.rules)
	for l := range c.faults[fault] {
		c.dirty[gate(l)] = true
	}
	delete(c.faults, fault)
	if err := c.rewrite(ctx, r); err != nil {
		return fmt.Errorf("mend %s: %w", fault, err)
	}
	return nil
}

// rewrite gives all dirty nodes the rules that they should have, at the same time. A node
// whose rewriting failed stays dirty. The caller holds rules.
func (c *Cluster) rewrite(ctx context.Context, r *running) error {
	type done struct {
		node harness.NodeID
		err  error
	}
	nodes := slices.Sorted(maps.Keys(c.dirty))
	results := make(chan done, len(nodes))
	err := each(nodes, func(n harness.NodeID) error {
		text := c.rulesOf(r, n)
		_, err := r.pod(n).shell.run(ctx, text, "bash", "-c", rulesScript, "rules.sh", "apply", r.backend)
		results <- done{n, err}
		if err != nil {
			return fmt.Errorf("rules of %s: %w", n, err)
		}
		return nil
	})
	close(results)
	for d := range results {
		if d.err == nil {
			delete(c.dirty, d.node)
		}
	}
	return err
}

// rulesOf renders what the node's rules should be. It only reads.
func (c *Cluster) rulesOf(r *running, to harness.NodeID) string {
	var others []peer
	for _, n := range c.nodes {
		if n != to {
			others = append(others, peer{node: n, address: r.pod(n).address})
		}
	}
	links := map[harness.NodeID]disturbed{} // by who sends, or where to
	for _, fault := range slices.Sorted(maps.Keys(c.faults)) {
		for l := range c.faults[fault] {
			if gate(l) == to {
				d := links[marked(l)]
				d.cuts = append(d.cuts, fault)
				links[marked(l)] = d
			}
		}
	}
	for _, fault := range slices.Sorted(maps.Keys(c.shapings)) {
		s := c.shapings[fault]
		for l := range s.links {
			if l.To == to {
				links[l.From] = s.on(links[l.From], fault)
			}
		}
	}
	return render(others, links) + renderOut(others) +
		renderClients(r.plan.door(), links[harness.Clients].cuts, links[clientsOut].cuts)
}

// Dropped counts the packets that the fault has discarded so far, by link. Where faults
// overlap, each counts what it would have discarded alone. Probes do not count.
func (c *Cluster) Dropped(ctx context.Context, fault string) (map[harness.Link]uint64, error) {
	fail := func(err error) (map[harness.Link]uint64, error) {
		return nil, fmt.Errorf("packets dropped by %s: %w", fault, err)
	}
	r, err := c.started()
	if err != nil {
		return fail(err)
	}
	if err := lock(ctx, c.rules); err != nil {
		return fail(err)
	}
	links := slices.Collect(maps.Keys(c.faults[fault]))
	_, known := c.faults[fault]
	unlock(c.rules)
	if !known {
		return fail(fmt.Errorf("no such fault is in force"))
	}
	counts, err := r.counters(ctx, receivers(links))
	if err != nil {
		return fail(err)
	}
	dropped := map[harness.Link]uint64{}
	for _, l := range links {
		dropped[l] = 0
		for _, part := range cutParts {
			dropped[l] += counts[gate(l)][cutMark(marked(l), fault, part)]
		}
	}
	return dropped, nil
}

// counters reads the counters of several nodes at once.
func (r *running) counters(ctx context.Context, nodes []harness.NodeID) (map[harness.NodeID]map[string]uint64, error) {
	type reading struct {
		node   harness.NodeID
		counts map[string]uint64
	}
	readings := make(chan reading, len(nodes))
	err := each(nodes, func(n harness.NodeID) error {
		saved, err := r.pod(n).shell.run(ctx, "", "iptables-"+r.backend+"-save", "-c", "-t", "filter")
		if err != nil {
			return fmt.Errorf("counters of %s: %w", n, err)
		}
		counts, err := parseCounters(saved)
		if err != nil {
			return fmt.Errorf("counters of %s: %w", n, err)
		}
		readings <- reading{n, counts}
		return nil
	})
	close(readings)
	if err != nil {
		return nil, err
	}
	all := map[harness.NodeID]map[string]uint64{}
	for got := range readings {
		all[got.node] = got.counts
	}
	return all, nil
}

// checkLinks wants links between nodes, or between one and clients.
func (r *running) checkLinks(links []harness.Link) error {
	known := func(n harness.NodeID) bool { return n == harness.Clients || r.pod(n) != nil }
	for _, l := range links {
		if !known(l.From) || !known(l.To) || l.From == l.To {
			return fmt.Errorf("no link from %q to %q", l.From, l.To)
		}
	}
	return nil
}

// receivers lists the nodes whose rules links meet, each once, in order.
func receivers(links []harness.Link) []harness.NodeID {
	set := map[harness.NodeID]bool{}
	for _, l := range links {
		set[gate(l)] = true
	}
	return slices.Sorted(maps.Keys(set))
}
