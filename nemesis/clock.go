package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/schedule"
)

// ClockKind is the kind of a [Clock]'s faults.
const ClockKind = "clock"

// A Clock sets wall clocks of one node or of a minority wrong: bump (ahead or behind by up
// to ten minutes), drift (too fast or too slow), freeze (it stands still) and strobe (it
// jumps to and fro). The zero value makes all of them. A fault waits until the one before it is healed,
// which may be late: a node that does not run cannot tell its time.
type Clock struct {
	Names  []string        // default all
	Timing schedule.Timing // its rhythm

	turns
	patient
}

// clockNear is by how much a clock may be off what it should be: a look takes its time.
const clockNear = 300 * time.Millisecond

var clocks = tableOf(ClockKind,
	some.called("bump", func(r *rand.Rand, f *harness.Fault) {
		f.Skew = &harness.Skew{Offset: eitherWay(r, lasting(r, time.Second, 10*time.Minute))}
	}),
	some.called("drift", func(r *rand.Rand, f *harness.Fault) {
		if f.Skew = (&harness.Skew{Drift: upTo(r, 0.3, 0.9)}); r.IntN(2) == 0 {
			f.Skew.Drift *= -1
		}
	}),
	some.called("freeze", func(_ *rand.Rand, f *harness.Fault) { f.Skew = &harness.Skew{Drift: -1} }),
	some.called("strobe", func(r *rand.Rand, f *harness.Fault) {
		f.Skew = &harness.Skew{
			Offset: eitherWay(r, lasting(r, time.Second, time.Minute)),
			Strobe: lasting(r, 300*time.Millisecond, 900*time.Millisecond),
		}
	}),
)

func eitherWay(r *rand.Rand, d time.Duration) time.Duration {
	if r.IntN(2) == 0 {
		return -d
	}
	return d
}

// Name returns "clock", with the names that it is limited to.
func (k *Clock) Name() string { return title(ClockKind, k.Names) }

func (k *Clock) kinds() []string { return []string{ClockKind} }

// Check wants a cluster whose clocks can be set wrong, and known names.
func (k *Clock) Check(c harness.Cluster) error {
	_, able := c.(harness.ClockSkewer)
	return clocks.check(ClockKind, c, able, "skew clocks", k.Names)
}

// Plan draws faults, one at a time.
func (k *Clock) Plan(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	return schedule.Draw(r, nodes, span, k.Timing, clocks.chosen(k.Names))
}

// Inject sets the clocks of the fault's nodes wrong. The proof: before, they are right.
// A node that another fault keeps from running cannot be asked.
func (k *Clock) Inject(ctx context.Context, c harness.Cluster, f harness.Fault, now func() time.Duration) (harness.Evidence, error) {
	e, w := proof{&harness.Evidence{}, now}, k.ward()
	cl, ok := c.(harness.ClockSkewer)
	if !ok || len(f.Nodes) == 0 || f.Skew == nil {
		e.problem("the cluster cannot skew clocks, or the fault names no node, or no skew")
		return *e.Evidence, fmt.Errorf("inject %s: no clock to skew, or no way to", f.ID)
	}
	if err := k.begin(ctx, w, e, f); err != nil {
		return *e.Evidence, err
	}
	defer w.release()
	k.look(ctx, e, cl, before, f, right)
	var errs []error
	for _, n := range f.Nodes {
		if err := cl.Skew(ctx, n, *f.Skew); err != nil {
			e.problem("the clock of %s was not skewed: %v", n, err)
			errs = append(errs, fmt.Errorf("skew %s: %w", n, err))
		}
	}
	if len(errs) < len(f.Nodes) {
		e.Injected = now()
	}
	return *e.Evidence, errors.Join(errs...)
}

