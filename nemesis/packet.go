package nemesis

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/grudge"
	"cartwheel/nemesis/schedule"
)

// PacketKind is the kind of a [Packet]'s faults.
const PacketKind = "packet"

// A Packet makes links bad without cutting them: slow, jittery, lossy, duplicate, reorder,
// corrupt, narrow (little bandwidth), and flaky, which is one pair of nodes that hardly
// hear each other. The others strike all links of a node or of a minority, or all there
// are. The zero value makes those that the cluster it was checked for can make.
type Packet struct {
	Names  []string        // default all
	Timing schedule.Timing // its rhythm

	ability // of the checked cluster
	lock    lock
}

func upTo(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }

func lasting(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

var weathers = table{
	shaping("slow", false, func(r *rand.Rand) harness.Shape {
		return harness.Shape{Delay: lasting(r, 20*time.Millisecond, 200*time.Millisecond)}
	}),
	shaping("jittery", false, func(r *rand.Rand) harness.Shape {
		return harness.Shape{Jitter: lasting(r, 50*time.Millisecond, 400*time.Millisecond)}
	}),
	shaping("lossy", false, func(r *rand.Rand) harness.Shape { return harness.Shape{Loss: upTo(r, 0.15, 0.4)} }),
	shaping("duplicate", false, func(r *rand.Rand) harness.Shape { return harness.Shape{Duplicate: upTo(r, 0.2, 0.8)} }),
	shaping("reorder", false, func(r *rand.Rand) harness.Shape {
		return harness.Shape{Delay: 10 * time.Millisecond, Reorder: upTo(r, 0.2, 0.6)} // only what waits can be overtaken
	}),
	shaping("corrupt", false, func(r *rand.Rand) harness.Shape { return harness.Shape{Corrupt: upTo(r, 0.15, 0.4)} }),
	shaping("narrow", false, func(r *rand.Rand) harness.Shape { return harness.Shape{Rate: 4_000 + r.Int64N(28_000)} }),
	shaping("flaky", true, func(r *rand.Rand) harness.Shape { return harness.Shape{Loss: upTo(r, 0.5, 0.7)} }),
}

// shaping is a named way for links to be bad; a pair's are always between two nodes only.
func shaping(name string, pair bool, draw func(r *rand.Rand) harness.Shape) schedule.Maker {
	return schedule.Maker{
		Kind: PacketKind, Name: name, Nodes: 2,
		Make: func(r *rand.Rand, nodes []harness.NodeID) harness.Fault {
			shape := draw(r)
			return harness.Fault{Links: someLinks(r, nodes, pair), Shape: &shape}
		},
	}
}

// Name returns "packet", with the names that it is limited to.
func (p *Packet) Name() string { return title(PacketKind, p.Names) }

func (p *Packet) kinds() []string { return []string{PacketKind} }

// Check wants a cluster of two nodes that can make links bad, and known names that it can
// make, or without names that it can make at least one. It notes which.
func (p *Packet) Check(c harness.Cluster) error {
	cl, ok := c.(harness.Shaper)
	err := weathers.check(PacketKind, c, ok, "shape links", p.Names)
	if err == nil {
		p.ability, err = weathers.able(PacketKind, c, p.Names, cl.Shapes(), func(f harness.Fault) []string { return f.Shape.Does() })
	}
	return err
}

// Plan draws faults, one at a time.
func (p *Packet) Plan(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	return schedule.Draw(r, nodes, span, p.Timing, weathers.chosen(either(p.Names, p.names)))
}

// someLinks draws the links of a pair, of one node, of a minority, or all.
func someLinks(r *rand.Rand, nodes []harness.NodeID, pair bool) []harness.Link {
	order := slices.Clone(nodes)
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	var bad []harness.NodeID
	switch whom := r.IntN(3); {
	case pair:
		return []harness.Link{{From: order[0], To: order[1]}, {From: order[1], To: order[0]}}
	case whom == 0:
		bad = order[:1]
	case whom == 1:
		bad = order[:max(1, (len(order)-1)/2)]
	default:
		bad = order
	}
	return slices.DeleteFunc(grudge.All(nodes), func(l harness.Link) bool {
		return !slices.Contains(bad, l.From) && !slices.Contains(bad, l.To)
	})
}

// Inject shapes the fault's links. The proof: before, nothing counts for the fault; then
// every one of its links is watched and no other. What the links did to packets is asked at
// the heal.
func (p *Packet) Inject(ctx context.Context, c harness.Cluster, f harness.Fault, now func() time.Duration) (harness.Evidence, error) {
	e := proof{&harness.Evidence{}, now}
	cl, ok := c.(harness.Shaper)
	if !ok || len(f.Links) == 0 || f.Shape == nil {
		e.problem("the cluster cannot shape links, or the fault names none, or no shape")
		return *e.Evidence, fmt.Errorf("inject %s: nothing to shape", f.ID)
	}
	if err := p.lock.hold(ctx, e, injecting, f); err != nil {
		return *e.Evidence, err
	}
	defer p.lock.release()
	p.expectNone(ctx, e, cl, before, f)
	if err := cl.Shape(ctx, f.ID, f.Links, *f.Shape); err != nil {
		e.problem("links were not shaped: %v", err)
		return *e.Evidence, fmt.Errorf("shape links of %s: %w", f.ID, err)
	}
	e.Injected = now()
	p.count(ctx, e, cl, f)
	return *e.Evidence, nil
}

// Heal undoes the shaping. The proof: just before, it is still there and has changed or
// held up packets; afterwards nothing counts for it any more.
func (p *Packet) Heal(ctx context.Context, c harness.Cluster, f harness.Fault, e *harness.Evidence, now func() time.Duration) error {
	pr := proof{e, now}
	cl, ok := c.(harness.Shaper)
	if !ok {
		return fmt.Errorf("heal %s: the cluster cannot shape links", f.ID)
	}
	if err := p.lock.hold(ctx, pr, healing, f); err != nil {
		return err
	}
	defer p.lock.release()
	if e.Injected > 0 {
		meets(ctx, func() bool {
			hit, err := cl.Shaped(ctx, f.ID)
			return err != nil || slices.ContainsFunc(slices.Collect(maps.Values(hit)), func(n uint64) bool { return n > 0 })
		})
	}
	if e.Injected > 0 && p.count(ctx, pr, cl, f) && e.Hit == 0 {
		pr.problem("no packet was changed or held up: nothing was sent over the links")
	}
	if err := persist(ctx, func() error { return cl.Unshape(ctx, f.ID) }); err != nil {
		pr.problem("it was not healed: %v", err)
		return fmt.Errorf("undo the shaping of %s: %w", f.ID, err)
	}
	e.Healed = now()
	p.expectNone(ctx, pr, cl, after, f)
	return nil
}

// count asks how many packets each link has changed or held up and reports whether it could.
func (p *Packet) count(ctx context.Context, e proof, cl harness.Shaper, f harness.Fault) bool {
	hit, err := cl.Shaped(ctx, f.ID)
	if err != nil {
		e.problem("during: what was shaped could not be counted: %v", err)
		return false
	}
	met := 0
	e.Hit = 0
	for _, n := range hit {
		e.Hit += n
		if n > 0 {
			met++
		}
	}
	same := len(hit) == len(f.Links) && !slices.ContainsFunc(f.Links, func(l harness.Link) bool { _, ok := hit[l]; return !ok })
	e.probe(during, fmt.Sprintf("%d links shaped (%d met packets)", len(f.Links), met), true, same)
	if !same {
		e.problem("during: %d links are shaped, not the fault's %d", len(hit), len(f.Links))
	}
	return true
}

// expectNone wants that the cluster knows of no such shaping.
func (p *Packet) expectNone(ctx context.Context, e proof, cl harness.Shaper, when string, f harness.Fault) {
	_, err := cl.Shaped(ctx, f.ID)
	e.probe(when, "links shaped", false, err == nil)
	if err == nil {
		e.problem("%s: its links are shaped", when)
	}
}
