package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"cartwheel/harness"
	"cartwheel/harness/report"
	"cartwheel/harness/shrink"
	"cartwheel/harness/suite"
)

func (a *app) shrinkCommand() *cobra.Command {
	var s suite.Shrinking
	var p planting
	c := &cobra.Command{
		Use:   "shrink FOLDER",
		Short: "Find the smallest run that shows a stored run's anomaly",
		Long: `Plays a stored run on the simulated cluster again and again with fewer faults, clients,
keys, nodes and operations, as long as the same checker reports the same kind of anomaly. The
smallest run is written as a folder of its own. An interrupt ends the search and writes what was
found by then.

A run of the simulated cluster is repeated exactly. Of a run in Docker the same faults and
operations are played with a few seeds; if none shows the anomaly, that is said. If the bug was planted,
name it: the command then builds itself with it.

Exit codes: 0 the shrunk run shows the anomaly, 2 the simulation does not show it, 254 there
is nothing to shrink, 255 the harness itself failed.`,
		Example: `  cartwheel shrink results/latest
  cartwheel shrink --mutant M48 --budget 2m results/latest
  cartwheel shrink --budget 0s results/latest   # only play it again`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			s.Path = args[0]
			if p.wanted() {
				return a.planted(c.Context(), p, "shrink", "--budget", s.Budget.String(), "--anomaly", s.Anomaly,
					"--results", s.Results, "--planted", p.flags(), "--", s.Path)
			}
			return a.shrink(c.Context(), s)
		},
	}
	f := c.Flags()
	f.DurationVar(&s.Budget, "budget", time.Minute, "time for the search; 0s only plays the run again")
	f.StringVar(&s.Anomaly, "anomaly", "", "kind of anomaly to keep (default: the first that is reported)")
	f.StringVar(&s.Results, "results", "results", "folder for results")
	f.StringVar(&p.mutant, "mutant", "", "bug of the catalogue to plant in the store")
	f.StringVar(&p.overlay, "overlay", "", `file for "go build -overlay" when this command is built with a bug`)
	f.StringVar(&s.Flags, "planted", "", "flags that built this command")
	_ = f.MarkHidden("planted") // it is there: the line above made it
	return c
}

func (a *app) shrink(ctx context.Context, s suite.Shrinking) error {
	var size shrink.Size
	last := time.Now()
	s.Note = func(text string) { a.say("  %s", text) }
	s.Progress = func(p shrink.Progress) {
		if p.Size == size && time.Since(last) < lineEvery {
			return
		}
		size, last = p.Size, time.Now()
		a.say("  try %-4d %-18s %s", p.Tries, p.Doing, p.Size)
	}
	out, err := suite.Shrink(ctx, s)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", errUsage, err)
	case errors.Is(err, shrink.ErrNotShown) && out.Result.Verdict == "":
		a.verdict = harness.Unknown
		_, err = fmt.Fprintf(a.out, "NOT SHOWN %s %s: %v\n", out.Checker, out.Kind, err)
		return err
	case err != nil:
		return err
	}
	if err := report.Text(a.out, out.Result); err != nil {
		return err
	}
	end := "the budget is used up: more time may shrink it further"
	switch {
	case out.Outcome.Minimal:
		end = "no part can be taken away by itself"
	case ctx.Err() != nil:
		end = "interrupted"
	case s.Budget <= 0:
		end = "played again as it is"
	}
	_, err = fmt.Fprintf(a.out, "from:   %s\nto:     %s\ntries:  %d, %s\n", out.From, out.Outcome.Case.Size(), out.Outcome.Tries, end)
	return err
}
