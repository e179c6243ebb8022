package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cartwheel/harness"
	"cartwheel/harness/report"
	"cartwheel/harness/suite"
)

func (a *app) testCommand() *cobra.Command {
	var k suite.Knobs
	var verbose, grpc bool
	var count int
	var p planting
	c := &cobra.Command{
		Use:   "test",
		Short: "Run a workload under faults and judge it",
		Long: `Runs a workload on a cluster while faults strike, heals, reads every copy, and judges
the history. Interrupt it once to end the load early: it still heals, stops the cluster and
writes what is known. Interrupt it twice to leave at once; "cartwheel clean" then
removes what is left.`,
		Example: `  cartwheel test --workload cart --nemesis partition --time 30s
  cartwheel test --workload register --nemesis partition,pause --time 2m --seed 7
  cartwheel test --schedule results/latest/schedule.json --seed 7   # the same faults again`,
		Args: arguments(func(c *cobra.Command, args []string) error {
			if len(args) == 1 && k.Capture == suite.CaptureAll {
				return fmt.Errorf("a filter stands behind a =, as in --capture='%s'", args[0])
			}
			return cobra.NoArgs(c, args)
		}),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("capture") && k.Capture == "" {
				return fmt.Errorf("%w: --capture= with nothing behind it: leave the = out to record all packets", errUsage)
			}
			if err := meant(c.Flags(), "time", "nodes", "concurrency", "r", "w", "count"); err != nil {
				return err
			}
			if !c.Flags().Changed("seed") {
				seed, err := newSeed()
				if err != nil {
					return err
				}
				k.Seed = seed
			}
			if grpc {
				if !suite.Simulated(k.Cluster) {
					return fmt.Errorf("%w: --grpc is for --cluster sim: on %s it is gRPC anyway", errUsage, k.Cluster)
				}
				k.Cluster, _ = suite.Tier(grpc, false)
			}
			switch {
			case count > 1 && p.mutant != "":
				return fmt.Errorf("%w: --count and --mutant: \"cartwheel mutants\" repeats hunts", errUsage)
			case count > 1:
				return a.repeat(c, k, count, verbose)
			case p.mutant != "":
				return a.testPlanted(c, k, p.mutant, verbose)
			}
			return a.test(c, k, verbose)
		},
	}
	f := c.Flags()
	knobFlags(f, &k)
	f.StringVar(&p.mutant, "mutant", "", "bug of the catalogue to plant in the store; see cartwheel mutants")
	f.StringVar(&k.Mutant, "planted", "", "bug that this build has in it")
	_ = f.MarkHidden("planted") // it is there: the line above made it
	f.IntVar(&count, "count", 1, "do the run so many times and tell how often it fails, with Wilson's interval")
	f.BoolVar(&grpc, "grpc", false, "with --cluster sim: gRPC itself over simulated sockets")
	f.StringVar(&k.Capture, "capture", "", "record packets of every node, for Wireshark: those between nodes and of clients, or --capture='FILTER' as tcpdump reads it, such as 'tcp port 7070' or 'host n2'")
	f.Lookup("capture").NoOptDefVal = suite.CaptureAll
	f.BoolVar(&k.Keep, "keep", false, "leave the cluster running")
	f.BoolVar(&verbose, "verbose", false, "show what the harness logs")
	return c
}

