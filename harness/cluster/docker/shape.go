package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"cartwheel/harness"
	"cartwheel/harness/cluster/docker/shaper"
)

// lookLimit is how long it may take to find out what the kernel can do, and to build what
// it takes.
const lookLimit = 3 * time.Minute

// A shaping is what one fault does to its links.
type shaping struct {
	shape harness.Shape
	links map[harness.Link]bool
}

// queued reports whether the packet filter cannot do it alone.
func (s shaping) queued() bool { return s.shape != harness.Shape{Loss: s.shape.Loss} }

// on adds the shaping to what is done to a link.
func (s shaping) on(d disturbed, fault string) disturbed {
	if s.shape.Loss > 0 {
		d.losses = append(d.losses, loss{fault, s.shape.Loss})
	}
	d.queued = d.queued || s.queued()
	return d
}

// shapes lists what the kernel can do to packets.
func (k kernel) shapes() (can []string) {
	if k.queue {
		can = append(can, harness.ShapeDelay, harness.ShapeJitter)
	}
	if k.lossy {
		can = append(can, harness.ShapeLoss)
	}
	if k.queue {
		can = append(can, harness.ShapeDuplicate, harness.ShapeReorder, harness.ShapeCorrupt, harness.ShapeRate)
	}
	return can
}

// Shapes lists what can be done to packets here: loss by the packet filter, all else by
// a shaper of our own where the kernel has packet queues. The first call tries that on the
// engine, which takes a second, and builds the shaper; a failure is logged and leaves out
// what it concerns.
func (c *Cluster) Shapes() []string {
	c.examine()
	return slices.Clone(c.canShape)
}

// examine looks once at what the kernel can do.
func (c *Cluster) examine() {
	c.look.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
		defer cancel()
		k, image, err := c.lookAtKernel(ctx)
		if err != nil {
			c.opts.Logger.Warn("packets cannot be shaped, or disks not disturbed, in every way", "err", err)
		}
		c.canShape, c.shaperImage, c.canDisturb = k.shapes(), image, k.diskFaults()
	})
}

func (c *Cluster) lookAtKernel(ctx context.Context) (k kernel, image string, err error) {
	cli, err := connect(ctx)
	if err != nil {
		return k, "", err
	}
	defer func() { _ = cli.Close() }()
	host := c.opts.HostImage
	if host == "" {
		if host, err = hostImage(ctx, cli, c.opts.Root, c.opts.Logger); err != nil {
			return k, "", err
		}
	}
	if k, err = tryKernel(ctx, cli, host); err != nil {
		return kernel{}, "", err
	}
	if !k.queue {
		return k, "", nil
	}
	if image, err = shaperImage(ctx, cli, c.opts.Root, c.opts.Logger); err != nil {
		k.queue = false
	}
	return k, image, err
}

