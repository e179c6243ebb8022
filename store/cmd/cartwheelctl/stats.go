package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
)

func statsCommand(g *globals) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "stats [PREFIX]", Short: "Show what every member has counted since it started",
		Long: "Shows what every member has counted since it started, a line a counter, those that are 0 everywhere left out.\n" +
			"docs/OPERATIONS.md says which to watch; cartwheeld --debug-listen serves the same for Prometheus.",
		Example: "  cartwheelctl stats hints\n  cartwheelctl stats --all",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("stats takes one prefix of names at most, such as hints; got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			answers, _, err := askAll(cmd.Context(), g, func(ctx context.Context, a *client.Admin) (client.Status, error) { return a.Status(ctx) })
			if err != nil {
				return err
			}
			byMember := make(map[store.NodeID]map[string]uint64)
			rows, names := [][]string{{"COUNTER"}}, []string{}
			for _, a := range answers {
				rows[0] = append(rows[0], string(a.member.ID))
				byMember[a.member.ID] = a.answer.Counters
				for name, n := range a.answer.Counters {
					wanted := strings.HasPrefix(name, strings.Join(args, "")) && (all || n > 0)
					if wanted && !slices.Contains(names, name) {
						names = append(names, name)
					}
				}
			}
			slices.Sort(names)
			for _, name := range names {
				row := []string{name}
				for _, a := range answers {
					text := "-" // it did not answer, or does not know the counter
					if n, ok := a.answer.Counters[name]; ok {
						text = fmt.Sprint(n)
					}
					row = append(row, text)
				}
				rows = append(rows, row)
			}
			switch {
			case g.json:
				err = printJSON(cmd.OutOrStdout(), byMember)
			case len(names) == 0:
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "nothing was counted; --all shows every counter")
			default:
				err = table(cmd.OutOrStdout(), rows)
			}
			return errors.Join(err, unreachable(answers))
		},
	}
	c.Flags().BoolVar(&all, "all", false, "counters that are 0, too")
	return c
}
