package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
	"cartwheel/harness/cluster/sim/wire"
)

// ErrStopped is what a cluster answers that does not run.
var ErrStopped = errors.New("the cluster is not running")

// A Cluster is a simulated one. It is safe for concurrent use. Used in a bubble, it
// must have been made there.
type Cluster struct {
	opts  Options
	ids   []harness.NodeID
	begin time.Time
	trace *recorder // nil: nothing is recorded
	calls *calls    // with gRPC itself, what is recorded of it

	// change is held while nodes start and stop, which takes time, so it is a channel.
	change chan struct{}
	dying  sync.WaitGroup // lives that were killed and are not yet closed

	mu    sync.Mutex                        // held for moments only
	net   *wire.Net                         // nil: not running
	conns map[harness.Link]*grpc.ClientConn // of clients, with real gRPC; the cluster closes them
	nodes map[harness.NodeID]*machine
	added []harness.NodeID // machines beside ids, in the order of their making
	tally wire.Tally       // of networks that were stopped
}

var (
	_ harness.Cluster     = (*Cluster)(nil)
	_ harness.Partitioner = (*Cluster)(nil)
	_ harness.Pauser      = (*Cluster)(nil)
	_ harness.Killer      = (*Cluster)(nil)
	_ harness.Shaper      = (*Cluster)(nil)
	_ harness.ClockSkewer = (*Cluster)(nil)
	_ harness.DiskFaulter = (*Cluster)(nil)
	_ harness.LogFetcher  = (*Cluster)(nil)
	_ harness.Resizer     = (*Cluster)(nil)
)

// New makes a cluster that is not started.
func New(o Options) (*Cluster, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("simulated cluster: %w", err)
	}
	c := &Cluster{opts: o, begin: time.Now(), change: make(chan struct{}, 1)}
	for i := range o.Nodes {
		c.ids = append(c.ids, harness.NodeID(fmt.Sprintf("n%d", i+1)))
	}
	return c, nil
}

// World is "sim", or the name of the tier.
func (c *Cluster) World() string {
	switch {
	case c.opts.GRPC:
		return WorldGRPC
	case c.opts.Wire.Round > 0:
		return WorldTies
	}
	return World
}

// Nodes lists n1, n2 and so on.
func (c *Cluster) Nodes() []harness.NodeID { return slices.Clone(c.ids) }

// Address names the node; only [Cluster.Conn] reaches it.
func (c *Cluster) Address(n harness.NodeID) string { return fmt.Sprintf("%s:%d", n, Port) }

// Conn returns a client's connection to a node, which need not be up. Clients with
// one number share their link to the node.
func (c *Cluster) Conn(client int, n harness.NodeID) (grpc.ClientConnInterface, error) {
	net, _, err := c.find(n)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", n, err)
	}
	from := clientName(client)
	if c.opts.GRPC {
		return c.clientConn(net, harness.Link{From: from, To: n})
	}
	return net.Dial(from, n), nil
}

// clientName is what the network calls a client.
func clientName(client int) harness.NodeID { return harness.NodeID(fmt.Sprintf("c%d", client)) }

// crowd tells clients from nodes. Numbers below 0 are the harness's own questions, which are cut
// off from nobody.
func crowd(id harness.NodeID) harness.NodeID {
	if digits, client := strings.CutPrefix(string(id), "c"); client && !strings.HasPrefix(digits, "-") {
		return harness.Clients
	}
	return ""
}

// Start makes a network, empty disks and a first life on each.
func (c *Cluster) Start(ctx context.Context) error {
	defer c.lock()()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	c.mu.Lock()
	if c.net != nil {
		c.mu.Unlock()
		return errors.New("start: the cluster is running")
	}
	o := c.opts.Wire
	o.Seed = fate.Hash(c.opts.Seed, 'w')
	o.Crowd = crowd
	c.net = wire.New(o)
	c.trace.started()
	c.nodes = map[harness.NodeID]*machine{}
	for _, id := range c.ids {
		c.nodes[id] = newMachine(c, id)
	}
	c.mu.Unlock()
	for _, id := range c.ids {
		if err := c.nodes[id].start(ctx); err != nil {
			return errors.Join(fmt.Errorf("start %s: %w", id, err), c.stop())
		}
	}
	return nil
}

// Stop ends all nodes, joins their goroutines and forgets their disks. It takes as long
// as the nodes do, whatever ctx says: what is left running would spoil the next run.
func (c *Cluster) Stop(context.Context) error {
	defer c.lock()()
	return c.stop()
}

func (c *Cluster) stop() error {
	c.mu.Lock()
	net, nodes, conns := c.net, c.nodes, c.conns
	ids := append(slices.Clone(c.ids), c.added...)
	c.net, c.conns, c.added = nil, nil, nil // from here on nothing else gets through
	c.mu.Unlock()
	if net == nil {
		return nil
	}
	var errs []error
	for l, conn := range conns {
		if err := conn.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close the connection of %s to %s: %w", l.From, l.To, err))
		}
	}
	for _, id := range slices.Backward(ids) {
		if err := nodes[id].stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", id, err))
		}
	}
	c.dying.Wait()
	last := net.Tally()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.Packets += last.Packets
	c.tally.Sum += last.Sum
	return errors.Join(errs...)
}

// Tally sums up every packet since the cluster was made. Two runs that did the same
// have the same.
func (c *Cluster) Tally() wire.Tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tally
	if c.net != nil {
		now := c.net.Tally()
		t.Packets += now.Packets
		t.Sum += now.Sum
	}
	return t
}

// Logs writes what a node has logged in all its lives, the oldest lines missing if it was much.
func (c *Cluster) Logs(_ context.Context, n harness.NodeID, w io.Writer) error {
	c.mu.Lock()
	v := c.nodes[n]
	c.mu.Unlock()
	if v == nil {
		return fmt.Errorf("logs of %s: %w", n, c.missing(n))
	}
	if _, err := v.log.WriteTo(w); err != nil {
		return fmt.Errorf("logs of %s: %w", n, err)
	}
	return nil
}

// lock serialises whatever starts and stops nodes.
func (c *Cluster) lock() (unlock func()) {
	c.change <- struct{}{}
	return func() { <-c.change }
}

// find returns the network and a node of a running cluster.
func (c *Cluster) find(n harness.NodeID) (*wire.Net, *machine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.has(n) {
		return nil, nil, c.missing(n)
	}
	if c.net == nil {
		return nil, nil, ErrStopped
	}
	return c.net, c.nodes[n], nil
}

// has reports whether there is such a machine. The caller holds c.mu.
func (c *Cluster) has(n harness.NodeID) bool {
	return slices.Contains(c.ids, n) || slices.Contains(c.added, n)
}

func (c *Cluster) missing(n harness.NodeID) error {
	if slices.Contains(c.ids, n) {
		return ErrStopped
	}
	return fmt.Errorf("there is no node %q", n)
}
