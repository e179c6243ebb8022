package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"cartwheel/harness/report"
)

func (a *app) serveCommand() *cobra.Command {
	var results, addr string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Show the folder of results in a browser",
		Long: `Serves an index of all runs below the folder of results, with their reports, histories and
logs, until it is interrupted. The index is made anew at each look. It listens on this machine
only; from another one, forward the port: ssh -L 8080:127.0.0.1:8080 HOST.`,
		Example: `  cartwheel serve
  cartwheel serve --addr 127.0.0.1:0 --results /tmp/results   # any free port`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: serve takes no argument: name the folder with --results %s", errUsage, args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if err := loopback(addr); err != nil {
				return err
			}
			handler, err := report.Handler(results)
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%w: %w: name the folder with --results", errUsage, err)
			}
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return fmt.Errorf("%w: %w: another --addr may be free, 127.0.0.1:0 is", errUsage, err)
			}
			a.tell("http://%s/ shows %s; interrupt to end", l.Addr(), results)
			return serve(c.Context(), l, handler)
		},
	}
	c.Flags().StringVar(&addr, "addr", "127.0.0.1:8080", "address to listen on, of this machine alone")
	c.Flags().StringVar(&results, "results", "results", "folder for results")
	return c
}

// loopback refuses an address that others could reach: there is no password.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%w: --addr %s: want 127.0.0.1:PORT: %w", errUsage, addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%w: --addr %s: anyone could read there: want 127.0.0.1:PORT, and forward the port with ssh -L", errUsage, addr)
	}
	return nil
}

// serve answers on l until ctx ends, and returns when what was asked before is answered.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	defer context.AfterFunc(ctx, func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		ended <- server.Shutdown(limit)
	})()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve results: %w", err)
	}
	return <-ended
}
