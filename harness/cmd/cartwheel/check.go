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
	c := &cobra.Command{
		Use:   "check FOLDER|FILE",
		Short: "Judge a stored history again",
		Long: `Judges a run's folder, or a history file on its own, with the checkers of this build. The
exit code is the verdict. Nothing in the folder changes unless a new page is asked for.`,
		Example: `  cartwheel check results/latest
  cartwheel check --workload cart history.jsonl`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: check takes one run's folder or history file, such as results/latest, got %d", errUsage, len(args))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			res, h, err := suite.Judge(c.Context(), args[0], workload, budget)
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
	return c
}
