package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"
)

// A Scope says what [Clean] removes.
type Scope int

// Scopes.
const (
	Stale  Scope = iota // what runs have left whose process is gone
	All                 // what any run has made, live ones too
	Images              // as Stale, and the images that nothing uses, which the next run builds again
)

// Cleaned counts what was removed.
type Cleaned struct {
	Runs, Containers, Networks, Volumes, Images int
}

// Plus adds up.
func (c Cleaned) Plus(d Cleaned) Cleaned {
	return Cleaned{c.Runs + d.Runs, c.Containers + d.Containers, c.Networks + d.Networks, c.Volumes + d.Volumes, c.Images + d.Images}
}

// Clean removes what runs have made, by label alone. It returns an error that is
// [ErrNoEngine] when there is no engine to clean.
func Clean(ctx context.Context, scope Scope) (Cleaned, error) {
	cli, err := connect(ctx)
	if err != nil {
		return Cleaned{}, fmt.Errorf("clean: %w", err)
	}
	defer func() { _ = cli.Close() }()
	return clean(ctx, cli, scope)
}

// cleanRounds is how many times clean looks for more: the engine may still be making what a
// process asked for before it was killed, and that holds on to what is to be removed.
const cleanRounds = 10

func clean(ctx context.Context, cli *client.Client, scope Scope) (Cleaned, error) {
	var done Cleaned
	here, now := machine(), time.Now()
	runs, leases := map[string]bool{}, map[string]bool{}
	var failed error
	for round := range cleanRounds {
		left, err := list(ctx, cli, ours(""))
		if err != nil {
			return done, fmt.Errorf("clean: %w", err)
		}
		condemned := left.keep(func(o owner) bool { return scope == All || o.stale(here, now, holderGone) })
		if failed = nil; condemned.empty() {
			break
		}
		for _, path := range condemned.leases(here) {
			leases[path] = true
		}
		failed = condemned.remove(ctx, cli, runs, &done)
		if err := pause(ctx, time.Duration(round)*50*time.Millisecond); err != nil {
			failed = errors.Join(failed, err)
			break
		}
	}
	if done.Runs = len(runs); failed != nil {
		return done, fmt.Errorf("clean: %w", failed)
	}
	for path := range leases {
		dropLease(path)
	}
	if scope != Images {
		return done, nil
	}
	images, err := cli.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelImage))})
	if err != nil {
		return done, fmt.Errorf("clean: list images: %w", err)
	}
	for _, im := range images {
		err := removed(cli.ImageRemove(ctx, im.ID, image.RemoveOptions{Force: true, PruneChildren: true}))
		if errdefs.IsConflict(err) {
			continue // a container uses it
		}
		if err != nil {
			return done, fmt.Errorf("clean: image %s: %w", im.ID, err)
		}
		done.Images++
	}
	return done, nil
}

// removed forgives that a thing is gone already, or that somebody else is removing it.
func removed[T any](_ T, err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// An object is anything that a run made.
type object struct {
	id, run string
	owner   owner
}

// An inventory is what runs have made.
type inventory struct {
	containers, networks, volumes []object
}

func (v inventory) empty() bool { return len(v.containers)+len(v.networks)+len(v.volumes) == 0 }

func (v inventory) keep(f func(owner) bool) inventory {
	pick := func(all []object) (kept []object) {
		for _, o := range all {
			if f(o.owner) {
				kept = append(kept, o)
			}
		}
		return kept
	}
	return inventory{pick(v.containers), pick(v.networks), pick(v.volumes)}
}

// leases lists the locked files of the inventory's owners on this machine, each once.
func (v inventory) leases(machine string) []string {
	paths := map[string]bool{}
	for _, o := range slices.Concat(v.containers, v.networks, v.volumes) {
		if o.owner.machine == machine && o.owner.lease != "" {
			paths[o.owner.lease] = true
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

// list finds all objects that match.
func list(ctx context.Context, cli *client.Client, f filters.Args) (inventory, error) {
	var v inventory
	object := func(id string, labels map[string]string) object {
		return object{id: id, run: labels[labelRun], owner: ownerOf(labels)}
	}
	containers, err := cli.ContainerList(ctx, container.ListOptions{All: true, Filters: f})
	if err != nil {
		return v, fmt.Errorf("list containers: %w", err)
	}
	for _, c := range containers {
		v.containers = append(v.containers, object(c.ID, c.Labels))
	}
	networks, err := cli.NetworkList(ctx, network.ListOptions{Filters: f})
	if err != nil {
		return v, fmt.Errorf("list networks: %w", err)
	}
	for _, n := range networks {
		v.networks = append(v.networks, object(n.ID, n.Labels))
	}
	volumes, err := cli.VolumeList(ctx, volume.ListOptions{Filters: f})
	if err != nil {
		return v, fmt.Errorf("list volumes: %w", err)
	}
	for _, vol := range volumes.Volumes {
		v.volumes = append(v.volumes, object(vol.Name, vol.Labels))
	}
	return v, nil
}

// remove removes everything in the inventory and adds to runs and, save for those, to done.
// Containers go first: they hold on to networks and volumes.
func (v inventory) remove(ctx context.Context, cli *client.Client, runs map[string]bool, done *Cleaned) error {
	each := func(what string, all []object, n *int, f func(context.Context, string) error) error {
		eg, ctx := errgroup.WithContext(ctx)
		eg.SetLimit(16)
		for _, o := range all {
			runs[o.run] = true
			eg.Go(func() error {
				if err := insist(ctx, func() error { return f(ctx, o.id) }); err != nil {
					return fmt.Errorf("remove %s %s: %w", what, o.id, err)
				}
				return nil
			})
		}
		if err := eg.Wait(); err != nil {
			return err
		}
		*n += len(all)
		return nil
	}
	return errors.Join(
		each("container", v.containers, &done.Containers, func(ctx context.Context, id string) error {
			return removed(0, cli.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true}))
		}),
		each("network", v.networks, &done.Networks, func(ctx context.Context, id string) error {
			return removed(0, cli.NetworkRemove(ctx, id))
		}),
		each("volume", v.volumes, &done.Volumes, func(ctx context.Context, id string) error {
			return removed(0, cli.VolumeRemove(ctx, id, true))
		}),
	)
}

// removeRun removes everything of one run. It looks again until nothing is left, because
// the engine may still be finishing a creation that was given up.
func removeRun(ctx context.Context, cli *client.Client, run string) error {
	var failed error
	for range cleanRounds {
		left, err := list(ctx, cli, ours(run))
		if err != nil {
			return fmt.Errorf("remove run %s: %w", run, errors.Join(failed, err))
		}
		if left.empty() {
			return nil
		}
		if failed = left.remove(ctx, cli, map[string]bool{}, &Cleaned{}); ctx.Err() != nil {
			break
		}
	}
	return errors.Join(fmt.Errorf("remove run %s: there is always something left", run), failed, ctx.Err())
}

// insist repeats a removal a few times: engines refuse while another removal of the same
// thing, or of something that uses it, is under way.
func insist(ctx context.Context, f func() error) error {
	var err error
	for attempt := range 6 {
		if err = f(); err == nil {
			return nil
		}
		if waited := pause(ctx, time.Duration(50<<attempt)*time.Millisecond); waited != nil {
			return errors.Join(err, waited)
		}
	}
	return err
}