// Shape makes the links bad, in the receiving pods. The first time that a pod needs a
// shaper it takes half a second more. After an error some links may be bad; Unshape undoes
// that.
func (c *Cluster) Shape(ctx context.Context, fault string, links []harness.Link, s harness.Shape) error {
	fail := func(err error) error { return fmt.Errorf("shape %s: %w", fault, err) }
	if err := checkName("fault", fault); err != nil {
		return fail(err)
	}
	if err := s.Valid(); err != nil {
		return fail(err)
	}
	for _, what := range s.Does() {
		if can := c.Shapes(); !slices.Contains(can, what) {
			return fail(fmt.Errorf("no %s here, only %v: see 'cartwheel doctor'", what, can))
		}
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
	now := shaping{s, map[harness.Link]bool{}}
	for _, l := range links {
		now.links[l] = true
	}
	// Whatever was not done, or undone, is so by the receivers' rules and shapers alone.
	touched := append(receivers(links), receivers(slices.Collect(maps.Keys(c.shapings[fault].links)))...)
	c.shapings[fault] = now
	return wrap(c.reshape(ctx, r, touched), "shape %s", fault)
}

// Unshape undoes one fault's shaping. Packets that are held up still come when they are
// due. After an error it can be called again.
func (c *Cluster) Unshape(ctx context.Context, fault string) error {
	r, err := c.started()
	if err != nil {
		return fmt.Errorf("unshape %s: %w", fault, err)
	}
	if err := lock(ctx, c.rules); err != nil {
		return fmt.Errorf("unshape %s: %w", fault, err)
	}
	defer unlock(c.rules)
	touched := receivers(slices.Collect(maps.Keys(c.shapings[fault].links)))
	delete(c.shapings, fault)
	touched = append(touched, slices.Sorted(maps.Keys(c.dirty))...) // what failed before
	return wrap(c.reshape(ctx, r, touched), "unshape %s", fault)
}

// reshape tells nodes' shapers and then their packet filters what is to be done. A shaper
// that is not needed, or not yet, is harmless. The caller holds rules.
func (c *Cluster) reshape(ctx context.Context, r *running, nodes []harness.NodeID) error {
	slices.Sort(nodes)
	nodes = slices.Compact(nodes)
	for _, n := range nodes {
		c.dirty[n] = true
	}
	err := each(nodes, func(n harness.NodeID) error {
		faults := c.faultsAt(r, n)
		if r.pod(n).shaper == nil && len(faults) == 0 {
			return nil
		}
		_, err := c.tell(ctx, r, n, shaper.Request{Links: faults})
		if err != nil && len(faults) == 0 && ctx.Err() == nil {
			c.opts.Logger.Warn("a shaper that is not needed any more does not answer", "err", err)
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.rewrite(ctx, r)
}

// faultsAt is what the node's shaper should do. It only reads.
func (c *Cluster) faultsAt(r *running, to harness.NodeID) map[string][]shaper.Fault {
	links := map[string][]shaper.Fault{}
	for _, fault := range slices.Sorted(maps.Keys(c.shapings)) {
		s := c.shapings[fault]
		for l := range s.links {
			if l.To == to && s.queued() {
				from := r.pod(l.From).address.String()
				links[from] = append(links[from], shaper.Fault{Name: fault, Shape: s.shape})
			}
		}
	}
	return links
}

// tell asks a node's shaper, which it starts if there is none yet. The caller holds rules
// and tells each node by itself.
func (c *Cluster) tell(ctx context.Context, r *running, n harness.NodeID, q shaper.Request) (reply shaper.Reply, err error) {
	fail := func(err error) (shaper.Reply, error) { return shaper.Reply{}, fmt.Errorf("shaper of %s: %w", n, err) }
	p := r.pod(n)
	if p.shaper == nil && q.Links == nil {
		return fail(errors.New("it is gone"))
	}
	if p.shaper == nil {
		id, err := r.plan.startShaper(ctx, n, c.shaperImage, p.host)
		if err != nil {
			return fail(err)
		}
		p.shaper = newDialogue(r.cli, id, "/shaper", "control")
	}
	text, err := json.Marshal(q)
	if err != nil {
		return fail(err)
	}
	err = p.shaper.ask(ctx, string(text)+"\n", func(said *bufio.Reader) error {
		line, err := said.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &reply)
		}
		if err == nil && reply.Error != "" {
			err = errors.New(reply.Error)
		}
		return err
	})
	if err != nil {
		// Without it the rules let packets pass; the next request starts another.
		discard(ctx, r.cli, p.shaper.id)
		p.shaper = nil
		return fail(err)
	}
	return reply, nil
}

// startShaper adds a third container to a pod, which shares its network.
func (p *plan) startShaper(ctx context.Context, n harness.NodeID, image, host string) (id string, err error) {
	return p.startAside(ctx, n, "shaper", recipe{
		config: &container.Config{Image: image, User: "0:0"},
		host: &container.HostConfig{
			NetworkMode:    container.NetworkMode("container:" + host),
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"}, CapAdd: []string{"NET_ADMIN", "NET_RAW"},
			SecurityOpt: []string{"no-new-privileges"},
		},
	})
}

// startAside adds a container to a pod. If that fails nothing stays behind, so that it can
// be tried again.
func (p *plan) startAside(ctx context.Context, n harness.NodeID, role string, r recipe) (id string, err error) {
	id, err = p.create(ctx, peer{node: n}, role, r)
	if err != nil {
		return "", err
	}
	if err = p.run(ctx, id); err == nil {
		err = stillRuns(ctx, p.cli, id)
	}
	if err != nil {
		discard(ctx, p.cli, id)
		return "", err
	}
	return id, nil
}

// discard removes a container that is of no use. What it leaves goes with the run.
func discard(ctx context.Context, cli *client.Client, id string) {
	alone, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	_ = cli.ContainerRemove(alone, id, container.RemoveOptions{Force: true})
}

// Shaped counts the packets that the fault has lost, changed or held up, by link.
func (c *Cluster) Shaped(ctx context.Context, fault string) (map[harness.Link]uint64, error) {
	fail := func(err error) (map[harness.Link]uint64, error) {
		return nil, fmt.Errorf("packets shaped by %s: %w", fault, err)
	}
	r, err := c.started()
	if err != nil {
		return fail(err)
	}
	if err := lock(ctx, c.rules); err != nil {
		return fail(err)
	}
	defer unlock(c.rules)
	s, known := c.shapings[fault]
	if !known {
		return fail(fmt.Errorf("no such fault is in force"))
	}
	nodes := receivers(slices.Collect(maps.Keys(s.links)))
	counts, err := r.counters(ctx, nodes)
	if err != nil {
		return fail(err)
	}
	shaped := map[harness.Link]uint64{}
	for l := range s.links {
		shaped[l] = counts[l.To][lossMark(l.From, fault)]
	}
	if !s.queued() {
		return shaped, nil
	}
	for _, n := range nodes {
		reply, err := c.tell(ctx, r, n, shaper.Request{})
		if err != nil {
			return fail(err)
		}
		for l := range s.links {
			if l.To == n {
				shaped[l] += reply.Hit[r.pod(l.From).address.String()][fault]
			}
		}
	}
	return shaped, nil
}
