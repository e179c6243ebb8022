package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cartwheel/harness"
)

// rewind names the change in which a member comes back with a disk of the past.
const rewind = "rewind"

// rewound is how long such a member runs before it is replaced: long enough to be heard by all, and compared with.
const rewound = 6 * time.Second

var errNoImages = errors.New("the cluster keeps no images of disks")

// keep takes the image that the member is to come back with.
func (ch change) keep(ctx context.Context) error {
	r, able := ch.cluster.(harness.Rewinder)
	if !able {
		ch.problem("%v", errNoImages)
		return fmt.Errorf("inject %s: %w", ch.fault.ID, errNoImages)
	}
	if err := r.Keep(ctx, ch.fault.Nodes[0]); err != nil {
		ch.problem("no image was kept: %v", err)
		return fmt.Errorf("inject %s: %w", ch.fault.ID, err)
	}
	ch.Injected = ch.now()
	return nil
}

// rewind brings the member back as it was, lets it run, and puts another in its place as an operator would. It returns
// that replacement, which is left to be undone. The proof: the member ran on its disk of the past.
func (ch change) rewind(ctx context.Context) (change, error) {
	n := ch.fault.Nodes[0]
	r, able := ch.cluster.(harness.Rewinder)
	if !able || ch.Injected == 0 {
		return ch, fmt.Errorf("heal %s: %w", ch.fault.ID, errNoImages)
	}
	ch.w.kill(n, ch.fault.ID)
	err := errors.Join(ch.Kill(ctx, n), r.Rewind(ctx, n))
	err = errors.Join(err, startAgain(ctx, ch.w, ch.Killer, n, ch.fault.ID))
	ch.probe(during, fmt.Sprintf("%s began with a disk of the past", n), true, err == nil)
	if err != nil {
		ch.problem("%s was not given its old disk: %v", n, err)
		return ch, fmt.Errorf("rewind %s: %w", n, err)
	}
	_ = ch.w.aside(ctx, func() error {
		wait(ctx, rewound)
		return nil
	})
	ch.state(during, n, "alive", ch.w.serves(n), func() (bool, error) { return ch.Alive(ctx, n) })
	ch.fault.Name = "replace"
	if err := ch.make(ctx); err != nil {
		ch.problem("%s was not replaced: %v", n, err)
		return ch, fmt.Errorf("replace %s: %w", n, err)
	}
	return ch, nil
}
