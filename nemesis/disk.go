package nemesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/schedule"
)

// DiskKind is the kind of a [Disk]'s faults.
const DiskKind = "disk"

// A Disk makes disks of a minority bad, since those of one node may not be used at all: slow, write-errors, read-errors, full,
// read-only. Where Names ask for them there are bit-flips as well: wrong bits that a storage
// engine's own checksums did not find, which a store need not withstand; and bad-hints, wrong bits that one node writes into
// hints, and nowhere else, or into records (bad-records), which it has to: others hold what they held. Damage at rest is for
// the asking, too: rotten, a flipped bit in a file of a stopped node, and truncated. The zero value makes those that the cluster it was checked for can make.
type Disk struct {
	Names  []string        // default all
	Timing schedule.Timing // its rhythm

	ability // of the checked cluster
	turns
	patient
}

var disks = tableOf(DiskKind,
	minority.called(harness.DiskSlow, func(r *rand.Rand, f *harness.Fault) {
		f.Disk = &harness.DiskFault{Slow: lasting(r, 20*time.Millisecond, 300*time.Millisecond)}
	}),
	minority.called(harness.DiskWriteErrors, func(r *rand.Rand, f *harness.Fault) {
		f.Disk = &harness.DiskFault{WriteErrors: upTo(r, 0.2, 1)}
	}),
	minority.called(harness.DiskReadErrors, func(r *rand.Rand, f *harness.Fault) {
		f.Disk = &harness.DiskFault{ReadErrors: upTo(r, 0.1, 0.5)}
	}),
	minority.called(harness.DiskFull, func(_ *rand.Rand, f *harness.Fault) { f.Disk = &harness.DiskFault{Full: true} }),
	minority.called(harness.DiskReadOnly, func(_ *rand.Rand, f *harness.Fault) { f.Disk = &harness.DiskFault{ReadOnly: true} }),
	onlyAsked(one.called(harness.DiskRotten, rotten)),
	onlyAsked(one.called(harness.DiskTruncated, truncated)),
	onlyAsked(minority.called(harness.DiskBitFlips, func(r *rand.Rand, f *harness.Fault) {
		f.Disk = &harness.DiskFault{BitFlips: upTo(r, 0.1, 0.5)}
	})),
	onlyAsked(one.called(harness.DiskBadHints, func(r *rand.Rand, f *harness.Fault) {
		f.Disk = &harness.DiskFault{BadHints: upTo(r, 0.5, 1)}
	})),
	onlyAsked(one.called(harness.DiskBadRecords, func(r *rand.Rand, f *harness.Fault) {
		f.Disk = &harness.DiskFault{BadRecords: upTo(r, 0.03, 0.06)}
	})),
)

// Name returns "disk", with the names that it is limited to.
func (d *Disk) Name() string { return title(DiskKind, d.Names) }

func (d *Disk) kinds() []string { return []string{DiskKind} }

// Check wants a cluster that can make disks bad, and known names that it can make, or
// without names that it can make at least one. It notes which.
func (d *Disk) Check(c harness.Cluster) error {
	cl, ok := c.(harness.DiskFaulter)
	err := disks.check(DiskKind, c, ok, "disturb disks", d.Names)
	if err == nil {
		d.ability, err = disks.able(DiskKind, c, d.Names, cl.DiskFaults(), func(f harness.Fault) []string { return f.Disk.Does() })
	}
	return err
}

// Plan draws faults, one at a time. Hints are written only while another fault makes them: where they are to be bad, faults last long
// enough to meet one, and there is room for one behind the last. Bad records are mended by all other owners, who need time for that before
// the next of them is struck.
func (d *Disk) Plan(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	t := d.Timing
	if slices.Contains(d.Names, harness.DiskBadHints) {
		t.FaultMin, t.FaultMax, t.Tail = cmp.Or(t.FaultMin, 6*time.Second), cmp.Or(t.FaultMax, 9*time.Second), cmp.Or(t.Tail, 12*time.Second)
	}
	if slices.Contains(d.Names, harness.DiskBadRecords) {
		t.GapMin, t.GapMax = cmp.Or(t.GapMin, 12*time.Second), cmp.Or(t.GapMax, 18*time.Second)
	}
	return schedule.Draw(r, nodes, span, t, disks.chosen(either(d.Names, d.names)))
}

