package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cartwheel/harness/report"
	"cartwheel/harness/suite"
)

func (a *app) checkCommand() *cobra.Command {
	var workload string
	var budget time.Duration
	var page string
	var m foreign
	c := &cobra.Command{
		Use:   "check FOLDER|FILE...",
		Short: "Judge a stored history again, or one from anywhere",
		Long: `Judges a run's folder, or a history file on its own, with the checkers of this build. The
exit code is the verdict. Nothing in the folder changes. --report DIR writes a page about it into
a folder, which may be the run's own.

With --model it judges histories of any store, written as JSON lines or as Jepsen's EDN (told
by their content; - is standard input). docs/HISTORY.md says what a line must hold.

Models:
` + modelHelp() + `
Exit codes: 0 valid, 1 invalid, 2 unknown; of several files the worst.`,
		Example: `  cartwheel check results/latest
  cartwheel check --workload cart history.jsonl
  cartwheel check --report results/latest results/latest
  cartwheel check --model cas-register --report etcd-report etcd.edn
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
				m.budget, m.page = budget, page
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
			own := res.Dir
			if res.Dir = page; page == "" { // there may be a page, but it is not this verdict's
				return report.Text(a.out, res)
			}
			write := report.WriteFor
			if same, err := sameFolder(own, page); err != nil || same {
				write = report.Write
			}
			if err := write(page, res, h); err != nil {
				return err
			}
			return report.Text(a.out, res)
		},
	}
	c.Flags().StringVar(&workload, "workload", "", "whose checkers to use: "+strings.Join(suite.Workloads(), ", ")+" (default: the stored plan's)")
	c.Flags().DurationVar(&budget, "budget", time.Minute, "time for each checker")
	c.Flags().StringVar(&page, "report", "", "write a page (index.html and what belongs to it) into this folder")
	c.Flags().StringVar(&m.model, "model", "", "what the keys are, for a history from anywhere; see above")
	c.Flags().BoolVar(&m.json, "json", false, "with --model: print the findings as JSON, one object a file")
	c.Flags().BoolVar(&m.independent, "independent", false, "with --model: EDN values are [key value] pairs")
	return c
}

// sameFolder reports whether two paths lead to one folder. One that does not exist is no other's.
func sameFolder(a, b string) (bool, error) {
	first, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	second, err := os.Stat(b)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(first, second), err
}
