package docker

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"cartwheel/harness"
)

//go:embed damage.sh
var damageScript string

// damage does what a fault says to a file of a store that is stopped. A container beside the store
// does it, which has the store's volume and stays as long as the fault does, with what was there before. The caller
// holds the pod's busy.
func (r *running) damage(ctx context.Context, n harness.NodeID, p *pod, f harness.DiskFault) (err error) {
	if err := r.stopped(ctx, p); err != nil {
		return err
	}
	self := peer{node: n, address: p.address}
	p.surgeon, err = r.plan.startAside(ctx, n, "surgeon", recipe{
		config: &container.Config{Image: r.plan.hostImage, User: "0:0", Entrypoint: []string{}, Cmd: []string{"sleep", "infinity"}},
		host: &container.HostConfig{
			NetworkMode: "none", ReadonlyRootfs: true, Tmpfs: map[string]string{"/tmp": ""},
			CapDrop: []string{"ALL"}, CapAdd: []string{"DAC_OVERRIDE"}, SecurityOpt: []string{"no-new-privileges"},
			Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: r.plan.name(self, "data"), Target: r.plan.opts.Data}},
		},
	})
	if err != nil {
		return err
	}
	millionths := func(part float64) string { return strconv.Itoa(int(part * 1e6)) }
	how := strings.Join(f.Does(), "")
	if _, err := execute(ctx, r.cli, p.surgeon, "", "bash", "-c", damageScript, "damage.sh",
		how, r.plan.opts.Data, millionths(f.File), millionths(max(f.Rotten, f.Truncated))); err != nil {
		discard(ctx, r.cli, p.surgeon)
		p.surgeon = ""
		return fmt.Errorf("make a file %s: %w", how, err)
	}
	p.hit = 1
	return nil
}

// mendFile ends the damage, if there is any. The caller holds the pod's busy.
func (r *running) mendFile(ctx context.Context, p *pod) error {
	if p.surgeon == "" {
		return nil
	}
	if err := r.stopped(ctx, p); err != nil {
		return err
	}
	if _, err := execute(ctx, r.cli, p.surgeon, "", "bash", "-c", damageScript, "damage.sh", "mend", r.plan.opts.Data); err != nil {
		return fmt.Errorf("make the damaged file whole: %w", err)
	}
	if err := removed(struct{}{}, r.cli.ContainerRemove(ctx, p.surgeon, container.RemoveOptions{Force: true})); err != nil {
		return err
	}
	p.surgeon = ""
	return nil
}

// stopped wants a store without a process.
func (r *running) stopped(ctx context.Context, p *pod) error {
	state, err := r.cli.ContainerInspect(ctx, p.store())
	if err == nil && state.State.Running {
		err = errors.New("its files are in use: stop it first")
	}
	return wrap(err, "look at the store")
}
