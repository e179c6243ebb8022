package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cartwheel/harness/report"
	"cartwheel/harness/suite"
)

func (a *app) checkCommand() *cobra.Command {
	var workload string
	var budget time.Duration
	var page bool
	var m foreign
	c := &cobra.Command{
		Use:   "check FOLDER|FILE...",
		Short: "Judge a stored history again, or one from anywhere",
		Long: `Judges a run's folder, or a history file on its own, with the checkers of this build. The
exit code is the verdict. Nothing in the folder changes unless a new page is asked for.

With --model it judges histories of any store, written as JSON lines or as Jepsen's EDN (told
by their content; - is standard input). docs/HISTORY.md says what a line must hold.

Models:
` + modelHelp() + `
Exit codes: 0 valid, 1 invalid, 2 unknown; of several files the worst.`,
		Example: `  cartwheel check results/latest
  cartwheel check --workload cart history.jsonl
  cartwheel check --model cas-register etcd.edn
  cartwheel check --model set --json --independent a.edn b.edn
  jq -c .op log.json | cartwheel check --model register -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || m.model == "" && len(args) != 1 {
				return fmt.Errorf("%w: check takes one run's folder or history file, such as results/latest, and more only with --model; got %d", errUsage, len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if m.model != "" {
				m.budget = budget
				return a.checkModel(searching(c.Context()), m, args)
			}
			res, h, err := suite.Judge(searching(c.Context()), args[0], workload, budget)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			if err != nil {
				return err
			}
			a.verdict = res.Verdict
			if page {
				if err := report.Write(res.Dir, res, h); err != nil {
					return err
				}
			} else {
				res.Dir = "" // there may be a page, but it is not this verdict's
			}
			return report.Text(a.out, res)
		},
	}
	c.Flags().StringVar(&workload, "workload", "", "whose checkers to use: "+strings.Join(suite.Workloads(), ", ")+" (default: the stored plan's)")
	c.Flags().DurationVar(&budget, "budget", time.Minute, "time for each checker")
	c.Flags().BoolVar(&page, "report", false, "write index.html beside the history")
	c.Flags().StringVar(&m.model, "model", "", "what the keys are, for a history from anywhere; see above")
	c.Flags().BoolVar(&m.json, "json", false, "with --model: print the findings as JSON, one object a file")
	c.Flags().BoolVar(&m.independent, "independent", false, "with --model: EDN values are [key value] pairs")
	return c
}
