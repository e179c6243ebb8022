package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/docker"
	"cartwheel/harness/cluster/sim"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/runner"
	"cartwheel/harness/target/cartwheel"
)

// A world can play a run: it brings a cluster and what it takes to run on it.
type world func(ctx context.Context, k Knobs, h Hooks, o runner.Options) (harness.Result, error)

func worlds() []entry[world] {
	return []entry[world]{
		{"docker", func() world { return inDocker }},
		{sim.World, func() world { return inSimulation(sim.Options{}) }},
		{sim.WorldGRPC, func() world { return inSimulation(sim.Options{GRPC: true}) }},
		{sim.WorldTies, func() world { return inSimulation(sim.Options{Wire: wire.Options{Round: tiesRound}}) }},
	}
}

// stallAfter is how much longer than its limits allow a run in containers may be silent before it is given up.
const stallAfter = 30 * time.Second

// overtime is how much longer a load in containers may go on for faults that struck late.
const overtime = 30 * time.Second

// tiesRound is what arrivals are rounded to where they are to meet: packets take half a
// millisecond to five.
const tiesRound = 2 * time.Millisecond

// Tier names the simulated cluster of a tier: as it is, with gRPC itself on the wire, or
// with messages that arrive at once.
func Tier(grpc, ties bool) (string, error) {
	switch {
	case grpc && ties:
		return "", fmt.Errorf("%w: gRPC on the wire and messages that arrive at once are tiers of their own", ErrKnobs)
	case grpc:
		return sim.WorldGRPC, nil
	case ties:
		return sim.WorldTies, nil
	}
	return sim.World, nil
}

// Exact reports whether a seed gives the same run again on a cluster of that name.
func Exact(cluster string) bool { return cluster == sim.World || cluster == sim.WorldGRPC }

// Simulated reports whether a cluster of that name, or a world, is a simulated one.
func Simulated(cluster string) bool {
	return cluster == sim.World || cluster == sim.WorldGRPC || cluster == sim.WorldTies
}

// Clusters lists the names that Knobs.Cluster may have.
func Clusters() []string { return names(worlds()) }

// Reach returns nil if a cluster of that name can be had on this machine, else an error
// that says what to do about it.
func Reach(ctx context.Context, cluster string) error {
	if cluster == "docker" {
		return docker.Reachable(ctx)
	}
	return nil
}

// failed is the result of a run that did not come about.
func failed(err error) (harness.Result, error) {
	return harness.Result{Verdict: harness.Unknown, Reasons: []string{err.Error()}}, err
}

// inDocker builds the store's image, unless one is given, and plays the run in pods.
func inDocker(ctx context.Context, k Knobs, h Hooks, o runner.Options) (harness.Result, error) {
	image := k.Image
	if image == "" {
		h.note("building the store's image")
		var err error
		if image, err = docker.StoreImage(ctx, docker.Build{Overlay: k.Overlay, Logger: h.Logger}); err != nil {
			return failed(err)
		}
	}
	if there, err := docker.HasHostImage(ctx, ""); err == nil && !there {
		h.note("building the image of the nodes' hosts: this happens once and takes a minute or a few")
	}
	host, err := docker.HostImage(ctx, "", h.Logger)
	if err != nil {
		return failed(err)
	}
	if err := docker.CheckCapture(ctx, host, k.Capture, Nodes(k.Nodes)); errors.Is(err, docker.ErrFilter) {
		return failed(fmt.Errorf("%w: capture: %w", ErrKnobs, err))
	} else if err != nil {
		return failed(err)
	}
	cluster, err := docker.New(docker.Options{
		// Unique among live runs: two of one instant on one machine differ in their process.
		Run:   fmt.Sprintf("%s-%d", time.Now().UTC().Format("20060102T150405.000"), os.Getpid()),
		Nodes: k.Nodes, Image: image, HostImage: host, Command: cartwheel.Command(o.Workload.Store), Join: cartwheel.Join(o.Workload.Store), Port: cartwheel.Port, AdminPort: cartwheel.AdminPort, Logger: h.Logger,
		ClockFile: cartwheel.ClockFile, Capture: k.Capture, Env: []string{cartwheel.ClockEnv}, Wall: cartwheel.Wall,
	})
	if err != nil {
		return failed(err)
	}
	o.Cluster, o.Target = cluster, cartwheel.New().On(o.Workload.Store)
	o.StallAfter, o.Overtime = stallAfter, overtime
	return runner.Run(ctx, o)
}

// inSimulation plays runs on a tier of the simulated cluster.
func inSimulation(tier sim.Options) world {
	return func(ctx context.Context, k Knobs, h Hooks, o runner.Options) (harness.Result, error) {
		return simulate(ctx, tier, k, h, o)
	}
}

// simulate plays the run in one process and in virtual time, and judges it outside, where
// the checkers' budgets are real.
func simulate(ctx context.Context, tier sim.Options, k Knobs, h Hooks, o runner.Options) (harness.Result, error) {
	if k.Image != "" || k.Overlay != "" || k.Keep {
		return failed(fmt.Errorf("%w: the simulated cluster has no image, no overlay and nothing to keep", ErrKnobs))
	}
	fresh := func() (*sim.Cluster, error) {
		tier.Nodes, tier.Seed = k.Nodes, k.Seed
		return sim.NewStore(tier, cartwheel.Configure(o.Workload.Store))
	}
	o.Target, o.Started = cartwheel.Seeded(sim.Names(k.Seed)).On(o.Workload.Store), time.Now()
	rec, err := sim.Play(ctx, fresh, o)
	if rec == nil {
		return failed(err)
	}
	if h.Packets != nil {
		h.Packets(rec.Tally)
	}
	res, cerr := runner.Conclude(ctx, o, rec.Recording)
	return res, errors.Join(err, cerr)
}