// Inject makes the disks of the fault's nodes bad, but for those that are dead. The proof:
// before, their disks are well. What the disks did is asked at the heal.
func (d *Disk) Inject(ctx context.Context, c harness.Cluster, f harness.Fault, now func() time.Duration) (harness.Evidence, error) {
	e, w := proof{&harness.Evidence{}, now}, d.ward()
	cl, ok := c.(harness.DiskFaulter)
	if !ok || len(f.Nodes) == 0 || f.Disk == nil {
		e.problem("the cluster cannot disturb disks, or the fault names no node, or no fault of a disk")
		return *e.Evidence, fmt.Errorf("inject %s: no disk to disturb, or no way to", f.ID)
	}
	if err := d.begin(ctx, w, e, f); err != nil {
		return *e.Evidence, err
	}
	defer w.release()
	if f.Disk.AtRest() {
		err := d.damage(ctx, e, c, f)
		return *e.Evidence, err
	}
	whom := w.living(ctx, e, f.Nodes)
	if len(whom) == 0 {
		e.problem("all of its nodes were dead, so no disk was in use")
		return *e.Evidence, nil
	}
	var errs []error
	for _, n := range whom {
		d.expectWell(ctx, e, cl, before, n)
		if err := cl.Disturb(ctx, n, *f.Disk); err != nil {
			e.problem("the disk of %s was not disturbed: %v", n, err)
			errs = append(errs, fmt.Errorf("disturb %s: %w", n, err))
		}
	}
	if len(errs) < len(whom) {
		e.Injected = now()
	}
	return *e.Evidence, errors.Join(errs...)
}

// Heal makes the disks well. A store may have given up a disk that failed, so its process
// is ended in an orderly way and begun again, once no other fault holds the node. The
// proof: just before, the fault has hit operations; afterwards nothing is hit any more.
func (d *Disk) Heal(ctx context.Context, c harness.Cluster, f harness.Fault, e *harness.Evidence, now func() time.Duration) error {
	pr, w := proof{e, now}, d.ward()
	cl, ok := c.(harness.DiskFaulter)
	if !ok || f.Disk == nil {
		return fmt.Errorf("heal %s: the cluster cannot disturb disks, or there is no fault of a disk", f.ID)
	}
	if err := w.hold(ctx, pr, healing, f); err != nil {
		return err
	}
	defer w.release()
	if !d.has(f) {
		return nil
	}
	defer d.end()
	if f.Disk.AtRest() {
		return d.mend(ctx, pr, c, f)
	}
	if e.Injected > 0 {
		d.count(ctx, pr, cl, f)
	}
	var errs []error
	for _, n := range f.Nodes {
		err := w.persist(ctx, func() error { return cl.Undisturb(ctx, n) })
		if killer, ok := c.(harness.Killer); ok && err == nil && f.Disk.Fails() {
			err = w.persist(ctx, func() error { return d.renew(ctx, killer, n) })
		}
		if err != nil {
			pr.problem("%s was not healed: %v", n, err)
			errs = append(errs, fmt.Errorf("heal the disk of %s: %w", n, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	e.Healed = now()
	for _, n := range f.Nodes {
		d.expectWell(ctx, pr, cl, after, n)
	}
	return nil
}

// renew ends a node's process and begins another. A dead one is its killer's to begin, and
// a paused one would not hear.
func (d *Disk) renew(ctx context.Context, c harness.Killer, n harness.NodeID) error {
	w := d.ward()
	if w.isDead(n) {
		return nil
	}
	if w.isFrozen(n) {
		return errors.New("it is paused, so it cannot begin anew")
	}
	if err := terminate(ctx, c, n); err != nil {
		return err
	}
	return c.Restart(ctx, n)
}

// count asks what the fault has hit; on one node at least it must have hit something.
func (d *Disk) count(ctx context.Context, e proof, cl harness.DiskFaulter, f harness.Fault) {
	brief, cancel := context.WithTimeout(ctx, beginLimit)
	defer cancel()
	// Others get the lock meanwhile: they may have to start the nodes that use the disks.
	_ = d.ward().persist(brief, func() error {
		if slices.ContainsFunc(f.Nodes, func(n harness.NodeID) bool { hit, err := cl.Disturbed(brief, n); return hit > 0 || err != nil }) {
			return nil
		}
		return errors.New("nobody has used the disks yet")
	})
	for _, n := range f.Nodes {
		hit, err := cl.Disturbed(ctx, n)
		if err != nil {
			e.problem("during: what the disk of %s did could not be counted: %v", n, err)
			continue
		}
		e.Hit += hit
		e.probe(during, fmt.Sprintf("%s: %d operations hit", n, hit), true, true)
	}
	if e.Hit == 0 {
		e.problem("no operation met the fault: nobody used the disks")
	}
}

// expectWell wants that no fault has hit operations of a node's disk.
func (d *Disk) expectWell(ctx context.Context, e proof, cl harness.DiskFaulter, when string, n harness.NodeID) {
	e.state(when, n, "hit by its disk", false, func() (bool, error) {
		hit, err := cl.Disturbed(ctx, n)
		return hit > 0, err
	})
}
