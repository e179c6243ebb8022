package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
)

// drainPoll is the time between looks at what is still under way.
const drainPoll = 100 * time.Millisecond

// A drainJSON is how far a node has been drained.
type drainJSON struct {
	Node     store.NodeID `json:"node"`
	Draining bool         `json:"draining"`
	InFlight uint64       `json:"in_flight"`
}

func drainCommand(g *globals) *cobra.Command {
	var undo bool
	var within time.Duration
	cmd := &cobra.Command{
		Use: "drain", Short: "Have the node coordinate nothing new, and wait until what it does is done", Args: arguments(),
		Long: "Have the node of --server refuse to coordinate requests: clients and other nodes ask elsewhere, and its health turns\n" +
			"NOT_SERVING. It goes on as a replica, so nothing is stood in for. The command waits until what the node coordinates\n" +
			"has ended; then it may be stopped without a client noticing. A restart, or --undo, takes it back.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if len(g.servers) != 1 {
				return fmt.Errorf("%w: drain is about one node: give one --server", errUsage)
			}
			a, err := client.DialAdmin(g.servers[0], client.Options{Timeout: g.timeout, DialOptions: g.dial})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, a.Close()) }()
			ctx, cancel := context.WithTimeout(cmd.Context(), within)
			defer cancel()
			d, err := drained(ctx, a, undo)
			if err != nil {
				return err
			}
			if g.json {
				return printJSON(cmd.OutOrStdout(), drainJSON(d))
			}
			text := "is drained: it may be stopped"
			if undo {
				text = "takes requests again"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", d.Node, text)
			return err
		},
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "have it coordinate again")
	cmd.Flags().DurationVar(&within, "within", 30*time.Second, "how long to wait for what is under way; the node stays drained all the same")
	return cmd
}

// drained asks until nothing is under way any more.
func drained(ctx context.Context, a *client.Admin, undo bool) (client.Drain, error) {
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	for {
		d, err := a.Drain(ctx, undo)
		if err != nil || undo || d.InFlight == 0 {
			return d, err
		}
		select {
		case <-ctx.Done():
			return d, fmt.Errorf("%s takes no new requests, and %d are still under way: %w", d.Node, d.InFlight, context.Cause(ctx))
		case <-poll.C:
		}
	}
}
