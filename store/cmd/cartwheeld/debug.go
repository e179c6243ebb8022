package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"cartwheel/store/node"
)

// serveDebug serves metrics, profiles and health over HTTP until the function that it returns is called; at no
// address it serves nothing.
func serveDebug(address string, metrics http.Handler, n *node.Node, log *slog.Logger) (end func() error, err error) {
	if address == "" {
		return func() error { return nil }, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--debug-listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", metrics)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { healthz(w, r, n) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	log.Info("serving metrics and profiles", "address", listener.Addr().String())
	var running sync.WaitGroup
	var failed error
	running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed = fmt.Errorf("serve %s: %w", listener.Addr(), err)
		}
	})
	return func() error {
		err := server.Close() // a scrape that is cut off is asked for again
		running.Wait()
		return errors.Join(err, failed)
	}, nil
}

// healthz is 200 for a node that takes requests and writes, else 503 and why.
func healthz(w http.ResponseWriter, r *http.Request, n *node.Node) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	st, err := n.Status(ctx)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case st.Fault != "":
		http.Error(w, "takes no writes: "+st.Fault, http.StatusServiceUnavailable)
	case st.Draining:
		http.Error(w, "is being drained: cartwheelctl drain --undo takes that back", http.StatusServiceUnavailable)
	default:
		_, _ = fmt.Fprintln(w, "ok")
	}
}
