package fake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"cartwheel/harness"
)

// Defects are switches that break a part of the contract. They may be changed at any
// time through [Cluster.Break].
type Defects struct {
	Start         error // Start returns it
	Cut           error // Cut does half of its work and returns it
	CutIdle       bool  // Cut says yes and does nothing
	CutLeaks      bool  // the first link of every cut stays open
	CutTooMuch    bool  // Cut blocks every link of the cluster
	CutUncounted  bool  // Dropped knows of nothing
	Mend          int   // so many calls of Mend fail first
	MendIdle      bool  // Mend says yes and does nothing
	PauseIdle     bool  // Pause says yes and does nothing
	PauseAll      bool  // Pause pauses every node
	ResumeIdle    bool  // Resume says yes and does nothing
	KillIdle      bool  // Kill and Terminate say yes and do nothing
	KillAll       bool  // Kill and Terminate end every node
	RestartIdle   bool  // Restart says yes and does nothing
	Restart       int   // so many calls of Restart fail first
	ShapeIdle     bool  // Shape says yes and does nothing
	ShapeLeaks    bool  // the first link that is to be shaped is not
	UnshapeIdle   bool  // Unshape says yes and does nothing
	SkewIdle      bool  // Skew says yes and does nothing
	Offset        int   // so many calls of Offset fail first
	UndisturbIdle bool  // Undisturb says yes and does nothing
	Probe         error // Probe returns it
}

// ErrStopped is returned by methods that need running nodes.
var ErrStopped = errors.New("fake: cluster is not running")

// Cluster is the fake. It is safe for concurrent use.
type Cluster struct {
	nodes []harness.NodeID

	mu      sync.Mutex
	defects Defects
	running bool
	starts  int
	cuts    map[string]map[harness.Link]*uint64 // by fault, with dropped packets
	paused  map[harness.NodeID]bool
	dead    map[harness.NodeID]bool
	spares  []harness.NodeID
	wiped   map[harness.NodeID]bool
	kept    map[harness.NodeID]bool // images of disks
	rewound []harness.NodeID        // nodes that were given theirs
	disturbed
}

// New makes a cluster of n nodes, n1 and so on, not started.
func New(n int) *Cluster {
	c := &Cluster{
		cuts:   make(map[string]map[harness.Link]*uint64),
		paused: make(map[harness.NodeID]bool),
		dead:   make(map[harness.NodeID]bool),
		wiped:  make(map[harness.NodeID]bool),
		kept:   make(map[harness.NodeID]bool),

		disturbed: newDisturbed(),
	}
	for i := range n {
		c.nodes = append(c.nodes, harness.NodeID(fmt.Sprintf("n%d", i+1)))
	}
	return c
}

// Break changes the defects.
func (c *Cluster) Break(f func(*Defects)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.defects)
}

// World is "fake".
func (c *Cluster) World() string { return "fake" }

// Nodes lists n1, n2 and so on.
func (c *Cluster) Nodes() []harness.NodeID { return slices.Clone(c.nodes) }

// Address makes one up.
func (c *Cluster) Address(n harness.NodeID) string { return string(n) + ":1" }

// Start makes the nodes run.
func (c *Cluster) Start(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.defects.Start != nil {
		return c.defects.Start
	}
	c.running = true
	c.starts++
	return nil
}

// Stop ends the nodes.
func (c *Cluster) Stop(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("fake: stop: %w", context.Cause(ctx))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
	return nil
}

// Running reports whether nodes run, and how often they were started.
func (c *Cluster) Running() (running bool, starts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running, c.starts
}

// Healthy reports that no link is cut or shaped, no node paused or dead, no clock
// wrong, no disk bad and no machine added.
func (c *Cluster) Healthy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.paused {
		if p {
			return false
		}
	}
	return len(c.cuts) == 0 && len(c.dead) == 0 && len(c.spares) == 0 && c.well()
}

// Send reports whether a packet arrives; one that a cut discards is counted.
func (c *Cluster) Send(from, to harness.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running || c.paused[from] || c.paused[to] || c.dead[from] || c.dead[to] {
		return false
	}
	for _, hit := range c.shaped {
		if _, ok := hit[harness.Link{From: from, To: to}]; ok {
			hit[harness.Link{From: from, To: to}]++
		}
	}
	for _, dropped := range c.blocking(harness.Link{From: from, To: to}) {
		*dropped++
		return false // the first rule takes it
	}
	return true
}

