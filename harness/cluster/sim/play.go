package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/bubble"
	"cartwheel/harness/cluster/sim/fate"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/runner"
	"cartwheel/harness/trace"
	"cartwheel/store"
)

// A Recording is what a simulated run leaves.
type Recording struct {
	*runner.Recording
	Tally wire.Tally // of all packets: equal runs have equal tallies
}

// Play plays a run on a cluster that fresh makes, in a bubble of its own: virtual time
// passes as fast as it can. Everything in o that waits or draws must belong to this run
// alone, the target too, whose clients must name their writes by [Names]. The history then
// depends on the seed and the options, not on the machine.
//
// The recording is nil only if there was no run. It is judged outside, by
// runner.Conclude with o. A run that has a folder gets its trace there. A cancelled ctx ends the run within a virtual second. A hang in
// the store that waits for no virtual time hangs here: watch from another process.
func Play(ctx context.Context, fresh func() (*Cluster, error), o runner.Options) (*Recording, error) {
	var rec *Recording
	var played error
	err := bubble.Run(func() {
		cluster, err := fresh()
		if err != nil {
			played = err
			return
		}
		o.Cluster = cluster
		if o.Dir != "" { // whoever keeps a run wants to look at it
			cluster.Record()
		}
		inner, stop := inside(ctx)
		defer stop()
		var r *runner.Recording
		if r, played = runner.Play(inner, o); r != nil {
			rec = &Recording{Recording: r, Tally: cluster.Tally()}
			if o.Dir != "" {
				if lines := cluster.Trace(r.Epoch); lines != nil {
					r.Attach = attachTrace(r.Dir, lines)
				}
			}
		}
	})
	if err = errors.Join(err, played); err != nil {
		return rec, fmt.Errorf("simulate seed %d: %w", o.Seed, err)
	}
	return rec, nil
}

// attachTrace returns what writes a trace into a run's folder, once it is known what there
// is to look at.
func attachTrace(dir string, lines []trace.Line) func(harness.Result, []harness.Op) error {
	return func(res harness.Result, h []harness.Op) error {
		focus, _ := trace.FocusOf(res, h, lines)
		return trace.Write(dir, trace.Shorten(lines, focus, trace.LinesMax))
	}
}

// inside returns a context for use in a bubble. Waiting for a channel from outside would
// keep the bubble's time from passing, so the outer context is looked at from time to time.
func inside(outer context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	over := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		look := time.NewTicker(time.Second)
		defer look.Stop()
		for {
			select {
			case <-over:
				return
			case <-look.C:
				if outer.Err() != nil {
					cancel(context.Cause(outer))
					return
				}
			}
		}
	})
	return ctx, func() {
		close(over)
		watch.Wait()
		cancel(nil)
	}
}

// Names draws the names of writes of a run's clients.
func Names(seed uint64) store.Rand {
	base := fate.Hash(seed, 'n')
	return func(names ...uint64) uint64 { return fate.Hash(base, fate.Hash(names...)) }
}
