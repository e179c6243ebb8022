package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
)

func ringCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "ring [KEY]", Short: "Show who owns what, or who serves a key",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%w: ring takes one KEY or none, got %d arguments", errUsage, len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.withClient(func(c *client.Client) error {
				layout, err := c.Layout(cmd.Context())
				if err != nil {
					return err
				}
				if len(args) == 0 {
					return g.showMembers(cmd, layout)
				}
				return g.showKey(cmd, layout, args[0])
			})
		},
	}
}

func (g *globals) showMembers(cmd *cobra.Command, l client.Layout) error {
	type memberJSON struct {
		ID      store.NodeID `json:"id"`
		Address string       `json:"address"`
		Leads   int          `json:"leads"` // partitions of which it is the first owner
		Owns    int          `json:"owns"`
	}
	list, rows := []memberJSON{}, [][]string{{"MEMBER", "ADDRESS", "LEADS", "OWNS"}}
	for _, m := range l.Members {
		j := memberJSON{ID: m.ID, Address: m.Address}
		for _, preference := range l.Partitions {
			if preference[0] == m.ID {
				j.Leads++
			}
			if slices.Contains(preference[:l.Replicas], m.ID) {
				j.Owns++
			}
		}
		list = append(list, j)
		rows = append(rows, []string{string(m.ID), m.Address, fmt.Sprint(j.Leads), fmt.Sprint(j.Owns)})
	}
	if g.json {
		return printJSON(cmd.OutOrStdout(), map[string]any{
			"members": list, "partitions": len(l.Partitions), "replicas": l.Replicas, "digest": ringDigest(l.Digest),
		})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d partitions, %d replicas, digest %s\n", len(l.Partitions), l.Replicas, ringDigest(l.Digest))
	return table(cmd.OutOrStdout(), rows)
}

func (g *globals) showKey(cmd *cobra.Command, l client.Layout, key string) error {
	partition, list, err := preferenceList(l, key)
	if err != nil {
		return err
	}
	if g.json {
		return printJSON(cmd.OutOrStdout(), map[string]any{
			"key": key, "partition": partition, "owners": list[:l.Replicas], "fallbacks": list[l.Replicas:],
		})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "partition  %d\nowners     %s\nfallbacks  %s\n",
		partition, join(list[:l.Replicas]), orDash(join(list[l.Replicas:])))
	return nil
}
