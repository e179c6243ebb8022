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

// KillKind is the kind of a [Kill]'s faults.
const KillKind = "kill"

// Signals of a kill, as a fault's Signal has them. No signal is SignalKill.
const (
	SignalKill = "KILL" // the process ends at once; in a simulation its machine loses power
	SignalTerm = "TERM" // the process is asked to end in an orderly way
)

// A Kill ends processes; its heal starts them again on the same disks. The zero value makes
// all there are: one node, a minority, a majority, all at once, all in turn (rolling), and one
// node or all in turn by SIGTERM (terminate, upgrade).
type Kill struct {
	Names  []string        // whom; default all of these; also roles, see [harness.Role], and lists of nodes ("n1-n3")
	Timing schedule.Timing // its rhythm

	patient
}

// allDeadMax is how long all nodes may be dead. It is long enough to forget all that is not
// on disk; more would only be load that nobody serves.
const allDeadMax = 2 * time.Second

var kills = tableOf(KillKind, append(roles(),
	one, minority, majority, all,
	all.called("rolling", nil),
	one.called("terminate", terminated),
	all.called("upgrade", terminated),
)...)

func terminated(_ *rand.Rand, f *harness.Fault) { f.Signal = SignalTerm }

// Name returns "kill", with the names that it is limited to.
func (k *Kill) Name() string { return title(KillKind, k.Names) }

func (k *Kill) kinds() []string { return []string{KillKind} }

// Check wants a cluster whose processes can be killed and started again, and known names.
func (k *Kill) Check(c harness.Cluster) error {
	_, able := c.(harness.Killer)
	return kills.plus(KillKind, k.Names, c.Nodes()).check(KillKind, c, able, "kill nodes", k.Names)
}

// Plan draws kills, one at a time. One in turn is a fault for each node.
func (k *Kill) Plan(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	var plan []harness.Fault
	for _, f := range schedule.Draw(r, nodes, span, k.Timing, kills.plus(KillKind, k.Names, nodes).chosen(k.Names)) {
		switch {
		case f.Name == "rolling" || f.Name == "upgrade":
			r.Shuffle(len(f.Nodes), func(i, j int) { f.Nodes[i], f.Nodes[j] = f.Nodes[j], f.Nodes[i] })
			plan = append(plan, inTurn(f)...)
			continue
		case f.Name == "all":
			f.Stop = min(f.Stop, f.Start+allDeadMax)
		}
		plan = append(plan, f)
	}
	return schedule.Merge(plan)
}

// inTurn makes a fault of each of a fault's nodes, in their order: each node is down for
// three quarters of its part of the time.
func inTurn(f harness.Fault) []harness.Fault {
	turn := (f.Stop - f.Start) / time.Duration(len(f.Nodes))
	faults := make([]harness.Fault, len(f.Nodes))
	for i, n := range f.Nodes {
		own := f
		own.Nodes = []harness.NodeID{n}
		own.Start = f.Start + time.Duration(i)*turn
		own.Stop = own.Start + turn*3/4
		faults[i] = own
	}
	return faults
}

// Inject kills the fault's nodes, one after the other without a pause. A process that is
// paused is resumed first if it is only asked to end, because it would not hear. The proof:
// before, they live; then none does, but one that no fault kills.
func (k *Kill) Inject(ctx context.Context, c harness.Cluster, f harness.Fault, now func() time.Duration) (harness.Evidence, error) {
	e, w := proof{&harness.Evidence{}, now}, k.ward()
	cl, ok := c.(harness.Killer)
	if !ok || len(f.Nodes) == 0 || !slices.Contains([]string{"", SignalKill, SignalTerm}, f.Signal) {
		e.problem("the cluster cannot kill nodes, or the fault names none, or an unknown signal %q", f.Signal)
		return *e.Evidence, fmt.Errorf("inject %s: nobody to kill, or no way to", f.ID)
	}
	if err := w.hold(ctx, e, injecting, f); err != nil {
		return *e.Evidence, err
	}
	defer w.release()
	for _, n := range f.Nodes {
		k.expect(ctx, e, cl, before, n, !w.isDead(n))
	}
	var errs []error
	for _, n := range f.Nodes {
		if err := k.end(ctx, c, cl, n, f.Signal); err != nil {
			e.problem("%s was not killed: %v", n, err)
			errs = append(errs, err)
		}
		w.kill(n, f.ID) // whatever was said: it may be half dead, and is to be started again
	}
	if len(errs) < len(f.Nodes) {
		e.Injected = now()
		k.holds(ctx, e, cl, c.Nodes(), f)
	}
	return *e.Evidence, errors.Join(errs...)
}