// Heal sets the clocks right. The proof: just before, they are wrong, by as much as they
// have to be by then, and a strobing one is seen wrong and right; afterwards they are right.
func (k *Clock) Heal(ctx context.Context, c harness.Cluster, f harness.Fault, e *harness.Evidence, now func() time.Duration) error {
	pr, w := proof{e, now}, k.ward()
	cl, ok := c.(harness.ClockSkewer)
	if !ok || f.Skew == nil {
		return fmt.Errorf("heal %s: the cluster cannot skew clocks, or there is no skew", f.ID)
	}
	if err := w.hold(ctx, pr, healing, f); err != nil {
		return err
	}
	defer w.release()
	if !k.has(f) {
		return nil
	}
	defer k.end()
	if e.Injected > 0 {
		w.await(ctx, f.Nodes, w.serves) // others cannot tell their time
		k.holds(ctx, pr, cl, f)
	}
	var errs []error
	for _, n := range f.Nodes {
		if err := w.persist(ctx, func() error { return cl.Skew(ctx, n, harness.Skew{}) }); err != nil {
			pr.problem("the clock of %s was not set right: %v", n, err)
			errs = append(errs, fmt.Errorf("set the clock of %s right: %w", n, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	e.Healed = now()
	k.look(ctx, pr, cl, after, f, right)
	return nil
}

// holds proves that the clocks are wrong by as much as they have to be.
func (k *Clock) holds(ctx context.Context, e proof, cl harness.ClockSkewer, f harness.Fault) {
	if f.Skew.Strobe == 0 {
		seenRight := lastBefore(*e.Evidence)
		wrong := func() (want, most time.Duration) {
			return f.Skew.At(e.now() - e.Injected), f.Skew.At(e.now() - seenRight)
		}
		// One that began late, or after the one before it was healed late, is given its time.
		late, cancel := context.WithTimeout(ctx, meetLimit)
		err := k.ward().persist(late, func() error {
			if want, _ := wrong(); want.Abs() <= 2*clockNear {
				return fmt.Errorf("it was healed before its clocks were wrong by more than %v", want)
			}
			return nil
		})
		cancel()
		if err != nil {
			e.problem("during: %v", err)
			return
		}
		if k.look(ctx, e, cl, during, f, wrong) == 0 {
			e.problem("during: no clock could be looked at: other faults kept all of the nodes from running")
		}
		return
	}
	// A jumping clock is looked at four times in each of its states, until both were seen.
	for _, want := range []time.Duration{f.Skew.Offset, 0} {
		seen := false
		for range 12 {
			if seen = k.near(ctx, cl, f, want); seen || !wait(ctx, f.Skew.Strobe/4) {
				break
			}
		}
		e.probe(during, fmt.Sprintf("a clock off by %v", want), true, seen)
		if !seen {
			e.problem("during: no clock was seen that is off by %v", want)
		}
	}
}

// lastBefore is when the clocks were last seen right: they went wrong at some time between
// then and the fault's injection, since a cluster takes its time to skew them.
func lastBefore(e harness.Evidence) (at time.Duration) {
	at = e.Injected // nobody could be asked
	for _, p := range e.Probes {
		if p.When == before {
			at = p.Time
		}
	}
	return at
}

// right is by how much a clock is off that is right.
func right() (want, most time.Duration) { return 0, 0 }

// look wants each clock that can be looked at to be off by something between what the
// function says when it has been looked at, and returns how many could be.
func (k *Clock) look(ctx context.Context, e proof, cl harness.ClockSkewer, when string, f harness.Fault, off func() (want, most time.Duration)) (looked int) {
	for _, n := range f.Nodes {
		got, err := k.offset(ctx, cl, n)
		want, most := off()
		lo, hi := min(want, most), max(want, most)
		if err != nil && !k.ward().serves(n) {
			e.probe(when, fmt.Sprintf("%s does not run and does not tell its time", n), true, true)
			continue
		}
		looked++
		if err != nil {
			e.problem("%s: the clock of %s could not be read: %v", when, n, err)
			continue
		}
		ok := lo-clockNear <= got && got <= hi+clockNear
		e.probe(when, fmt.Sprintf("%s off by %v, as by %v", n, want.Round(time.Millisecond), got.Round(time.Millisecond)), true, ok)
		if !ok {
			e.problem("%s: the clock of %s is off by %v, not by %v", when, n, got, want)
		}
	}
	return looked
}

// offset asks a node for its time, a few times if need be: one that has just begun does not
// answer yet. One that a fault holds may not answer, or never.
func (k *Clock) offset(ctx context.Context, cl harness.ClockSkewer, n harness.NodeID) (ahead time.Duration, err error) {
	w := k.ward()
	limit := beginLimit
	if !w.serves(n) {
		limit = time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_ = w.persist(ctx, func() error {
		once, cancel := context.WithTimeout(ctx, time.Second) // others want the lock as well
		defer cancel()
		ahead, err = cl.Offset(once, n)
		if err != nil && w.serves(n) {
			return err
		}
		return nil
	})
	return ahead, err
}

// near reports whether a clock of the fault's nodes is off by so much.
func (k *Clock) near(ctx context.Context, cl harness.ClockSkewer, f harness.Fault, want time.Duration) bool {
	for _, n := range f.Nodes {
		if got, err := k.offset(ctx, cl, n); err == nil && (got-want).Abs() <= clockNear {
			return true
		}
	}
	return false
}
