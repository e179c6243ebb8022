package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"cartwheel/harness"
)

// Damage at rest: a node is killed, one file of its disk is damaged, and it is started again.
// A store may refuse to begin on such a disk, or begin and set aside what it cannot read. Either
// is as good: what it must not do is for the checkers to find.

func rotten(r *rand.Rand, f *harness.Fault) {
	f.Disk = &harness.DiskFault{File: r.Float64(), Rotten: 1 - r.Float64()}
}

// truncated empties half of the files, as file systems do that write names before contents.
func truncated(r *rand.Rand, f *harness.Fault) {
	f.Disk = &harness.DiskFault{File: r.Float64(), Truncated: 1}
	if r.IntN(2) == 0 {
		f.Disk.Truncated = 1 - r.Float64()
	}
}

// damage injects. The proof: before, the nodes live and no file is damaged.
func (d *Disk) damage(ctx context.Context, e proof, c harness.Cluster, f harness.Fault) error {
	cl, k, err := hands(c)
	if err != nil {
		e.problem("%v", err)
		return fmt.Errorf("inject %s: %w", f.ID, err)
	}
	w := d.ward()
	whom := w.living(ctx, e, f.Nodes)
	if len(whom) == 0 {
		e.problem("all of its nodes were dead, so there was no process to begin on a damaged disk")
		return nil
	}
	var errs []error
	for _, n := range whom {
		e.state(before, n, "alive", true, func() (bool, error) { return k.Alive(ctx, n) })
		d.expectWell(ctx, e, cl, before, n)
		w.kill(n, f.ID) // whatever comes of it, it is to be started again
		if err := errors.Join(k.Kill(ctx, n), cl.Disturb(ctx, n, *f.Disk)); err != nil {
			e.problem("no file of %s was damaged: %v", n, err)
			errs = append(errs, fmt.Errorf("damage the disk of %s: %w", n, err))
			continue
		}
		if refusal := k.Restart(ctx, n); refusal != nil {
			e.probe(during, fmt.Sprintf("%s refused to begin on a damaged disk", n), true, true)
			continue
		}
		letGo(w.dead, n, f.ID)
		e.probe(during, fmt.Sprintf("%s began on a damaged disk", n), true, true)
	}
	if len(errs) < len(whom) {
		e.Injected = e.now()
	}
	return errors.Join(errs...)
}

// mend heals: the nodes are stopped, what is still damaged is made whole, and they are started.
// The proof: just before, files are damaged; afterwards none is, and the nodes live.
func (d *Disk) mend(ctx context.Context, e proof, c harness.Cluster, f harness.Fault) error {
	cl, k, err := hands(c)
	if err != nil {
		return fmt.Errorf("heal %s: %w", f.ID, err)
	}
	w := d.ward()
	var errs []error
	for _, n := range f.Nodes {
		hit, err := cl.Disturbed(ctx, n)
		if err == nil && hit == 0 {
			continue // it was left out, or never damaged
		}
		e.Hit += hit
		e.probe(during, fmt.Sprintf("%s: %d files were damaged", n, hit), true, err == nil)
		letGo(w.dead, n, f.ID)
		w.kill(n, f.ID)
		err = errors.Join(err, w.persist(ctx, func() error { return errors.Join(k.Kill(ctx, n), cl.Undisturb(ctx, n)) }))
		if held := letGo(w.dead, n, f.ID); err == nil && !held {
			err = w.persist(ctx, func() error { return k.Restart(ctx, n) })
		}
		if err != nil {
			e.problem("%s was not healed: %v", n, err)
			errs = append(errs, fmt.Errorf("mend the disk of %s: %w", n, err))
		}
	}
	if e.Injected > 0 && e.Hit == 0 {
		e.problem("no file was damaged")
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	e.Healed = e.now()
	for _, n := range f.Nodes {
		d.expectWell(ctx, e, cl, after, n)
		e.state(after, n, "alive", !w.isDead(n), func() (bool, error) { return k.Alive(ctx, n) })
	}
	return nil
}

// hands are what it takes to damage a disk.
func hands(c harness.Cluster) (harness.DiskFaulter, harness.Killer, error) {
	cl, ok := c.(harness.DiskFaulter)
	k, able := c.(harness.Killer)
	if !ok || !able {
		return nil, nil, errors.New("the cluster cannot disturb disks of dead nodes")
	}
	return cl, k, nil
}
