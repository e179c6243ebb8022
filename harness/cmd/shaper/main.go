// Shaper disturbs a pod's packets. The harness puts it into a container; it is of no use
// by hand.
//
//	shaper serve     disturbs packets until SIGTERM
//	shaper control   hands a request on standard input to the one that serves, prints its reply
package main

import (
	"context"
	"encoding/json"
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
		var q shaper.Request
		if err := json.NewDecoder(in).Decode(&q); err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		r, err := shaper.Ask(ctx, q)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(r)
	}
	return fmt.Errorf("usage: shaper serve|control")
}
