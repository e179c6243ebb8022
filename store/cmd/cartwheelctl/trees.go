package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/merkle"
)

// A treeJSON is one partition's hash tree on all of its owners.
type treeJSON struct {
	Partition int                     `json:"partition"`
	Equal     bool                    `json:"equal"` // among the owners that answered
	Roots     map[store.NodeID]string `json:"roots"` // by owner; empty text: it holds no key
	Keys      map[store.NodeID]int    `json:"keys"`
}

// A checkJSON is what a member found when it compared its trees with its records.
type checkJSON struct {
	Keys    int `json:"keys"`
	Leaves  int `json:"wrong_leaves"`
	Orphans int `json:"orphans"`
	Trees   int `json:"wrong_trees"`
	Damaged int `json:"damaged"`
}

func treesCommand(g *globals) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use: "trees", Short: "Compare the hash trees of the owners of every partition", Args: arguments(),
		Long: "Compare the roots of the hash trees of the owners of every partition that holds a key.\n" +
			"With --check each member first rebuilds its trees from its records, which finds bytes that have\n" +
			"gone bad on disk; that reads everything, so give it a --timeout to match.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			answers, layout, err := askAll(cmd.Context(), g, func(ctx context.Context, a *client.Admin) (client.TreeReport, error) { return a.Trees(ctx, check) })
			if err != nil {
				return err
			}
			trees, checks := compareTrees(answers, layout), map[store.NodeID]checkJSON{}
			for _, a := range answers {
				if c := a.answer.Check; c != nil {
					checks[a.member.ID] = checkJSON{c.Keys, c.Leaves, c.Orphans, c.Trees, c.Damaged}
				}
			}
			if g.json {
				err = printJSON(cmd.OutOrStdout(), map[string]any{"trees": trees, "checks": checks})
			} else {
				err = showTrees(cmd, trees, checks, answers)
			}
			return errors.Join(err, unreachable(answers))
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "rebuild the trees from the records first")
	return cmd
}

// compareTrees lists the partitions of which some owner holds a key.
func compareTrees(answers []asked[client.TreeReport], layout client.Layout) []treeJSON {
	type root struct {
		sum  merkle.Sum
		keys int
	}
	held := map[store.NodeID]map[int]root{} // of those that answered
	for _, a := range answers {
		if a.err != nil {
			continue
		}
		held[a.member.ID] = map[int]root{}
		for _, t := range a.answer.Trees {
			held[a.member.ID][int(t.Partition)] = root{t.Root, t.Keys}
		}
	}
	out := []treeJSON{}
	for p, preference := range layout.Partitions {
		t := treeJSON{Partition: p, Equal: true, Roots: map[store.NodeID]string{}, Keys: map[store.NodeID]int{}}
		var first *root
		some := false
		for _, owner := range preference[:min(layout.Replicas, len(preference))] {
			trees, ok := held[owner]
			if !ok {
				continue
			}
			r := trees[p]
			t.Keys[owner], t.Roots[owner] = r.keys, ""
			if !r.sum.IsZero() {
				some, t.Roots[owner] = true, hex.EncodeToString(r.sum[:])
			}
			if first == nil {
				first = &r
			}
			t.Equal = t.Equal && r.sum == first.sum
		}
		if some {
			out = append(out, t)
		}
	}
	return out
}

func showTrees(cmd *cobra.Command, trees []treeJSON, checks map[store.NodeID]checkJSON, answers []asked[client.TreeReport]) error {
	var members []store.NodeID
	heading := []string{"PARTITION"}
	for _, a := range answers {
		members, heading = append(members, a.member.ID), append(heading, string(a.member.ID))
	}
	rows, different := [][]string{append(heading, "OWNERS")}, 0
	for _, t := range trees {
		row := []string{fmt.Sprint(t.Partition)}
		for _, m := range members {
			root, owner := t.Roots[m]
			switch {
			case !owner:
				row = append(row, "")
			case root == "":
				row = append(row, "no keys")
			default:
				row = append(row, fmt.Sprintf("%s (%d)", root[:8], t.Keys[m]))
			}
		}
		if t.Equal {
			row = append(row, "equal")
		} else {
			different++
			row = append(row, "differ")
		}
		rows = append(rows, row)
	}
	if err := table(cmd.OutOrStdout(), rows); err != nil {
		return err
	}
	verdict := "all owners are equal"
	if unreachable(answers) != nil {
		verdict = "all owners that answered are equal"
	}
	if different > 0 {
		verdict = fmt.Sprintf("in %d of them the owners differ: anti-entropy mends it within seconds, once they reach each other", different)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d partitions hold keys; %s\n", len(trees), verdict)
	slices.Sort(members)
	for _, m := range members {
		if c, ok := checks[m]; ok {
			_, cerr := fmt.Fprintf(cmd.OutOrStdout(), "%s checked %d records: %d wrong leaves, %d leaves without a record, %d wrong trees, all mended; %d damaged records\n",
				m, c.Keys, c.Leaves, c.Orphans, c.Trees, c.Damaged)
			err = errors.Join(err, cerr)
		}
	}
	return err
}