// end sends one node its signal.
func (k *Kill) end(ctx context.Context, c harness.Cluster, cl harness.Killer, n harness.NodeID, signal string) error {
	if signal != SignalTerm {
		if err := cl.Kill(ctx, n); err != nil {
			return fmt.Errorf("kill %s: %w", n, err)
		}
		return nil
	}
	if p, ok := c.(harness.Pauser); ok && k.ward().isFrozen(n) {
		if err := p.Resume(ctx, n); err != nil {
			return fmt.Errorf("resume %s, which is to end: %w", n, err)
		}
	}
	return terminate(ctx, cl, n)
}

// terminate ends a process in an orderly way. One may end complaining, of its disk perhaps;
// what counts is that it ended.
func terminate(ctx context.Context, c harness.Killer, n harness.NodeID) error {
	err := c.Terminate(ctx, n)
	if err == nil {
		return nil
	}
	alive, aerr := c.Alive(ctx, n)
	if alive || aerr != nil {
		return fmt.Errorf("terminate %s: %w", n, errors.Join(err, aerr))
	}
	return nil
}

// Heal starts the fault's nodes again, save those that another fault keeps dead. One that
// does not start, perhaps since its disk is bad, is tried again and again. The proof: just
// before, they are still dead; afterwards they live.
func (k *Kill) Heal(ctx context.Context, c harness.Cluster, f harness.Fault, e *harness.Evidence, now func() time.Duration) error {
	pr, w := proof{e, now}, k.ward()
	cl, ok := c.(harness.Killer)
	if !ok {
		return fmt.Errorf("heal %s: the cluster cannot start nodes", f.ID)
	}
	if err := w.hold(ctx, pr, healing, f); err != nil {
		return err
	}
	defer w.release()
	if e.Injected > 0 {
		k.holds(ctx, pr, cl, c.Nodes(), f)
	}
	var errs []error
	for _, n := range f.Nodes {
		if err := startAgain(ctx, w, cl, n, f.ID); err != nil {
			pr.problem("%s was not started: %v", n, err)
			errs = append(errs, fmt.Errorf("start %s: %w", n, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	e.Healed = now()
	for _, n := range f.Nodes {
		k.expect(ctx, pr, cl, after, n, !w.isDead(n))
	}
	return nil
}

// startAgain ends a fault's hold of a dead node and starts it, unless another fault keeps it dead. Until it
// lives the book has it as dead.
func startAgain(ctx context.Context, w *ward, c harness.Killer, n harness.NodeID, fault string) error {
	err := w.persist(ctx, func() error {
		if slices.ContainsFunc(w.dead[n], func(by string) bool { return by != fault }) {
			return nil // another's to start, which held it first or holds it by now
		}
		return c.Restart(ctx, n)
	})
	letGo(w.dead, n, fault)
	return err
}

// holds proves that the fault's nodes are dead and that not just everything is, unless faults hold everything: one of the
// others lives. Not each need: a store may end because of its disk, which another fault has made bad.
func (k *Kill) holds(ctx context.Context, e proof, cl harness.Killer, nodes []harness.NodeID, f harness.Fault) {
	w := k.ward()
	for _, n := range f.Nodes {
		k.expect(ctx, e, cl, during, n, false)
	}
	others := slices.DeleteFunc(slices.Clone(nodes), w.isDead)
	if len(others) == 0 {
		return
	}
	lives := max(0, slices.IndexFunc(others, func(n harness.NodeID) bool {
		alive, err := cl.Alive(ctx, n)
		return alive && err == nil
	}))
	k.expect(ctx, e, cl, during, others[lives], true)
}

func (k *Kill) expect(ctx context.Context, e proof, cl harness.Killer, when string, n harness.NodeID, want bool) {
	e.state(when, n, "alive", want, func() (bool, error) { return cl.Alive(ctx, n) })
}
