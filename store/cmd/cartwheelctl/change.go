package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
)

// A role is what flags say of a node.
type role struct {
	zone     string
	capacity int
}

func (r *role) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.zone, "zone", "", "nodes of one zone may fail together (default: as before, or that of the node that is replaced)")
	cmd.Flags().IntVar(&r.capacity, "capacity", 0, "share of the data relative to other nodes (default: as before, or 1)")
}

// wish gives a wish what the flags say.
func (r *role) wish(cmd *cobra.Command, w client.Wish) client.Wish {
	if w.Capacity = r.capacity; cmd.Flags().Changed("zone") {
		w.Zone = &r.zone
	}
	return w
}

// memberOf reads id or id=host:port.
func memberOf(text string) (id store.NodeID, address string, err error) {
	name, address, given := strings.Cut(text, "=")
	if name == "" || given && !strings.Contains(address, ":") {
		return "", "", fmt.Errorf("%w: %q is not of the form id or id=host:port", errUsage, text)
	}
	return store.NodeID(name), address, nil
}

func joinCommand(g *globals) *cobra.Command {
	var r role
	cmd := &cobra.Command{
		Use: "join ID[=HOST:PORT]", Short: "Plan that a node becomes a member",
		Long: "Plan that a node becomes a member. It has to run with --join; once the first --server has heard of it ('members' shows\n" +
			"it) the address may be left out. 'plan' shows what would move and 'commit' makes it so.",
		Args: arguments("ID[=HOST:PORT]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, address, err := memberOf(args[0])
			if err != nil {
				return err
			}
			return g.stage(cmd, r.wish(cmd, client.Wish{Kind: client.WishJoin, Node: id, Address: address}))
		},
	}
	r.register(cmd)
	return cmd
}

func leaveCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "leave ID", Short: "Plan that a member leaves; it serves until all that it holds is elsewhere",
		Args: arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.stage(cmd, client.Wish{Kind: client.WishLeave, Node: store.NodeID(args[0])})
		},
	}
}

func replaceCommand(g *globals) *cobra.Command {
	var r role
	cmd := &cobra.Command{
		Use: "replace ID ID[=HOST:PORT]", Short: "Plan that a new node takes a member's place, zone and capacity",
		Long: "Plan that a new node takes a member's place. If the member is dead, the change waits for it until you\n" +
			"'force-remove' and 'commit' that, too.",
		Args: arguments("ID", "ID[=HOST:PORT]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, address, err := memberOf(args[1])
			if err != nil {
				return err
			}
			return g.stage(cmd, r.wish(cmd, client.Wish{Kind: client.WishReplace, Node: store.NodeID(args[0]), Other: id, Address: address}))
		},
	}
	r.register(cmd)
	return cmd
}

func setCommand(g *globals) *cobra.Command {
	var r role
	cmd := &cobra.Command{
		Use: "set ID[=HOST:PORT]", Short: "Plan that a member gets another zone, capacity or address",
		Args: arguments("ID[=HOST:PORT]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, address, err := memberOf(args[0])
			if err != nil {
				return err
			}
			return g.stage(cmd, r.wish(cmd, client.Wish{Kind: client.WishSet, Node: id, Address: address}))
		},
	}
	r.register(cmd)
	return cmd
}

func forceRemoveCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "force-remove ID", Short: "Plan to remove a member that will never be back; what only it held is lost",
		Long: "Plan to remove a member that will never be back, without waiting for it. Writes that only it held are lost, and what\n" +
			"it says is not believed any more, should it still run. It is a change of its own, and a pending one is no hindrance.",
		Args: arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.stage(cmd, client.Wish{Kind: client.WishForceRemove, Node: store.NodeID(args[0])})
		},
	}
}

// stage adds to the plan and shows what comes of it.
func (g *globals) stage(cmd *cobra.Command, w client.Wish) error {
	return g.withAdmin(cmd.Context(), func(ctx context.Context, a *client.Admin) error {
		p, err := a.Stage(ctx, w)
		if errors.Is(err, store.ErrInvalid) {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		if err != nil {
			return err
		}
		return g.showPlan(cmd, p, false)
	})
}

// planned shows the plan that the node holds.
func (g *globals) planned(cmd *cobra.Command, moves bool) error {
	return g.withAdmin(cmd.Context(), func(ctx context.Context, a *client.Admin) error {
		p, err := a.Plan(ctx)
		if err != nil {
			return err
		}
		if len(p.Wishes) == 0 {
			p.Number = 0
			fmt.Fprintln(cmd.ErrOrStderr(), "nothing is planned on "+g.servers[0]+"; 'cartwheelctl join --help' tells how to begin")
		}
		return g.showPlan(cmd, p, moves)
	})
}

func commitCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "commit VERSION", Short: "Make the plan the next version of the layout",
		Long: "Make the plan the next version of the layout. VERSION is what 'plan' says: if the layout has changed since, nothing is\n" +
			"done. Requests are served all the time; 'members' and 'transfers' show how far the change is.",
		Args: arguments("VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := versionOf(args[0])
			if err != nil {
				return err
			}
			return g.withAdmin(cmd.Context(), func(ctx context.Context, a *client.Admin) error {
				v, err := a.Commit(ctx, number)
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(cmd.OutOrStdout(), map[string]any{"version": v.Number, "id": ringDigest(v.ID)})
				}
				fmt.Fprintf(cmd.OutOrStdout(), "version %d is on its way; 'members' shows how far it is\n", v.Number)
				return nil
			})
		},
	}
}

func abortCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "abort [VERSION]", Short: "Forget the plan, or take the pending change back",
		Long: "Forget the plan. Without one, take the change that is pending back, by one more version with the owners of before:\n" +
			"VERSION is one more than the newest that 'members' shows.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%w: abort takes one VERSION or none, got %d arguments", errUsage, len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var number uint64
			if len(args) > 0 {
				var err error
				if number, err = versionOf(args[0]); err != nil {
					return err
				}
			}
			return g.withAdmin(cmd.Context(), func(ctx context.Context, a *client.Admin) error {
				back, err := a.Abort(ctx, number)
				if number == 0 && errors.Is(err, store.ErrInvalid) {
					return g.nothingToAbort(ctx, a, err)
				}
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(cmd.OutOrStdout(), map[string]any{"version": back})
				}
				text := "the plan is forgotten"
				if back > 0 {
					text = fmt.Sprintf("version %d takes the change back; 'members' shows how far it is", back)
				}
				fmt.Fprintln(cmd.OutOrStdout(), text)
				return nil
			})
		},
	}
}

// nothingToAbort says more of an abort without a version that found no plan.
func (g *globals) nothingToAbort(ctx context.Context, a *client.Admin, err error) error {
	m, merr := a.Members(ctx)
	switch {
	case merr != nil || len(m.Live) == 0:
		return errors.Join(err, merr)
	case len(m.Live) == 1:
		return fmt.Errorf("nothing is planned on %s and no change is pending: there is nothing to abort", g.servers[0])
	}
	return fmt.Errorf("nothing is planned on %s; to take back the change that is pending, say 'abort %d'", g.servers[0], m.Live[len(m.Live)-1].Number+1)
}

func versionOf(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%w: %q is no version: want the number that 'plan' shows", errUsage, text)
	}
	return n, nil
}
