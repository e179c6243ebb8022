package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cartwheel/harness"
	"cartwheel/harness/report"
	"cartwheel/harness/runner"
	"cartwheel/harness/suite"
)

// errDiffers marks a simulated run that was not the same again.
var errDiffers = errors.New("the replay differs")

func (a *app) replayCommand() *cobra.Command {
	var r suite.Replaying
	var s search
	var p planting
	var verbose bool
	var ofSeed []string
	c := &cobra.Command{
		Use:   "replay SEED|FOLDER",
		Short: "Play a run again and compare the histories",
		Long: `Plays a stored run again: same knobs, seed and faults, the faults as they are in the folder's
schedule.json now, edited or not. Or plays a seed of "cartwheel sim", given the same flags, twice.

In the simulation the history must be the same, byte for byte; the first line that differs is
shown. A run in Docker repeats its operations and faults, not their timing, so only the
verdict counts. If the bug was planted, name it: the command then builds itself with it.

The exit code is the verdict of the run that is played now, or 255 if it had to be the same
and is not.`,
		Example: `  cartwheel replay results/latest
  cartwheel replay --cluster sim results/latest   # a run in Docker, simulated
  cartwheel replay 7 --nemesis pause`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			r.Hooks = suite.Hooks{Note: func(text string) { a.say("  %s", text) }, Logger: logger(a.err, verbose)}
			seed, isSeed := seedOf(args[0])
			for _, name := range ofSeed {
				if !isSeed && c.Flags().Changed(name) {
					return fmt.Errorf("%w: --%s is for a seed, a folder knows its own", errUsage, name)
				}
			}
			if isSeed && (r.Cluster != "" && !suite.Simulated(r.Cluster) || r.Image != "") {
				return fmt.Errorf("%w: a seed is of the simulated cluster", errUsage)
			}
			if p.wanted() && (isSeed || simulated(args[0], r.Cluster)) {
				again := []string{"replay", "--results", r.Results, "--cluster", r.Cluster, "--verbose=" + strconv.FormatBool(verbose)}
				if isSeed {
					again = append(again, s.seedArgs()...)
				}
				return a.planted(c.Context(), p, append(again, "--", args[0])...)
			}
			if isSeed {
				return a.replaySeed(c.Context(), s, seed, r)
			}
			r.Path, r.Overlay = args[0], p.overlay
			return a.replay(c.Context(), r)
		},
	}
	f := c.Flags()
	ofSeed = s.seedFlags(f)
	f.StringVar(&r.Cluster, "cluster", "", "where to play it: "+strings.Join(suite.Clusters(), ", ")+" (default: where it was)")
	f.StringVar(&r.Results, "results", "results", "folder for results")
	f.StringVar(&r.Image, "image", "", "image of the store, in Docker (default: built from this checkout)")
	f.StringVar(&p.mutant, "mutant", "", "bug of the catalogue to plant in the simulated store")
	f.StringVar(&p.overlay, "overlay", "", `file for "go build -overlay", of this command or of the image`)
	f.BoolVar(&verbose, "verbose", false, "show what the harness logs")
	return c
}

// seedOf reads a seed. What is a folder is none.
func seedOf(arg string) (uint64, bool) {
	seed, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		return 0, false
	}
	_, err = os.Stat(arg)
	return seed, err != nil
}

// simulated reports whether a folder's run will be played in the simulation.
func simulated(dir, cluster string) bool {
	if cluster == "" {
		stored, _ := runner.Stored(dir) // what is wrong with it is told by who plays it
		cluster = stored.Plan.World
	}
	return suite.Simulated(cluster)
}

// replay plays a folder's run.
func (a *app) replay(ctx context.Context, r suite.Replaying) error {
	out, err := suite.Replay(ctx, r)
	if err != nil {
		return err
	}
	if err := report.Text(a.out, out.Result); err != nil {
		return err
	}
	a.tell("stored: %s, seed %d, in the %s world", strings.ToUpper(string(out.Verdict)), out.Stored.Seed, out.Stored.World)
	switch {
	case out.Exact() || out.Inexact != "" && out.Difference == "":
		a.tell("EQUAL: the history is the same byte for byte, %d lines", out.Lines)
	case out.Inexact != "":
		a.tell("not compared: %s; the histories part at %s", out.Inexact, out.Difference)
	default:
		a.tell("DIFFERENT at %s", out.Difference)
		why := "two plays of this build differ as well: the simulation does not repeat itself, which is a bug of it or of the store"
		if out.Repeats {
			why = "this build repeats itself: another one made the folder, from other source or with a planted bug (--mutant, --overlay)"
		}
		return fmt.Errorf("%w: %s", errDiffers, why)
	}
	a.verdict = out.Result.Verdict
	return nil
}

// replaySeed plays a seed of a search twice, the second time under another GOMAXPROCS.
func (a *app) replaySeed(ctx context.Context, s search, seed uint64, r suite.Replaying) error {
	if err := s.check(); err != nil {
		return err
	}
	play := func(results string, procs int) (harness.Result, []byte, error) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		k, h := s.knobsOf(seed), r.Hooks
		var got bytes.Buffer
		k.Results, h.Journal = results, &got
		res, err := suite.Run(ctx, k, h)
		return res, got.Bytes(), err
	}
	res, first, err := play(r.Results, runtime.GOMAXPROCS(0))
	if err != nil {
		a.verdict = res.Verdict
		return err
	}
	if err := report.Text(a.out, res); err != nil {
		return err
	}
	_, second, err := play("", 1+runtime.GOMAXPROCS(0)%4)
	if err != nil {
		a.verdict = res.Verdict
		return err
	}
	if !suite.Exact(s.knobsOf(seed).Cluster) {
		a.tell("not compared: with --ties things happen at once, and their order is not repeated")
		a.verdict = res.Verdict
		return nil
	}
	if d := suite.Difference(first, second); d != "" {
		a.tell("DIFFERENT at %s", d)
		return fmt.Errorf("%w: two plays of seed %d are not the same, which is a bug of the simulation or of the store", errDiffers, seed)
	}
	a.tell("EQUAL: two plays gave the same history byte for byte, %d lines", bytes.Count(first, []byte("\n")))
	a.verdict = res.Verdict
	return nil
}
