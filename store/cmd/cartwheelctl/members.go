package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
)

// withAdmin runs f with the first --server: plans are one node's alone.
func (g *globals) withAdmin(ctx context.Context, f func(context.Context, *client.Admin) error) error {
	_, err := askOne(ctx, g, store.Member{Address: g.servers[0]}, func(ctx context.Context, a *client.Admin) (struct{}, error) {
		return struct{}{}, f(ctx, a)
	})
	return err
}

func membersCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "members", Short: "Show who is and will be a member, how far a change is, and what it waits for",
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.withAdmin(cmd.Context(), func(ctx context.Context, a *client.Admin) error {
				m, err := a.Members(ctx)
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(cmd.OutOrStdout(), membersJSON(m))
				}
				return showStates(cmd, m)
			})
		},
	}
}

func showStates(cmd *cobra.Command, m client.Members) error {
	out := cmd.OutOrStdout()
	if m.Cluster == 0 {
		fmt.Fprintf(out, "%s has not heard of a cluster yet.\n", m.Node)
		return nil
	}
	rows := [][]string{{"NODE", "ADDRESS", "ZONE", "CAPACITY", "STATE", "UP", "OWNS", "WILL OWN", "ACKED", "SYNCED", "SYNC-ACKED"}}
	for _, n := range m.Nodes {
		up := "yes"
		if !n.Up {
			up = "no"
		}
		rows = append(rows, []string{
			string(n.ID), n.Address, orDash(n.Zone), fmt.Sprint(n.Capacity), n.State, up, fmt.Sprint(n.Owns), fmt.Sprint(n.WillOwn),
			fmt.Sprint(n.Acked), fmt.Sprint(n.Synced), fmt.Sprint(n.SyncAcked),
		})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	newest := m.Live[len(m.Live)-1]
	if m.Step == "" {
		fmt.Fprintf(out, "\nversion %d of the layout, settled\n", newest.Number)
	} else {
		var live []string
		for _, v := range m.Live {
			live = append(live, fmt.Sprintf("%d (%s)", v.Number, v.Kind))
		}
		fmt.Fprintf(out, "\nversions %s are live: writes go to the owners of each, reads to those of %d\n", strings.Join(live, " and "), m.Read)
		fmt.Fprintf(out, "waits for the %s of %s\n", m.Step, join(m.WaitsFor))
		for _, n := range m.Nodes {
			for _, w := range m.WaitsFor {
				if w == n.ID && !n.Up {
					fmt.Fprintf(out, "%s is down: bring it back, or 'force-remove %s' if it will never be\n", w, w)
				}
			}
		}
	}
	for _, w := range m.Waiting {
		fmt.Fprintf(out, "%s at %s waits to be given a role: 'join %s'\n", w.ID, w.Address, w.ID)
	}
	if len(m.Removed) > 0 {
		fmt.Fprintf(out, "removed: %s\n", join(m.Removed))
	}
	for id, text := range m.Forked {
		fmt.Fprintf(out, "%s is of another cluster: %s\n", id, text)
	}
	return nil
}

func membersJSON(m client.Members) map[string]any {
	type nodeJSON struct {
		ID        store.NodeID `json:"id"`
		Address   string       `json:"address"`
		Zone      string       `json:"zone,omitempty"`
		Capacity  int          `json:"capacity"`
		State     string       `json:"state"`
		Up        bool         `json:"up"`
		Owns      int          `json:"owns"`
		WillOwn   int          `json:"will_own"`
		Acked     uint64       `json:"acked"`
		Synced    uint64       `json:"synced"`
		SyncAcked uint64       `json:"sync_acked"`
	}
	type memberJSON struct {
		ID      store.NodeID `json:"id"`
		Address string       `json:"address"`
	}
	nodes, waiting, live := []nodeJSON{}, []memberJSON{}, []map[string]any{}
	for _, n := range m.Nodes {
		nodes = append(nodes, nodeJSON{n.ID, n.Address, n.Zone, n.Capacity, n.State, n.Up, n.Owns, n.WillOwn, n.Acked, n.Synced, n.SyncAcked})
	}
	for _, w := range m.Waiting {
		waiting = append(waiting, memberJSON{w.ID, w.Address})
	}
	for _, v := range m.Live {
		live = append(live, map[string]any{"version": v.Number, "id": ringDigest(v.ID), "kind": v.Kind})
	}
	return map[string]any{
		"node": m.Node, "cluster": ringDigest(m.Cluster), "live": live, "read": m.Read, "settled": len(m.Live) == 1, "nodes": nodes,
		"waiting": waiting, "removed": m.Removed, "step": m.Step, "waits_for": m.WaitsFor, "forked": m.Forked,
	}
}

func transfersCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "transfers", Short: "Show what members copy, hand over and drop because the layout changes",
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			answers, _, err := askAll(cmd.Context(), g, func(ctx context.Context, a *client.Admin) (client.Transfers, error) { return a.Transfers(ctx) })
			if err != nil {
				return err
			}
			list, rows := []map[string]any{}, [][]string{{"MEMBER", "DOES NOW", "KEYS COPIED", "BYTES", "HANDED OVER", "DROPPED", "STILL TO DROP", "TROUBLE"}}
			for _, a := range answers {
				if a.err != nil {
					rows = append(rows, []string{string(a.member.ID), trouble(a.err)})
					list = append(list, map[string]any{"member": a.member.ID, "error": a.err.Error()})
					continue
				}
				t := a.answer
				now := "-"
				for _, w := range t.Work {
					now = fmt.Sprintf("%s %d/%d: partition %d %s", w.Kind, w.Done, w.All, w.Partition, w.Peer)
				}
				rows = append(rows, []string{
					string(t.Node), strings.TrimSpace(now), fmt.Sprint(t.Keys.Copied), sizeText(t.Keys.CopiedBytes), fmt.Sprint(t.Keys.HandedOver),
					fmt.Sprint(t.Keys.Dropped), fmt.Sprint(t.Held), orDash(t.Trouble),
				})
				list = append(list, map[string]any{
					"member": t.Node, "work": now, "keys_copied": t.Keys.Copied, "bytes_copied": t.Keys.CopiedBytes, "keys_handed_over": t.Keys.HandedOver,
					"keys_dropped": t.Keys.Dropped, "keys_damaged": t.Keys.Damaged, "keys_to_drop": t.Held, "hints": t.Hints, "trouble": t.Trouble,
				})
			}
			if g.json {
				err = printJSON(cmd.OutOrStdout(), list)
			} else {
				err = table(cmd.OutOrStdout(), rows)
			}
			if err != nil {
				return err
			}
			return unreachable(answers)
		},
	}
}

// sizeText prints a size for people.
func sizeText(n uint64) string {
	const step = 1 << 10
	f, unit := float64(n), 0
	for ; f >= step && unit < 4; unit++ {
		f /= step
	}
	if unit == 0 {
		return strconv.FormatUint(n, 10) + " B"
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGT"[unit-1])
}
