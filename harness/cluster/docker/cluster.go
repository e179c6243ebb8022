package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"

	"cartwheel/harness"
)

// ErrNotRunning is returned by what needs a started cluster.
var ErrNotRunning = errors.New("the cluster is not running")

// A Cluster runs a store's nodes as pods on a Docker Engine. It can also cut links,
// freeze, end and restart nodes, make links and disks bad, skew clocks and show logs.
type Cluster struct {
	opts  Options
	nodes []harness.NodeID

	lifecycle chan struct{} // holds one token while Start or Stop works
	rules     chan struct{} // holds one token while rules are rewritten; guards what follows

	faults   map[string]map[harness.Link]bool // what is meant to be cut, by fault
	shapings map[string]shaping               // what is meant to be bad, by fault
	dirty    map[harness.NodeID]bool          // nodes whose rules may not say so yet

	look        sync.Once // at the kernel; guards what follows
	canShape    []string  // see Shapes
	canDisturb  []string  // see DiskFaults
	shaperImage string    // of the pods' shapers

	mu  sync.Mutex // guards now
	now *running   // nil unless started
}

// running is what Start has made. It is not changed afterwards, save for pods.
type running struct {
	cli     *client.Client
	lease   *lease
	plan    *plan
	backend string // "nft" or "legacy"

	mu    sync.Mutex // guards what follows, never a wait
	pods  map[harness.NodeID]*pod
	added []peer // machines beside those of the plan, in the order of their making
}

// pod returns the node's pod, nil if there is none.
func (r *running) pod(n harness.NodeID) *pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pods[n]
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
	_ harness.Capturer    = (*Cluster)(nil)
	_ harness.Resizer     = (*Cluster)(nil)
)

// New returns a cluster that is not started. It reports all that is wrong with the
// options at once.
func New(o Options) (*Cluster, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("docker cluster: %w", err)
	}
	c := &Cluster{
		opts:      o,
		lifecycle: make(chan struct{}, 1), rules: make(chan struct{}, 1),
		faults: map[string]map[harness.Link]bool{}, shapings: map[string]shaping{}, dirty: map[harness.NodeID]bool{},
	}
	for i := range o.Nodes {
		c.nodes = append(c.nodes, harness.NodeID(fmt.Sprintf("n%d", i+1)))
	}
	return c, nil
}

// World is "docker".
func (c *Cluster) World() string { return "docker" }

// Nodes are n1, n2, and so on.
func (c *Cluster) Nodes() []harness.NodeID { return append([]harness.NodeID(nil), c.nodes...) }

// Address is where the node's port is published. It is empty before Start and after Stop.
func (c *Cluster) Address(n harness.NodeID) string {
	_, p, err := c.pod(n)
	if err != nil {
		return ""
	}
	return p.ports.Load().clients
}

// AdminAddress is where the harness's own questions reach the node's store: apart from clients if
// there is an Options.AdminPort, else where they do. It is empty before Start and after Stop.
func (c *Cluster) AdminAddress(n harness.NodeID) string {
	_, p, err := c.pod(n)
	if err != nil {
		return ""
	}
	at := p.ports.Load()
	return cmp.Or(at.admin, at.clients)
}

// Start removes what killed runs have left, builds the host image if it is not there yet,
// and starts all pods at once. On an error it removes all that it made.
func (c *Cluster) Start(ctx context.Context) (err error) {
	if err := lock(ctx, c.lifecycle); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer unlock(c.lifecycle)
	if _, err := c.started(); err == nil {
		return errors.New("start: the cluster is running already")
	}
	cli, err := connect(ctx)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	begun := time.Now()
	r, err := c.launch(ctx, cli)
	if err != nil {
		_ = cli.Close()
		return fmt.Errorf("start: %w", err)
	}
	c.mu.Lock()
	c.now = r
	c.mu.Unlock()
	c.opts.Logger.Info("cluster started", "run", c.opts.Run, "nodes", len(c.nodes), "backend", r.backend, "took", time.Since(begun))
	return nil
}

