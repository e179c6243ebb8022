package nemesis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
)

// Changes of members that have to be asked for.
const (
	rebuild = "rebuild"
	zombie  = "zombie"
	amid    = "amid-" // with the name of a change: it begins when a partition has just begun, which lasts as long
	late    = "late-" // with the name of a change: it begins when a partition has just ended
)

// grows reports whether a change adds a machine.
func grows(f harness.Fault) bool {
	return slices.Contains([]string{"join", "replace", zombie, rewind}, sortOf(f))
}

// nodeOn names the node that runs on a machine and is a member, as far as its neighbours know; none if nobody says.
func (ch change) nodeOn(ctx context.Context, machine harness.NodeID) (node harness.NodeID) {
	_ = ch.w.aside(ctx, func() error {
		for _, n := range ch.base() {
			if v, err := ch.store.View(ctx, ch.cluster, n); err == nil && n != machine {
				if i := slices.Index(v.Members, machine); i >= 0 {
					node = v.Nodes[i]
					return nil
				}
			}
		}
		return nil
	})
	return node
}

// rebuild empties the disk of a member and puts the node that begins on it in the member's place.
func (ch change) rebuild(ctx context.Context) error {
	n := ch.fault.Nodes[0]
	if err := ch.empty(ctx, n); err != nil {
		return err
	}
	if err := startAgain(ctx, ch.w, ch.Killer, n, ch.fault.ID); err != nil {
		return fmt.Errorf("start %s: %w", n, err)
	}
	return ch.ask(ctx, func() error { return ch.store.Replace(ctx, ch.cluster, n, n) })
}

// rebuilt waits until the node that has begun anew has what it is to have. One whose place was never
// given to it gets it now: nothing else brings the members back.
func (ch change) rebuilt(ctx context.Context) error {
	n := ch.fault.Nodes[0]
	if slices.Contains(ch.w.dead[n], ch.fault.ID) {
		if err := startAgain(ctx, ch.w, ch.Killer, n, ch.fault.ID); err != nil {
			return fmt.Errorf("start %s: %w", n, err)
		}
	}
	if ch.Injected == 0 {
		if err := ch.ask(ctx, func() error { return ch.store.Replace(ctx, ch.cluster, n, n) }); err != nil {
			return err
		}
	}
	return ch.settled(ctx, ch.members(), n)
}

// raise replaces a member while it is dead and starts it again on its old disk, once its successor has its data.
// It then asks for its place under its old name. A store is to refuse; what
// comes of it if it does not is for the checkers to find.
func (ch change) raise(ctx context.Context) error {
	f := ch.fault
	n := f.Nodes[0]
	ch.w.kill(n, f.ID)
	if err := ch.Kill(ctx, n); err != nil {
		return err
	}
	if err := ch.ask(ctx, func() error { return ch.store.Replace(ctx, ch.cluster, n, f.Spare) }); err != nil {
		return err
	}
	if err := ch.settled(ctx, ch.members(), f.Spare); err != nil {
		return err
	}
	if err := startAgain(ctx, ch.w, ch.Killer, n, f.ID); err != nil {
		return fmt.Errorf("start %s: %w", n, err)
	}
	err := ch.w.aside(ctx, func() error {
		wait(ctx, raisedFor)
		return ch.store.Join(ctx, ch.cluster, n)
	})
	if err != nil {
		ch.probe(during, fmt.Sprintf("%s, back on its old disk, was refused its place", n), true, true)
		return nil
	}
	ch.probe(during, fmt.Sprintf("%s, back on its old disk, was given a place", n), true, true)
	return nil
}

// raisedFor is how long a member that has come back serves before it asks for its place.
const raisedFor = 2 * time.Second