// knobFlags are those that say which run to do.
func knobFlags(f *pflag.FlagSet, k *suite.Knobs) {
	f.StringVar(&k.Workload, "workload", "cart", "what clients do: "+strings.Join(suite.Workloads(), ", "))
	f.StringVar(&k.Nemesis, "nemesis", "partition", "faults, separated by commas: "+strings.Join(suite.Nemeses(), ", ")+", or "+suite.AllNemeses)
	f.StringVar(&k.Gaps, "gaps", suite.Gaps()[0], "how times between faults are drawn: "+strings.Join(suite.Gaps(), ", "))
	f.StringVar(&k.Cluster, "cluster", "docker", "where the store runs: "+strings.Join(suite.Clusters(), ", "))
	f.DurationVar(&k.Time, "time", 30*time.Second, "length of the load")
	f.Uint64Var(&k.Seed, "seed", 0, "of everything random (default: a new one, printed first)")
	f.IntVar(&k.Nodes, "nodes", 5, "nodes of the cluster")
	f.IntVar(&k.Concurrency, "concurrency", 0, "client threads (default: twice the nodes)")
	f.Float64Var(&k.Rate, "rate", 0, "operations a second, all threads together (default: the workload's)")
	f.IntVar(&k.R, "r", 0, "replicas that must answer a read (default: the workload's)")
	f.IntVar(&k.W, "w", 0, "replicas that must store a write (default: the workload's)")
	f.StringVar(&k.Quorum, "quorum", "", "strict: only a key's owners count; sloppy: stand-ins too (default: the workload's)")
	f.StringVar(&k.Repair, "repair", "", "of reads: async, blocking, none (default: the workload's)")
	f.BoolVar(&k.NoAntiEntropy, "no-anti-entropy", false, "nodes do not compare what they hold: hints and reads alone repair")
	f.IntVar(&k.HintRate, "hint-rate", 0, "bytes of hints a second that a node delivers to one owner (default: the workload's, or else the store's)")
	f.Uint64Var(&k.HintBytes, "hint-bytes", 0, "bytes of hints that a node keeps for others (default: the workload's, or else the store's)")
	f.StringVar(&k.Durability, "durability", "", "of writes: all, one (the coordinator's copy), none (with --flush-after; an experiment) (default: the workload's)")
	f.DurationVar(&k.FlushAfter, "flush-after", 0, "nodes have what a lower durability leaves in memory on disk so much later (default: the workload's, or else the store's)")
	f.StringVar(&k.Schedule, "schedule", "", "file of faults to replay, a run's schedule.json, edited or not")
	f.StringVar(&k.Results, "results", "results", "folder for results")
	f.StringVar(&k.Image, "image", "", "image of the store (default: built from this checkout)")
	f.StringVar(&k.Overlay, "overlay", "", `file for "go build -overlay" when the image is built`)
}

// testPlanted does a run with a bug in the store: in the image, or for the simulation in
// this command itself, which is built anew.
func (a *app) testPlanted(c *cobra.Command, k suite.Knobs, mutant string, verbose bool) (err error) {
	p := planting{mutant: mutant}
	if k.Overlay != "" || k.Image != "" {
		return fmt.Errorf("%w: a mutant and an overlay or image: which bug is it to be?", errUsage)
	}
	if suite.Simulated(k.Cluster) {
		return a.planted(c.Context(), p, append(k.Arguments(), "--results", k.Results, "--planted", mutant, "--verbose="+strconv.FormatBool(verbose))...)
	}
	root, err := moduleRoot(c.Context())
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cartwheel-planted-")
	if err != nil {
		return fmt.Errorf("plant a bug: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if k.Overlay, err = p.file(root, dir); err != nil {
		return err
	}
	k.Mutant = mutant
	return a.test(c, k, verbose)
}

// meant refuses a zero that was typed: unset it stands for a default, which nobody who
// types it can mean.
func meant(flags *pflag.FlagSet, names ...string) error {
	var errs []error
	for _, name := range names {
		f := flags.Lookup(name)
		if v := f.Value.String(); f.Changed && (v == "0" || v == "0s") {
			errs = append(errs, fmt.Errorf("%w: --%s %s: must be positive", errUsage, name, v))
		}
	}
	return errors.Join(errs...)
}

// test prints the seed and the plan first, the verdict and the report's path last.
func (a *app) test(c *cobra.Command, k suite.Knobs, verbose bool) error {
	if err := suite.Check(k); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.out, "SEED %d\n", k.Seed); err != nil {
		return fmt.Errorf("print the seed: %w", err)
	}
	s := newScreen(a.err)
	defer context.AfterFunc(c.Context(), func() {
		s.note("interrupted: it heals, stops the cluster and writes what is known; once more leaves at once")
	})()
	var printed error
	res, err := suite.Run(c.Context(), k, suite.Hooks{
		Planned:  func(p harness.Plan, dir string) { printed = s.above(func() error { return a.plan(p, dir) }) },
		Progress: s.progress,
		Note:     s.note,
		Logger:   logger(s, verbose),
	})
	s.close()
	a.verdict = res.Verdict
	if err != nil && len(res.Plan.Nodes) == 0 {
		return err // there was no run to tell of
	}
	return errors.Join(err, printed, report.Text(a.out, res))
}

func (a *app) plan(p harness.Plan, dir string) error {
	if err := report.Plan(a.out, p); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "results: %s\n", dir)
	return err
}

// newSeed draws a seed that nobody has chosen, short enough to be typed.
func newSeed() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("draw a seed: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]) >> 32, nil
}
