package runner

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"cartwheel/harness"
)

// ErrRefused marks a run that was refused before anything started: wrong options, or a
// cluster that lacks what the nemesis needs.
var ErrRefused = errors.New("run refused")

// Options say what to run. Cluster, Target, and a Workload with Generator and Invoke
// are required.
type Options struct {
	Suite       string           // names the run; default the workload's name
	Seed        uint64           // of everything random
	Workload    harness.Workload //
	Nemesis     harness.Nemesis  // nil: no faults
	Schedule    []harness.Fault  // faults to replay; nil: Nemesis plans them
	Target      harness.Target   //
	Cluster     harness.Cluster  // not started; Play starts and stops it
	Concurrency int              // client threads; default twice the nodes
	Homes       []harness.NodeID // the node that each thread talks to; default: thread i talks to node i modulo n
	Time        time.Duration    // of the load; default 30s
	Rate        float64          // operations a second, all threads together; 0: the workload's default
	Mutant      string           // the bug that is planted in the store, for the record
	Repeat      string           // command line that does the run again, for the record

	OpTimeout   time.Duration // deadline of an operation; default 3s
	Grace       time.Duration // for a client to return after its deadline; default 1s
	StartLimit  time.Duration // for the cluster to start and be ready; default 2m
	FaultLimit  time.Duration // for one inject or heal; a heal may also take what is left of the load; default 45s
	SettleLimit time.Duration // for the cluster to become quiet; default 60s
	FinalLimit  time.Duration // for reading all replicas; default 60s
	EqualLimit  time.Duration // for replicas that differ in the final phase to become equal; default 10s
	StopLimit   time.Duration // for stopping the cluster, and for stuck clients; default 30s
	CheckBudget time.Duration // for each checker; default 60s
	// StallAfter is how much longer than its limits allow a run may record nothing, or take in all, before it is given up as
	// [ErrStalled]; default: it is not watched, as is right where time is virtual.
	StallAfter time.Duration
	// Overtime is how much longer than Time a load may go on, so that faults which a busy machine strikes late still meet operations;
	// default: none, as is right where time is virtual.
	Overtime time.Duration

	Started time.Time // for the record and the folder's name, where time.Now is virtual; default now
	Dir     string    // where results go, one folder a run; empty: nothing is written
	Keep    bool      // leave the cluster running
	Journal io.Writer // receives a copy of the history's lines as they are written; optional

	// Planned is called once, before anything starts; optional. It prints the seed.
	Planned func(p harness.Plan, dir string)
	// Progress is called about twice a second and when something changes, never
	// concurrently; optional.
	Progress func(Progress)
	// Report writes what people look at into the results folder; optional.
	Report func(dir string, res harness.Result, h []harness.Op) error
	Logger *slog.Logger // default discards
}

// Phases of Progress besides those of a history.
const (
	Starting harness.Phase = "start" // the cluster comes up
	Judging  harness.Phase = "judge" // checkers run
)

// Progress is a snapshot of a run.
type Progress struct {
	Phase        harness.Phase
	Elapsed      time.Duration // in this phase
	Remaining    time.Duration // at most, in this phase
	OpsPerSecond float64       // completions in the last second or so
	OK           int           // completions so far
	Fail         int
	Info         int
	Active       []harness.Fault // in force, in order of ID
	Note         string          // what has just happened
}

func (o Options) withDefaults() Options {
	if o.Suite == "" {
		o.Suite = o.Workload.Name
	}
	if o.Concurrency == 0 && o.Cluster != nil {
		o.Concurrency = 2 * len(o.Cluster.Nodes())
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Time, 30 * time.Second},
		{&o.OpTimeout, 3 * time.Second},
		{&o.Grace, time.Second},
		{&o.StartLimit, 2 * time.Minute},
		{&o.FaultLimit, 45 * time.Second},
		{&o.SettleLimit, time.Minute},
		{&o.FinalLimit, time.Minute},
		{&o.EqualLimit, 10 * time.Second},
		{&o.StopLimit, 30 * time.Second},
		{&o.CheckBudget, time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// validate reports all problems at once.
func (o Options) validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(o.Cluster != nil, "no cluster")
	need(o.Target != nil, "no target")
	need(o.Workload.Generator != nil, "workload %q has no generator", o.Workload.Name)
	need(o.Workload.Invoke != nil, "workload %q has no invoke", o.Workload.Name)
	need(o.Concurrency > 0, "concurrency %d is not positive", o.Concurrency)
	need(o.Time > 0, "time %v is not positive", o.Time)
	need(o.OpTimeout > 0, "operation timeout %v is not positive", o.OpTimeout)
	need(o.Rate >= 0, "rate %v is negative", o.Rate)
	need(len(o.Schedule) == 0 || o.Nemesis != nil, "a schedule of %d faults, but no nemesis to play it", len(o.Schedule))
	ids := make(map[string]bool)
	for _, f := range o.Schedule {
		need(f.ID != "" && !ids[f.ID], "the schedule has no id for a fault, or has %q twice", f.ID)
		ids[f.ID] = true
	}
	if o.Cluster != nil {
		nodes := o.Cluster.Nodes()
		need(len(nodes) > 0, "the cluster has no nodes")
		for _, n := range o.Homes {
			need(slices.Contains(nodes, n), "a thread is to talk to %q, which is no node", n)
		}
	}
	need(o.Homes == nil || len(o.Homes) == o.Concurrency, "%d threads, but nodes for %d", o.Concurrency, len(o.Homes))
	return errors.Join(errs...)
}