// launch is Start with an engine at hand.
func (c *Cluster) launch(ctx context.Context, cli *client.Client) (r *running, err error) {
	if done, err := clean(ctx, cli, Stale); err != nil {
		c.opts.Logger.Warn("stale runs not removed", "err", err)
	} else if done != (Cleaned{}) {
		c.opts.Logger.Info("stale runs removed", "runs", done.Runs, "containers", done.Containers)
	}
	// Whoever looks for stale runs holds a lease for a moment, hence the short wait.
	brief, cancel := context.WithTimeout(ctx, 2*time.Second)
	held, err := await(brief, "run-"+c.opts.Run)
	cancel()
	if err != nil {
		return nil, fmt.Errorf("run %s: is it running already? %w", c.opts.Run, err)
	}
	defer func() {
		if err != nil {
			// ctx may be what ended it, and clean-up must happen all the same.
			alone, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			err = errors.Join(err, removeRun(alone, cli, c.opts.Run))
			held.release()
		}
	}()
	// The lease is ours, so what carries this run's name has no owner any more.
	if err := removeRun(ctx, cli, c.opts.Run); err != nil {
		return nil, err
	}
	plan := &plan{cli: cli, opts: c.opts, labels: owner{machine: machine(), lease: held.path, since: time.Now()}.labels(c.opts.Run)}
	if plan.hostImage = c.opts.HostImage; plan.hostImage == "" {
		if plan.hostImage, err = hostImage(ctx, cli, c.opts.Root, c.opts.Logger); err != nil {
			return nil, err
		}
	}
	for _, ref := range []string{plan.hostImage, c.opts.Image} {
		if _, err := cli.ImageInspect(ctx, ref); err != nil {
			return nil, fmt.Errorf("image %s: %w", ref, err)
		}
	}
	var within netip.Prefix
	if plan.network, within, err = createNetwork(ctx, cli, c.opts.Run, plan.labels); err != nil {
		return nil, err
	}
	plan.within = within
	for i, n := range c.nodes {
		plan.peers = append(plan.peers, peer{node: n, address: hostAddress(within, i)})
	}
	r = &running{cli: cli, lease: held, plan: plan}
	r.pods, r.backend, err = plan.startAll(ctx)
	return r, err
}

// Stop removes everything that Start made, in its own time of 15 s at most, whether or
// not ctx has ended.
func (c *Cluster) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := lock(ctx, c.lifecycle); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	defer unlock(c.lifecycle)
	r, err := c.started()
	if err != nil {
		return nil
	}
	if err := removeRun(ctx, r.cli, c.opts.Run); err != nil {
		// The cluster still counts as running, so that Stop can be tried again.
		return fmt.Errorf("stop: %w", err)
	}
	c.mu.Lock()
	c.now = nil
	c.mu.Unlock()
	r.lease.release()
	if err := lock(ctx, c.rules); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	defer unlock(c.rules)
	hangUp(r.pods) // nobody adds or removes one: that takes the lifecycle
	clear(c.faults)
	clear(c.shapings)
	clear(c.dirty)
	if err := r.cli.Close(); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	c.opts.Logger.Info("cluster stopped", "run", c.opts.Run)
	return nil
}

// Logs writes what the node's store has printed, both streams in order.
func (c *Cluster) Logs(ctx context.Context, n harness.NodeID, w io.Writer) error {
	r, p, err := c.pod(n)
	if err != nil {
		return fmt.Errorf("logs of %s: %w", n, err)
	}
	if err := copyLogs(ctx, r.cli, p.store(), "all", w); err != nil {
		return fmt.Errorf("logs of %s: %w", n, err)
	}
	return nil
}

// started returns what runs, or [ErrNotRunning].
func (c *Cluster) started() (*running, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil {
		return nil, ErrNotRunning
	}
	return c.now, nil
}

func (c *Cluster) pod(n harness.NodeID) (*running, *pod, error) {
	r, err := c.started()
	if err != nil {
		return nil, nil, err
	}
	p := r.pod(n)
	if p == nil {
		return nil, nil, fmt.Errorf("no node %s", n)
	}
	return r, p, nil
}

// each does something for several nodes at once and waits for all of them. One that fails
// does not stop the others: half a cut would be worse than a slow error.
func each[T comparable](over []T, f func(T) error) error {
	var eg errgroup.Group
	errs := make([]error, len(over))
	eg.SetLimit(32)
	for i, x := range over {
		eg.Go(func() error {
			errs[i] = f(x)
			return nil
		})
	}
	_ = eg.Wait() // errors are in errs
	return errors.Join(errs...)
}

// lock takes a channel that serves as a lock: unlike a mutex it may be held over engine
// calls, because waiting for it ends with ctx.
func lock(ctx context.Context, l chan struct{}) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func unlock(l chan struct{}) { <-l }
