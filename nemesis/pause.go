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
//
// A dead node cannot be paused, and a kill ends a pause: a fault holds those of its nodes
// that no kill holds when it begins, and each until a kill takes it.
type Pause struct {
	// Names are whom to pause: one, minority, majority, all, stutter (one, again and again), roles (see
	// [harness.Role]), or lists of nodes ("n1-n3"); default the first two.
	Names  []string
	Timing schedule.Timing // its rhythm

	patient
}

var pauses = tableOf(PauseKind, append(roles(), one, minority, onlyAsked(majority), onlyAsked(all), onlyAsked(one.called(stutter, nil)))...)

// stutter is a node that stops and goes on in turn, so that what it was sent while it ran
// is answered late: a schedule has a fault for each stop.
const stutter = "stutter"

const (
	stutterHeld = 1200 * time.Millisecond // longer than requests wait for it
	stutterRuns = 600 * time.Millisecond  // long enough to be believed to run
)

// Name returns "pause", with the names that it is limited to.
func (p *Pause) Name() string { return title(PauseKind, p.Names) }

func (p *Pause) kinds() []string { return []string{PauseKind} }

// Check wants a cluster whose processes can be frozen, and known names.
func (p *Pause) Check(c harness.Cluster) error {
	_, able := c.(harness.Pauser)
	return pauses.plus(PauseKind, p.Names, c.Nodes()).check(PauseKind, c, able, "pause nodes", p.Names)
}

// Plan draws pauses, one at a time.
func (p *Pause) Plan(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	var plan []harness.Fault
	for _, f := range schedule.Draw(r, nodes, span, p.Timing, pauses.plus(PauseKind, p.Names, nodes).chosen(p.Names)) {
		if f.Name == stutter {
			plan = append(plan, again(f, stutterHeld, stutterRuns)...)
			continue
		}
		plan = append(plan, f)
	}
	return schedule.Merge(plan)
}

// Inject pauses the fault's nodes. The proof: before, they run; then each is paused,
// and one node that no fault pauses is not.
func (p *Pause) Inject(ctx context.Context, c harness.Cluster, f harness.Fault, now func() time.Duration) (harness.Evidence, error) {
	e, w := proof{&harness.Evidence{}, now}, p.ward()
	cl, ok := c.(harness.Pauser)
	if !ok || len(f.Nodes) == 0 {
		e.problem("the cluster cannot pause nodes, or the fault names none")
		return *e.Evidence, fmt.Errorf("inject %s: nobody to pause", f.ID)
	}
	if err := w.hold(ctx, e, injecting, f); err != nil {
		return *e.Evidence, err
	}
	defer w.release()
	whom := w.living(ctx, e, f.Nodes)
	if len(whom) == 0 {
		e.problem("all of its nodes were dead, so there was nobody to pause")
		return *e.Evidence, nil
	}
	for _, n := range whom {
		p.expect(ctx, e, cl, before, n, w.isFrozen(n))
	}
	var errs []error
	for _, n := range whom {
		w.freeze(n, f.ID)
		if err := cl.Pause(ctx, n); err != nil {
			e.problem("%s was not paused: %v", n, err)
			errs = append(errs, fmt.Errorf("pause %s: %w", n, err))
		}
	}
	if len(errs) < len(whom) {
		e.Injected = now()
		p.holds(ctx, e, cl, c.Nodes(), f)
	}
	return *e.Evidence, errors.Join(errs...)
}

// Heal resumes the fault's nodes, save those that another fault pauses too. The proof:
// just before, they are still paused; afterwards they are not.
func (p *Pause) Heal(ctx context.Context, c harness.Cluster, f harness.Fault, e *harness.Evidence, now func() time.Duration) error {
	pr, w := proof{e, now}, p.ward()
	cl, ok := c.(harness.Pauser)
	if !ok {
		return fmt.Errorf("heal %s: the cluster cannot resume nodes", f.ID)
	}
	if err := w.hold(ctx, pr, healing, f); err != nil {
		return err
	}
	defer w.release()
	if e.Injected > 0 {
		for _, n := range w.ended[f.ID] {
			pr.probe(during, fmt.Sprintf("%s paused until it was killed", n), true, true)
		}
		p.holds(ctx, pr, cl, c.Nodes(), f)
	}
	delete(w.ended, f.ID)
	var errs []error
	for _, n := range f.Nodes {
		if letGo(w.frozen, n, f.ID) || w.isDead(n) {
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
		p.expect(ctx, pr, cl, after, n, w.isFrozen(n))
	}
	return nil
}

// holds proves that those nodes are paused that the fault still holds, and that not
// just everything is.
func (p *Pause) holds(ctx context.Context, e proof, cl harness.Pauser, nodes []harness.NodeID, f harness.Fault) {
	w := p.ward()
	for _, n := range f.Nodes {
		if slices.Contains(w.frozen[n], f.ID) {
			p.expect(ctx, e, cl, during, n, true)
		}
	}
	if i := slices.IndexFunc(nodes, w.serves); i >= 0 {
		p.expect(ctx, e, cl, during, nodes[i], false)
	}
}

func (p *Pause) expect(ctx context.Context, e proof, cl harness.Pauser, when string, n harness.NodeID, want bool) {
	e.state(when, n, "paused", want, func() (bool, error) { return cl.Paused(ctx, n) })
}
