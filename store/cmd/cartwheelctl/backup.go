package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/ring"
)

// A backupJSON is the backup that a member has made, or restored.
type backupJSON struct {
	Member  store.NodeID `json:"member"`
	Dir     string       `json:"dir,omitempty"` // on the member's machine; of one partition a file
	Bytes   int64        `json:"bytes,omitempty"`
	Keys    int          `json:"keys,omitempty"`     // of one partition
	LeftOut int          `json:"left_out,omitempty"` // keys of it whose records are damaged
	Changed int          `json:"changed,omitempty"`  // keys of which a restore has made the member hold more
	Error   string       `json:"error,omitempty"`
}

func backupCommand(g *globals) *cobra.Command {
	partition := -1
	cmd := &cobra.Command{
		Use: "backup NAME", Short: "Have every member copy all that it holds, or one partition, while it serves", Args: arguments("a name"),
		Long: "Have every member copy all that it holds to backups/NAME in its data directory, while it serves.\n" +
			"The copies are of slightly different moments. 'cartwheeld --restore DIR' begins a node from one; from then\n" +
			"on it counts as another node in version vectors, and anti-entropy gives it what was written since.\n\n" +
			"With --partition its owners write that partition only, each to a file in backups/NAME, which 'restore' reads.",
		Example: "  cartwheelctl backup monday\n  cartwheelctl backup monday --partition 7",
		RunE: func(cmd *cobra.Command, args []string) error {
			backups, err := g.backups(cmd, partition, func(ctx context.Context, a *client.Admin) (b backupJSON, err error) {
				if partition < 0 {
					b.Dir, b.Bytes, err = a.Backup(ctx, args[0])
					return b, err
				}
				f, err := a.Archive(ctx, args[0], ring.Partition(partition))
				return backupJSON{Dir: f.File, Bytes: f.SizeBytes, Keys: f.Keys, LeftOut: f.LeftOut}, err
			})
			if backups == nil {
				return err
			}
			rows := [][]string{{"MEMBER", "BYTES", "DIRECTORY"}}
			if partition >= 0 {
				rows = [][]string{{"MEMBER", "BYTES", "FILE", "KEYS", "DAMAGED"}}
			}
			for _, b := range backups {
				row := []string{string(b.Member), strconv.FormatInt(b.Bytes, 10), orDash(b.Dir)}
				if partition >= 0 {
					row = append(row, strconv.Itoa(b.Keys), strconv.Itoa(b.LeftOut))
				}
				rows = append(rows, row)
			}
			return errors.Join(err, g.print(cmd, backups, rows))
		},
	}
	partitionFlag(cmd, &partition)
	return cmd
}

func restoreCommand(g *globals) *cobra.Command {
	partition := -1
	cmd := &cobra.Command{
		Use: "restore NAME --partition P", Short: "Have a partition's owners join what 'backup --partition' has kept into what they hold", Args: arguments("a name"),
		Long: "Have each owner of a partition join the file that 'backup NAME --partition P' has written in its data directory into\n" +
			"what it holds: what is newer stays, what is missing comes back, and anti-entropy gives it to the other owners. Files may be\n" +
			"carried to other machines and clusters, below backups/NAME in the data directory, as long as there are as many partitions.\n" +
			"What was deleted since, and whose tombstone was collected, comes back as well.",
		Example: "  cartwheelctl restore monday --partition 7",
		RunE: func(cmd *cobra.Command, args []string) error {
			if partition < 0 {
				return fmt.Errorf("%w: restore needs --partition; a whole backup is restored by 'cartwheeld --restore DIR'", errUsage)
			}
			restored, err := g.backups(cmd, partition, func(ctx context.Context, a *client.Admin) (b backupJSON, err error) {
				b.Keys, b.Changed, err = a.Restore(ctx, args[0], ring.Partition(partition))
				return b, err
			})
			if restored == nil {
				return err
			}
			rows := [][]string{{"MEMBER", "KEYS", "CHANGED", "TROUBLE"}}
			for _, b := range restored {
				rows = append(rows, []string{string(b.Member), strconv.Itoa(b.Keys), strconv.Itoa(b.Changed), orDash(b.Error)})
				if b.Error == "" {
					err = nil // one owner that has it is enough: the others get it from there
				}
			}
			return errors.Join(err, g.print(cmd, restored, rows))
		},
	}
	partitionFlag(cmd, &partition)
	return cmd
}

func partitionFlag(cmd *cobra.Command, partition *int) {
	cmd.Flags().IntVar(partition, "partition", -1, "number of a partition, as 'cartwheelctl ring KEY' tells")
}

// backups asks all members, or the owners of a partition, and joins what went wrong.
func (g *globals) backups(cmd *cobra.Command, partition int, question func(context.Context, *client.Admin) (backupJSON, error)) (out []backupJSON, err error) {
	if cmd.Flags().Changed("partition") && (partition < 0 || partition >= ring.PartitionsMax) {
		return nil, fmt.Errorf("%w: --partition is %d, want a number from 0", errUsage, partition)
	}
	answers, _, err := askAll(cmd.Context(), g, question)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, a := range answers {
		if errors.Is(a.err, store.ErrNotOwner) {
			continue
		}
		a.answer.Member = a.member.ID
		if a.err != nil {
			a.answer.Error = a.err.Error()
			failed = append(failed, fmt.Errorf("%s: %w", a.member.ID, a.err))
		}
		out = append(out, a.answer)
	}
	return out, errors.Join(failed...)
}

// print writes what a command has found, for programs or for people.
func (g *globals) print(cmd *cobra.Command, list any, rows [][]string) error {
	if g.json {
		return printJSON(cmd.OutOrStdout(), list)
	}
	return table(cmd.OutOrStdout(), rows)
}
