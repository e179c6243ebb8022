package nemesis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/grudge"
	"cartwheel/nemesis/schedule"
)

// PartitionKind is the kind of a [Partition]'s faults.
const PartitionKind = "partition"

// A Partition cuts links between nodes; clients still reach every node. The zero value
// makes halves, isolate, minority, majorities-ring, bridge and one-way. Where Names ask for
// them there are also deaf (one-way: a minority is heard and hears nobody of the rest), minority-third, flapping (a link that goes and comes), the nodes of a role cut off
// (see [harness.Role]), and maps of groups: "n1_n2-n3" parts n1 from n2 and n3. Names that begin
// with client cut clients off from nodes that hear each other; so does the map "clients_n1-n2".
type Partition struct {
	Names  []string        // shapes to use; default all
	Timing schedule.Timing // its rhythm

	lock  lock // one look or change at a time: a probe must not see half of another cut
	links map[string][]harness.Link
}

var shapes = append(tableOf(PartitionKind, roles()...), []schedule.Maker{
	cutting("halves", 2, grudge.Halves),
	cutting("isolate", 2, grudge.Isolate),
	cutting("minority", 3, grudge.MinorityMajority),
	cutting("majorities-ring", 3, grudge.MajoritiesRing),
	cutting("bridge", 3, grudge.Bridge),
	cutting("one-way", 2, grudge.OneWay),
	asked(cutting("deaf", 3, grudge.Deaf)),
	asked(cutting("minority-third", 4, grudge.MinorityThird)),
	asked(cutting(flapping, 2, grudge.Flapping)),
	asked(cutting("client-one", 1, fromClients(one))),
	asked(cutting("client-minority", 3, fromClients(minority))),
	asked(cutting("client-majority", 3, fromClients(majority))),
	asked(cutting("client-one-way", 1, grudge.ClientsOneWay)),
}...)

// fromClients cuts as many nodes as a target counts off from clients.
func fromClients(t target) func(*rand.Rand, []harness.NodeID) grudge.Cut {
	return func(r *rand.Rand, nodes []harness.NodeID) grudge.Cut {
		return grudge.Clients(r, nodes, t.count(r, len(nodes)))
	}
}

// flapping is a link that goes and comes: in a schedule, faults in a row.
const flapping = "flapping"

func asked(m schedule.Maker) schedule.Maker {
	m.Asked = true
	return m
}

// mapped is a cut that somebody has written down, as in "n1_n2-n3-n4": groups that do not
// hear each other. Nodes that are in none hear all.
func mapped(name string) schedule.Maker {
	return asked(cutting(name, 2, func(*rand.Rand, []harness.NodeID) grudge.Cut {
		return grudge.Cut{Links: grudge.Groups(groupsOf(name))}
	}))
}

func groupsOf(name string) (groups [][]harness.NodeID) {
	for group := range strings.SplitSeq(name, "_") {
		var nodes []harness.NodeID
		for n := range strings.SplitSeq(group, "-") {
			nodes = append(nodes, harness.NodeID(n))
		}
		groups = append(groups, nodes)
	}
	return groups
}

// table has the shapes, and the maps that Names hold.
func (p *Partition) table() table {
	t := slices.Clone(shapes)
	for _, name := range p.Names {
		if strings.Contains(name, "_") {
			t = append(t, mapped(name))
		}
	}
	return t
}

func cutting(name string, nodes int, draw func(*rand.Rand, []harness.NodeID) grudge.Cut) schedule.Maker {
	return schedule.Maker{
		Kind: PartitionKind, Name: name, Nodes: nodes,
		Make: func(r *rand.Rand, nodes []harness.NodeID) harness.Fault {
			c := draw(r, nodes)
			return harness.Fault{Links: c.Links, Nodes: c.Side}
		},
	}
}

// Name returns "partition", with the names that it is limited to.
func (p *Partition) Name() string { return title(PartitionKind, p.Names) }

func (p *Partition) kinds() []string { return []string{PartitionKind} }

// Check wants a cluster of at least two nodes whose links can be cut, and known shapes
// that need no more nodes than there are.
func (p *Partition) Check(c harness.Cluster) error {
	_, able := c.(harness.Partitioner)
	errs := []error{p.table().check(PartitionKind, c, able, "cut links", p.Names)}
	for _, name := range p.Names {
		if !strings.Contains(name, "_") {
			continue
		}
		for _, n := range slices.Concat(groupsOf(name)...) {
			if n != harness.Clients && !slices.Contains(c.Nodes(), n) {
				errs = append(errs, fmt.Errorf("nemesis partition: %q: no node %q in the cluster %v", name, n, c.Nodes()))
			}
		}
	}
	return errors.Join(errs...)
}

// Plan draws partitions, one at a time, every shape before any comes again.
func (p *Partition) Plan(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	var plan []harness.Fault
	for _, f := range schedule.Draw(r, nodes, span, p.Timing, p.table().chosen(p.Names)) {
		if f.Name == flapping {
			plan = append(plan, again(f, flapEvery, flapEvery)...)
			continue
		}
		plan = append(plan, f)
	}
	return schedule.Merge(plan)
}

// flapEvery is how long a flapping link is cut and carries packets, in turn. It is long
// enough for each cut to be proven.
const flapEvery = 1500 * time.Millisecond

// aimed is the fault with its links: a side that is named without links is cut off.
func aimed(c harness.Cluster, f harness.Fault) harness.Fault {
	if len(f.Links) == 0 && len(f.Nodes) > 0 {
		f.Links = grudge.Off(c.Nodes(), f.Nodes)
	}
	return f
}

