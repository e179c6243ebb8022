package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
)

// A backupJSON is the backup that a member has made.
type backupJSON struct {
	Member store.NodeID `json:"member"`
	Dir    string       `json:"dir,omitempty"` // on the member's machine
	Bytes  int64        `json:"bytes,omitempty"`
	Error  string       `json:"error,omitempty"`
}

func backupCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "backup NAME", Short: "Have every member copy all that it holds, while it serves", Args: arguments("a name"),
		Long: "Have every member copy all that it holds to backups/NAME in its data directory, while it serves.\n" +
			"The copies are of slightly different moments. 'cartwheeld --restore DIR' begins a node from one; from then\n" +
			"on it counts as another node in version vectors, and anti-entropy gives it what was written since.",
		RunE: func(cmd *cobra.Command, args []string) error {
			answers, _, err := askAll(cmd.Context(), g, func(ctx context.Context, a *client.Admin) (b backupJSON, err error) {
				b.Dir, b.Bytes, err = a.Backup(ctx, args[0])
				return b, err
			})
			if err != nil {
				return err
			}
			var backups []backupJSON
			var failed []error
			rows := [][]string{{"MEMBER", "BYTES", "DIRECTORY"}}
			for _, a := range answers {
				a.answer.Member = a.member.ID
				if a.err != nil {
					a.answer.Error = a.err.Error()
					failed = append(failed, a.err)
				}
				backups = append(backups, a.answer)
				rows = append(rows, []string{string(a.member.ID), strconv.FormatInt(a.answer.Bytes, 10), orDash(a.answer.Dir)})
			}
			if g.json {
				err = printJSON(cmd.OutOrStdout(), backups)
			} else {
				err = table(cmd.OutOrStdout(), rows)
			}
			return errors.Join(append(failed, err)...)
		},
	}
}
