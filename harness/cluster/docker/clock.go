package docker

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/docker/docker/api/types/mount"

	"cartwheel/harness"
)

// skewScript writes a store's clock file, whole or not at all. Since when the clock is wrong
// is told by the clock that it shares with the store's container.
const skewScript = `printf '%s' "${2:+$2 since=$(date +%s%N)}" >"$1.new" && mv "$1.new" "$1"`

const (
	asks    = 10                     // for a store's time; a busy machine may be slow once, or twice
	soonest = 100 * time.Millisecond // an answer within this tells the time well enough
	latest  = 200 * time.Millisecond // one that took longer does not tell it to a tenth of a second
)

// clockMount is the volume that carries the node's clock file, which the host container
// writes and the store reads. There is none for stores that cannot be skewed.
func (p *plan) clockMount(self peer, readOnly bool) []mount.Mount {
	if p.opts.ClockFile == "" {
		return nil
	}
	return []mount.Mount{{
		Type: mount.TypeVolume, Source: p.name(self, "clock"), Target: path.Dir(p.opts.ClockFile), ReadOnly: readOnly,
		VolumeOptions: &mount.VolumeOptions{Labels: p.volumeLabels(self)},
	}}
}

// Skew sets the store's clock wrong by its clock file, which it reads each time that it
// wants to know the hour. The file outlives the store, so a node that is killed is skewed in
// its next life, too; the drift goes on meanwhile.
func (c *Cluster) Skew(ctx context.Context, n harness.NodeID, s harness.Skew) error {
	_, p, err := c.pod(n)
	if err == nil && c.opts.ClockFile == "" {
		err = errors.New("the store has no clock file: see Options.ClockFile")
	}
	text := ""
	if err == nil && s != (harness.Skew{}) {
		err = s.Valid()
		text = fmt.Sprintf("offset=%s drift=%g strobe=%s", s.Offset, s.Drift, s.Strobe)
	}
	if err == nil {
		_, err = p.shell.run(ctx, "", "bash", "-c", skewScript, "skew", c.opts.ClockFile, text)
	}
	return wrap(err, "skew the clock of %s", n)
}

// Offset asks the store for its time, a few times if the answer is slow, and compares the
// middle of the wait.
func (c *Cluster) Offset(ctx context.Context, n harness.NodeID) (time.Duration, error) {
	fail := func(err error) (time.Duration, error) { return 0, fmt.Errorf("offset of %s's clock: %w", n, err) }
	if _, _, err := c.pod(n); err != nil {
		return fail(err)
	}
	if c.opts.Wall == nil {
		return fail(errors.New("the store cannot be asked for its time: see Options.Wall"))
	}
	var offset time.Duration
	best := time.Duration(-1)
	for range asks {
		begun := time.Now()
		wall, err := c.opts.Wall(ctx, c, n)
		if err != nil {
			return fail(err)
		}
		took := time.Since(begun)
		if best < 0 || took < best {
			best, offset = took, wall.Sub(begun.Add(took/2))
		}
		if best <= soonest {
			break
		}
	}
	if best > latest {
		return fail(fmt.Errorf("it took %s or more to answer: too long to tell a tenth of a second", best))
	}
	return offset, nil
}
