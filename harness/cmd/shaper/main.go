// Shaper disturbs a pod's packets. The harness puts it into a container; it is of no use
// by hand.
//
//	shaper serve     disturbs packets until SIGTERM
//	shaper control   hands requests on standard input to the one that serves, prints its replies
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"cartwheel/harness/cluster/docker/shaper"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shaper:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "serve":
		return shaper.Serve(ctx, slog.New(slog.NewTextHandler(out, nil)))
	case len(args) == 1 && args[0] == "control":
		return control(ctx, in, out)
	}
	return fmt.Errorf("usage: shaper serve|control")
}

// control hands on requests, a line of JSON each, until there are no more. A request that comes to nothing has a
// reply that says so.
func control(ctx context.Context, in io.Reader, out io.Writer) error {
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var q shaper.Request
		if err := requests.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		r, err := shaper.Ask(ctx, q)
		if err != nil {
			r.Error = err.Error()
		}
		if err := replies.Encode(r); err != nil {
			return fmt.Errorf("write reply: %w", err)
		}
	}
}
