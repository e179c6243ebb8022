package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/ring"
)

func replicasCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "replicas KEY", Short: "Show each member's own copy of a key", Args: arguments("KEY"),
		Long: "Show each member's own copy of a key: the owners' records, and for whom others hold hints of it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			answers, layout, err := askAll(cmd.Context(), g, func(ctx context.Context, a *client.Admin) (client.Copy, error) {
				return a.ReadReplica(ctx, store.Key(args[0]))
			})
			if err != nil {
				return err
			}
			_, list, err := preferenceList(layout, args[0])
			if err != nil {
				return err
			}
			copies := inOrder(answers, list)
			if g.json {
				return errors.Join(printJSON(cmd.OutOrStdout(), replicasJSON(copies)), unreachable(answers))
			}
			err = table(cmd.OutOrStdout(), replicaRows(copies, layout.Replicas))
			fmt.Fprintln(cmd.OutOrStdout(), agreement(copies, layout.Replicas))
			return errors.Join(err, unreachable(answers))
		},
	}
}

func inOrder(answers []asked[client.Copy], list []store.NodeID) (out []asked[client.Copy]) {
	for _, n := range list {
		for _, a := range answers {
			if a.member.ID == n {
				out = append(out, a)
			}
		}
	}
	return out
}

func replicaRows(copies []asked[client.Copy], owners int) [][]string {
	rows := [][]string{{"MEMBER", "ROLE", "VALUES", "VECTOR", "STATE", "HINTS FOR"}}
	for i, a := range copies {
		role := "owner"
		if i >= owners {
			role = "fallback"
		}
		if a.err != nil {
			rows = append(rows, []string{string(a.member.ID), role, trouble(a.err)})
			continue
		}
		var values []string
		for _, s := range a.answer.Siblings {
			values = append(values, valueText(s))
		}
		rows = append(rows, []string{
			string(a.member.ID), role, orDash(strings.Join(values, " | ")), a.answer.Vector, digest(a.answer.State), orDash(join(a.answer.HintedFor)),
		})
	}
	return rows
}

// digest names a state shortly: equal states, equal names.
func digest(state []byte) string {
	if len(state) == 0 {
		return "-"
	}
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(state))
}

// agreement says whether the owners that answered hold the same bytes.
func agreement(copies []asked[client.Copy], owners int) string {
	var first []byte
	answered, differ := 0, false
	for i, a := range copies {
		if i >= owners || a.err != nil {
			continue
		}
		if answered > 0 && !bytes.Equal(first, a.answer.State) {
			differ = true
		}
		if answered == 0 {
			first = a.answer.State
		}
		answered++
	}
	switch {
	case differ:
		return fmt.Sprintf("the %d owners that answered differ: a read repairs them, and so does anti-entropy within seconds", answered)
	case answered < owners:
		return fmt.Sprintf("the %d of %d owners that answered agree", answered, owners)
	}
	return fmt.Sprintf("all %d owners agree", owners)
}

func replicasJSON(copies []asked[client.Copy]) any {
	type copyJSON struct {
		Member    store.NodeID   `json:"member"`
		Owner     bool           `json:"owner"`
		Siblings  []siblingJSON  `json:"siblings"`
		Vector    string         `json:"vector"`
		State     []byte         `json:"state"`
		HintedFor []store.NodeID `json:"hinted_for"`
		Error     string         `json:"error,omitempty"`
	}
	out := []copyJSON{}
	for _, a := range copies {
		c := copyJSON{
			Member: a.member.ID, Owner: a.answer.Owner, Siblings: siblingsJSON(a.answer.Siblings),
			Vector: a.answer.Vector, State: a.answer.State, HintedFor: append([]store.NodeID{}, a.answer.HintedFor...),
		}
		if a.err != nil {
			c.Error = a.err.Error()
		}
		out = append(out, c)
	}
	return out
}

// preferenceList finds the nodes of a key as the nodes themselves do.
func preferenceList(l client.Layout, key string) (ring.Partition, []store.NodeID, error) {
	own, err := ring.New(ring.Options{Members: l.Members, Partitions: len(l.Partitions), Replicas: l.Replicas})
	if err != nil {
		return 0, nil, err
	}
	p := own.Partition(store.Key(key))
	return p, l.Partitions[p], nil
}
