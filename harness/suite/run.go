package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/report"
	"cartwheel/harness/runner"
	"cartwheel/nemesis/schedule"
)

// Hooks are told how a run goes. All are optional.
type Hooks struct {
	Planned  func(p harness.Plan, dir string) // before anything starts
	Progress func(p runner.Progress)          // about twice a second; never concurrently
	Note     func(text string)                // what happens before the run itself
	Logger   *slog.Logger                     // default discards
	Journal  io.Writer                        // receives the lines of the history as they are written
	Packets  func(wire.Tally)                 // of a simulated run: what its network carried
}

func (h Hooks) note(format string, args ...any) {
	if h.Note != nil {
		h.Note(fmt.Sprintf(format, args...))
	}
}

// Run does a run. An error that is ErrKnobs or [runner.ErrRefused] means that there was
// none; any other, that the harness or its cluster failed. What is known of the run is
// in the result either way.
func Run(ctx context.Context, k Knobs, h Hooks) (harness.Result, error) {
	play, o, err := assemble(k, h)
	if err != nil {
		return failed(err)
	}
	return play(ctx, k.withDefaults(), h, o)
}

// Check says what is wrong with the knobs, without running anything.
func Check(k Knobs) error {
	_, _, err := assemble(k, Hooks{})
	return err
}

// assemble decides all but the cluster.
func assemble(k Knobs, h Hooks) (world, runner.Options, error) {
	k = k.withDefaults()
	verr := k.validate()
	if verr != nil {
		verr = fmt.Errorf("%w: %w", ErrKnobs, verr)
	}
	replay, rerr := k.faults(os.ReadFile, Nodes(k.Nodes))
	if rerr == nil {
		k.Nemesis, rerr = k.playing(replay)
	}
	play, werr := find("cluster", k.Cluster, worlds())
	workload, lerr := Workload(k.Workload)
	faults, nerr := paced(k.Nemesis, schedule.Timing{Gaps: k.Gaps})
	if rerr != nil {
		nerr = nil // there is no list to speak of
	}
	if err := errors.Join(werr, lerr, nerr, verr, rerr); err != nil {
		return nil, runner.Options{}, err
	}
	return play, runner.Options{
		Suite: k.Suite, Seed: k.Seed, Workload: k.apply(workload), Nemesis: faults, Schedule: replay,
		Concurrency: k.Concurrency, Time: k.Time, Rate: k.Rate, Mutant: k.Mutant, Repeat: k.Command(),
		Dir: k.Results, Keep: k.Keep,
		Planned: h.Planned, Progress: h.Progress, Report: report.Write, Logger: h.Logger, Journal: h.Journal,
	}, nil
}

// Nodes names the nodes of a cluster of a size, as every cluster does: n1, n2 and so on.
func Nodes(n int) []harness.NodeID {
	nodes := make([]harness.NodeID, n)
	for i := range nodes {
		nodes[i] = harness.NodeID(fmt.Sprintf("n%d", i+1))
	}
	return nodes
}

// Judge judges a stored run again: its folder or a history file. The workload is the
// stored plan's, or the named one. The result's folder is where the history is.
func Judge(ctx context.Context, path, workload string, budget time.Duration) (harness.Result, []harness.Op, error) {
	find := func(p harness.Plan) (harness.Workload, error) {
		if workload != "" {
			return Workload(workload)
		}
		if p.Workload == "" {
			return harness.Workload{}, fmt.Errorf("%w: no plan is stored beside the history: name its workload", ErrKnobs)
		}
		return Workload(p.Workload)
	}
	return runner.JudgeDir(ctx, path, find, budget)
}
