package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/schedule"
)

// PauseKind is the kind of a [Pause]'s faults.
const PauseKind = "pause"

// A Pause freezes processes: they neither run nor die, as in a long garbage
// collection or a stalled machine. The zero value pauses one node or a minority.
type Pause struct {
	Names  []string        // one, minority; default both
	Timing schedule.Timing // its rhythm

	lock  lock
	nodes map[string][]harness.NodeID // paused, by fault
}

var pauses = []struct {
	name  string
	nodes int // needed
	count func(r *rand.Rand, n int) int
}{
	{"one", 1, func(*rand.Rand, int) int { return 1 }},
	{"minority", 3, func(_ *rand.Rand, n int) int { return (n - 1) / 2 }},
}

// PauseNames lists whom a Pause can strike.
func PauseNames() []string {
	names := make([]string, len(pauses))
	for i, s := range pauses {
		names[i] = s.name
	}
	return names
}

// Name returns "pause".
func (p *Pause) Name() string { return PauseKind }

func (p *Pause) kinds() []string { return []string{PauseKind} }

// Check wants a cluster whose processes can be frozen, and known names.
func (p *Pause) Check(c harness.Cluster) error {
	var errs []error
	if _, ok := c.(harness.Pauser); !ok {
		errs = append(errs, fmt.Errorf("nemesis pause: a %s cluster cannot pause nodes", c.World()))
	}
	for _, name := range p.Names {
		if !slices.Contains(PauseNames(), name) {
			errs = append(errs, fmt.Errorf("nemesis pause: nobody is called %q, only %v", name, PauseNames()))
		}
	}
	able := slices.ContainsFunc(p.makers(), func(m schedule.Maker) bool { return m.Nodes <= len(c.Nodes()) })
	if len(errs) == 0 && !able {
		errs = append(errs, fmt.Errorf("nemesis pause: %d nodes are too few", len(c.Nodes())))
	}
	return errors.Join(errs...)
}

func (p *Pause) makers() []schedule.Maker {
	var makers []schedule.Maker
	for _, s := range pauses {
		if len(p.Names) > 0 && !slices.Contains(p.Names, s.name) {
			continue
		}
		makers = append(makers, schedule.Maker{
			Kind: PauseKind, Name: s.name, Nodes: s.nodes,
			Make: func(r *rand.Rand, nodes []harness.NodeID) ([]harness.Link, []harness.NodeID) {
				var chosen []harness.NodeID
				for _, i := range r.Perm(len(nodes))[:s.count(r, len(nodes))] {
					chosen = append(chosen, nodes[i])
				}
				slices.Sort(chosen)
				return nil, chosen
			},
		})
	}
	return makers
}

// Plan draws pauses, one at a time.
func (p *Pause) Plan(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	return schedule.Draw(r, nodes, span, p.Timing, p.makers())
}

// Inject pauses the fault's nodes. The proof: before, they run; then each is paused,
// and one node that no fault pauses is not.
func (p *Pause) Inject(ctx context.Context, c harness.Cluster, f harness.Fault, now func() time.Duration) (harness.Evidence, error) {
	e := proof{&harness.Evidence{}, now}
	cl, ok := c.(harness.Pauser)
	if !ok || len(f.Nodes) == 0 {
		e.problem("the cluster cannot pause nodes, or the fault names none")
		return *e.Evidence, fmt.Errorf("inject %s: nobody to pause", f.ID)
	}
	if err := p.lock.acquire(ctx); err != nil {
		e.problem("it was not injected: %v", err)
		return *e.Evidence, fmt.Errorf("inject %s: %w", f.ID, err)
	}
	defer p.lock.release()
	for _, n := range f.Nodes {
		p.expect(ctx, e, cl, before, n, p.held(n))
	}
	if p.nodes == nil {
		p.nodes = make(map[string][]harness.NodeID)
	}
	p.nodes[f.ID] = f.Nodes
	var errs []error
	for _, n := range f.Nodes {
		if err := cl.Pause(ctx, n); err != nil {
			e.problem("%s was not paused: %v", n, err)
			errs = append(errs, fmt.Errorf("pause %s: %w", n, err))
		}
	}
	if len(errs) < len(f.Nodes) {
		e.Injected = now()
		p.holds(ctx, e, cl, c.Nodes(), f)
	}
	return *e.Evidence, errors.Join(errs...)
}

// Heal resumes the fault's nodes, save those that another fault pauses too. The proof:
// just before, they are still paused; afterwards they are not.
func (p *Pause) Heal(ctx context.Context, c harness.Cluster, f harness.Fault, e *harness.Evidence, now func() time.Duration) error {
	pr := proof{e, now}
	cl, ok := c.(harness.Pauser)
	if !ok {
		return fmt.Errorf("heal %s: the cluster cannot resume nodes", f.ID)
	}
	if err := p.lock.acquire(ctx); err != nil {
		pr.problem("it was not healed: %v", err)
		return fmt.Errorf("heal %s: %w", f.ID, err)
	}
	defer p.lock.release()
	if e.Injected > 0 {
		p.holds(ctx, pr, cl, c.Nodes(), f)
	}
	delete(p.nodes, f.ID)
	var errs []error
	for _, n := range f.Nodes {
		if p.held(n) {
			continue
		}
		if err := persist(ctx, func() error { return cl.Resume(ctx, n) }); err != nil {
			pr.problem("%s was not resumed: %v", n, err)
			errs = append(errs, fmt.Errorf("resume %s: %w", n, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	e.Healed = now()
	for _, n := range f.Nodes {
		p.expect(ctx, pr, cl, after, n, p.held(n))
	}
	return nil
}

// held reports whether some fault pauses the node now. The caller holds the lock.
func (p *Pause) held(n harness.NodeID) bool {
	for _, nodes := range p.nodes {
		if slices.Contains(nodes, n) {
			return true
		}
	}
	return false
}

// holds proves that the fault's nodes are paused and that not just everything is.
func (p *Pause) holds(ctx context.Context, e proof, cl harness.Pauser, nodes []harness.NodeID, f harness.Fault) {
	for _, n := range f.Nodes {
		p.expect(ctx, e, cl, during, n, true)
	}
	for _, n := range nodes {
		if !p.held(n) {
			p.expect(ctx, e, cl, during, n, false)
			return
		}
	}
}

// expect records whether a node is paused, and a problem if that is not as wanted.
func (p *Pause) expect(ctx context.Context, e proof, cl harness.Pauser, when string, n harness.NodeID, want bool) {
	got, err := cl.Paused(ctx, n)
	if err != nil {
		e.problem("%s: it is not known whether %s is paused: %v", when, n, err)
		return
	}
	e.probe(when, fmt.Sprintf("%s paused", n), want, got)
	switch {
	case want && !got:
		e.problem("%s: %s is not paused", when, n)
	case got && !want:
		e.problem("%s: %s is paused", when, n)
	}
}