// Inject cuts the fault's links. The proof: before, they are open; then every one of
// them is blocked and every link that no fault cuts is open.
func (p *Partition) Inject(ctx context.Context, c harness.Cluster, f harness.Fault, now func() time.Duration) (harness.Evidence, error) {
	e, f := proof{&harness.Evidence{}, now}, aimed(c, f)
	net, ok := c.(harness.Partitioner)
	if !ok || len(f.Links) == 0 {
		e.problem("the cluster cannot cut links, or the fault names none")
		return *e.Evidence, fmt.Errorf("inject %s: nothing to cut", f.ID)
	}
	if err := p.lock.hold(ctx, e, injecting, f); err != nil {
		return *e.Evidence, err
	}
	defer p.lock.release()
	p.expectOpen(ctx, e, net, before, p.open(c.Nodes(), f))
	if p.links == nil {
		p.links = make(map[string][]harness.Link)
	}
	p.links[f.ID] = f.Links // from here on, whatever Cut says: it may have done half
	if err := net.Cut(ctx, f.ID, f.Links); err != nil {
		e.problem("it was not cut: %v", err)
		return *e.Evidence, fmt.Errorf("cut links of %s: %w", f.ID, err)
	}
	e.Injected = now()
	return *e.Evidence, p.holds(ctx, e, net, c.Nodes(), f)
}

// Heal opens the fault's links again, unless another fault cuts them too. The proof:
// just before, the cut holds and its rules have discarded packets; afterwards all links
// that no fault cuts are open within two seconds.
func (p *Partition) Heal(ctx context.Context, c harness.Cluster, f harness.Fault, e *harness.Evidence, now func() time.Duration) error {
	pr, f := proof{e, now}, aimed(c, f)
	net, ok := c.(harness.Partitioner)
	if !ok {
		return fmt.Errorf("heal %s: the cluster cannot mend links", f.ID)
	}
	if err := p.lock.hold(ctx, pr, healing, f); err != nil {
		return err
	}
	defer p.lock.release()
	if e.Injected > 0 { // else there is nothing to prove
		if err := p.holds(ctx, pr, net, c.Nodes(), f); err == nil {
			p.countDropped(ctx, pr, net, f)
		}
	}
	if err := persist(ctx, func() error { return net.Mend(ctx, f.ID) }); err != nil {
		pr.problem("it was not healed: %v", err)
		return fmt.Errorf("mend links of %s: %w", f.ID, err)
	}
	e.Healed = now()
	delete(p.links, f.ID)
	p.expectOpen(ctx, pr, net, after, p.open(c.Nodes(), f))
	return nil
}

// open lists the links that no fault cuts now: those between nodes, and for a fault that cuts
// clients off also theirs. The caller holds the lock.
func (p *Partition) open(nodes []harness.NodeID, f harness.Fault) []harness.Link {
	cut := make(map[harness.Link]bool)
	for _, links := range p.links {
		for _, l := range links {
			cut[l] = true
		}
	}
	links := grudge.All(nodes)
	if slices.ContainsFunc(f.Links, harness.Link.OfClients) {
		links = append(links, grudge.WithClients(nodes)...)
	}
	return slices.DeleteFunc(links, func(l harness.Link) bool { return cut[l] })
}

// holds proves that the fault's links are blocked, and nothing else is but what other
// faults block.
func (p *Partition) holds(ctx context.Context, e proof, net harness.Partitioner, nodes []harness.NodeID, f harness.Fault) error {
	open := p.open(nodes, f)
	seen, err := net.Probe(ctx, slices.Concat(f.Links, open))
	if err != nil {
		e.problem("during: links could not be probed: %v", err)
		return fmt.Errorf("probe links of %s: %w", f.ID, err)
	}
	for range looksMax - 1 { // a lost probe is no cut
		closed := slices.DeleteFunc(slices.Clone(open), func(l harness.Link) bool { return seen[l] })
		if len(closed) == 0 {
			break
		}
		again, err := net.Probe(ctx, closed)
		if err != nil {
			break
		}
		maps.Copy(seen, again)
	}
	e.links(during, f.Links, false, seen)
	e.links(during, open, true, seen)
	return nil
}

// expectOpen proves that links carry packets, with a little patience.
func (p *Partition) expectOpen(ctx context.Context, e proof, net harness.Partitioner, when string, links []harness.Link) {
	if len(links) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	seen := make(map[harness.Link]bool)
	for closed := slices.Clone(links); ; {
		got, err := net.Probe(ctx, closed)
		if err == nil {
			maps.Copy(seen, got)
			closed = slices.DeleteFunc(closed, func(l harness.Link) bool { return seen[l] })
		}
		if err == nil && len(closed) == 0 || !wait(ctx, retryEvery) {
			if len(seen) == 0 {
				e.problem("%s: links could not be probed: %v", when, err)
				return
			}
			break
		}
	}
	e.links(when, links, true, seen)
}

func (p *Partition) countDropped(ctx context.Context, e proof, net harness.Partitioner, f harness.Fault) {
	var err error
	meets(ctx, func() bool {
		var dropped map[harness.Link]uint64
		dropped, err = net.Dropped(ctx, f.ID)
		for _, n := range dropped {
			e.Dropped += n
		}
		return err != nil || e.Dropped > 0
	})
	if err != nil {
		e.problem("discarded packets could not be counted: %v", err)
		return
	}
	if e.Dropped == 0 {
		e.problem("no packet met the rules: nothing was sent over the cut links")
	}
}
