package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
	"cartwheel/store/ring"
)

// A wish is a change of members as it was asked for.
type wish struct {
	join, leave, zone, capacity []string
	moves                       bool
}

func planCommand(g *globals) *cobra.Command {
	var w wish
	cmd := &cobra.Command{
		Use: "plan", Short: "Show what a change of members would move",
		Long: "Show what a change of members would move: the one that join, leave, replace, set and force-remove have planned on the\n" +
			"first --server, or, with flags, one that nobody has planned. Nothing is changed. The layout is the one that moves least;\n" +
			"every partition has its owners on distinct nodes, in as many zones as there can be, and a node's share follows its capacity.",
		Example: "  cartwheelctl plan --join n6=10.0.0.6:7070 --leave n2\n" +
			"  cartwheelctl plan --zone n1=a --zone n2=a --zone n3=b --zone n4=b --zone n5=c --capacity n5=2",
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if w.none() {
				return g.planned(cmd, w.moves)
			}
			return g.withClient(func(c *client.Client) error {
				now, err := c.Layout(cmd.Context())
				if err != nil {
					return err
				}
				from, to, err := w.layouts(now)
				if err != nil {
					return err
				}
				return g.showPlan(cmd, client.Plan{Shares: ring.Shares(from, to), Moves: ring.Moves(from, to), Replicas: to.Partitions() * to.Replicas()}, w.moves)
			})
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&w.join, "join", nil, "id=host:port: a node that joins; may be repeated, as all of these")
	f.StringSliceVar(&w.leave, "leave", nil, "id of a node that leaves")
	f.StringSliceVar(&w.zone, "zone", nil, "id=zone: nodes of one zone may fail together (default: all are in one)")
	f.StringSliceVar(&w.capacity, "capacity", nil, "id=share of the data relative to other nodes (default 1)")
	f.BoolVar(&w.moves, "moves", false, "list every replica that is copied")
	return cmd
}

func (w wish) none() bool { return len(w.join)+len(w.leave)+len(w.zone)+len(w.capacity) == 0 }

// layouts returns what a cluster serves now, and what it would serve after the change.
func (w wish) layouts(now client.Layout) (from, to *ring.Layout, err error) {
	owners := make([][]store.NodeID, len(now.Partitions))
	for p, list := range now.Partitions {
		owners[p] = list[:now.Replicas]
	}
	if from, err = ring.Restore(ring.Plain(now.Members), owners); err != nil {
		return nil, nil, err
	}
	roles, err := w.roles(from.Roles())
	if err != nil {
		return nil, nil, err
	}
	if to, err = from.Change(roles); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return from, to, nil
}

// roles applies the wish to the roles of now.
func (w wish) roles(now []ring.Role) ([]ring.Role, error) {
	roles := slices.Clone(now)
	find := func(id string) int {
		return slices.IndexFunc(roles, func(r ring.Role) bool { return string(r.ID) == id })
	}
	for _, id := range w.leave {
		i := find(id)
		if i < 0 {
			return nil, fmt.Errorf("%w: --leave %s: there is no such member", errUsage, id)
		}
		roles = slices.Delete(roles, i, i+1)
	}
	for _, j := range w.join {
		id, address, ok := strings.Cut(j, "=")
		if !ok || id == "" || !strings.Contains(address, ":") {
			return nil, fmt.Errorf("%w: --join %q is not of the form id=host:port", errUsage, j)
		}
		roles = append(roles, ring.Plain([]store.Member{{ID: store.NodeID(id), Address: address}})...)
	}
	for _, set := range []struct {
		flag  string
		pairs []string
		apply func(*ring.Role, string) error
	}{
		{"--zone", w.zone, func(r *ring.Role, v string) error { r.Zone = v; return nil }},
		{"--capacity", w.capacity, func(r *ring.Role, v string) (err error) { r.Capacity, err = strconv.Atoi(v); return err }},
	} {
		for _, pair := range set.pairs {
			id, v, _ := strings.Cut(pair, "=")
			i := find(id)
			if i < 0 || v == "" || set.apply(&roles[i], v) != nil {
				return nil, fmt.Errorf("%w: %s %q: want id=value, of a node that stays or joins", errUsage, set.flag, pair)
			}
		}
	}
	return roles, nil
}

// showPlan prints what a plan would do. One without a number was only asked about.
func (g *globals) showPlan(cmd *cobra.Command, p client.Plan, list bool) error {
	type nodeJSON struct {
		ID       store.NodeID `json:"id"`
		Address  string       `json:"address"`
		Zone     string       `json:"zone,omitempty"`
		Capacity int          `json:"capacity"`
		Before   int          `json:"before"`
		After    int          `json:"after"`
		Gains    int          `json:"gains"`
		Drops    int          `json:"drops"`
	}
	type moveJSON struct {
		Partition ring.Partition `json:"partition"`
		To        store.NodeID   `json:"to"`
		From      []store.NodeID `json:"from"`
	}
	nodes, rows := []nodeJSON{}, [][]string{{"NODE", "ZONE", "CAPACITY", "OWNS", "WOULD OWN", "COPIES IN", "GIVES UP"}}
	for _, s := range p.Shares {
		nodes = append(nodes, nodeJSON{s.ID, s.Address, s.Zone, s.Capacity, s.Before, s.After, s.Gains, s.Drops})
		rows = append(rows, []string{
			string(s.ID), orDash(s.Zone), fmt.Sprint(s.Capacity), fmt.Sprint(s.Before), fmt.Sprint(s.After), fmt.Sprint(s.Gains), fmt.Sprint(s.Drops),
		})
	}
	moves := []moveJSON{}
	for _, m := range p.Moves {
		moves = append(moves, moveJSON{m.Partition, m.To, m.From})
	}
	wishes := []string{}
	for _, w := range p.Wishes {
		wishes = append(wishes, w.String())
	}
	if g.json {
		return printJSON(cmd.OutOrStdout(), map[string]any{
			"version": p.Number, "wishes": wishes, "nodes": nodes, "moves": moves, "replicas": p.Replicas, "bytes": p.Bytes,
		})
	}
	if err := table(cmd.OutOrStdout(), rows); err != nil {
		return err
	}
	if list && len(moves) > 0 {
		rows := [][]string{{"PARTITION", "TO", "FROM ALL OF"}}
		for _, m := range moves {
			rows = append(rows, []string{fmt.Sprint(m.Partition), string(m.To), join(m.From)})
		}
		fmt.Fprintln(cmd.OutOrStdout())
		if err := table(cmd.OutOrStdout(), rows); err != nil {
			return err
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "\n%d of %d replicas would be copied", len(moves), p.Replicas)
	if p.Number == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), ". Nothing has been changed.")
		return nil
	}
	fmt.Fprintf(cmd.OutOrStdout(), ", about %s.\n", sizeText(p.Bytes))
	for _, w := range wishes {
		fmt.Fprintf(cmd.OutOrStdout(), "planned: %s\n", w)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Nothing has been changed. Make it so with 'commit %d', forget it with 'abort', both on the same --server.\n", p.Number)
	return nil
}