// blocking returns the counters of the rules that match a link, in order of fault.
func (c *Cluster) blocking(l harness.Link) []*uint64 {
	var faults []string
	for fault, links := range c.cuts {
		if links[l] != nil {
			faults = append(faults, fault)
		}
	}
	slices.Sort(faults)
	var counters []*uint64
	for _, f := range faults {
		counters = append(counters, c.cuts[f][l])
	}
	return counters
}

// Cut implements [harness.Partitioner].
func (c *Cluster) Cut(_ context.Context, fault string, links []harness.Link) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch d := c.defects; {
	case !c.running:
		return ErrStopped
	case d.CutIdle:
		return nil
	case d.CutLeaks:
		links = links[1:]
	case d.Cut != nil:
		links = links[:len(links)/2]
	case d.CutTooMuch:
		links = nil
		for _, from := range c.nodes {
			for _, to := range c.nodes {
				if from != to {
					links = append(links, harness.Link{From: from, To: to})
				}
			}
		}
	}
	c.cuts[fault] = make(map[harness.Link]*uint64)
	for _, l := range links {
		c.cuts[fault][l] = new(uint64)
	}
	return c.defects.Cut
}

// Mend implements [harness.Partitioner].
func (c *Cluster) Mend(_ context.Context, fault string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.defects.Mend > 0 {
		c.defects.Mend--
		return errors.New("fake: mend refused")
	}
	if !c.defects.MendIdle {
		delete(c.cuts, fault)
	}
	return nil
}

// Dropped implements [harness.Partitioner].
func (c *Cluster) Dropped(_ context.Context, fault string) (map[harness.Link]uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dropped := make(map[harness.Link]uint64)
	for l, n := range c.cuts[fault] {
		if !c.defects.CutUncounted {
			dropped[l] = *n
		}
	}
	return dropped, nil
}

// Probe implements [harness.Partitioner]. Probes are not counted as dropped, and a
// paused node's network still answers.
func (c *Cluster) Probe(_ context.Context, links []harness.Link) (map[harness.Link]bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running {
		return nil, ErrStopped
	}
	if c.defects.Probe != nil {
		return nil, c.defects.Probe
	}
	arrived := make(map[harness.Link]bool)
	for _, l := range links {
		arrived[l] = len(c.blocking(l)) == 0
	}
	return arrived, nil
}

// Pause implements [harness.Pauser].
func (c *Cluster) Pause(_ context.Context, n harness.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.running:
		return ErrStopped
	case c.dead[n]:
		return fmt.Errorf("fake: pause %s: it is dead", n)
	case c.defects.PauseIdle:
	case c.defects.PauseAll:
		for _, n := range c.nodes {
			c.paused[n] = true
		}
	default:
		c.paused[n] = true
	}
	return nil
}

// Resume implements [harness.Pauser].
func (c *Cluster) Resume(_ context.Context, n harness.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.defects.ResumeIdle {
		c.paused[n] = false
	}
	return nil
}

// Paused implements [harness.Pauser].
func (c *Cluster) Paused(_ context.Context, n harness.NodeID) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused[n], nil
}

// Kill implements [harness.Killer].
func (c *Cluster) Kill(_ context.Context, n harness.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.running:
		return ErrStopped
	case c.defects.KillIdle:
		return nil
	case c.defects.KillAll:
		for _, n := range c.nodes {
			c.dead[n] = true
		}
	}
	c.dead[n] = true
	delete(c.paused, n)
	return nil
}

// Terminate implements [harness.Killer].
func (c *Cluster) Terminate(ctx context.Context, n harness.NodeID) error {
	c.mu.Lock()
	paused := c.paused[n]
	c.mu.Unlock()
	if paused {
		return fmt.Errorf("fake: terminate %s: it is paused", n)
	}
	return c.Kill(ctx, n)
}

// Restart implements [harness.Killer].
func (c *Cluster) Restart(_ context.Context, n harness.NodeID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.defects.Restart > 0 {
		c.defects.Restart--
		return errors.New("fake: restart refused")
	}
	if !c.defects.RestartIdle {
		delete(c.dead, n)
	}
	return nil
}

// Alive implements [harness.Killer].
func (c *Cluster) Alive(_ context.Context, n harness.NodeID) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running && !c.dead[n], nil
}

// Logs implements [harness.LogFetcher].
func (c *Cluster) Logs(_ context.Context, n harness.NodeID, w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s was here\n", n); err != nil {
		return fmt.Errorf("fake: logs of %s: %w", n, err)
	}
	return nil
}
