package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"cartwheel/store/node"
	"cartwheel/store/transport/trunk"
)

// A front is the gRPC servers of a daemon: one for all, or, with an address for operators, one for clients and nodes and one for
// operators. Each tells its health and describes its services.
type front struct {
	listeners []net.Listener
	servers   []*grpc.Server
	exchange  *trunk.Exchange // of the first server
	running   sync.WaitGroup
}

// listen takes the ports. That comes before the disk is touched, so that a second daemon by mistake harms nothing.
func listen(s settings, log *slog.Logger) (*front, error) {
	f := &front{}
	for i, address := range []string{s.listen, s.adminListen} {
		if address == "" {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: is another daemon running?", err), f.close())
		}
		if i == 0 { // operators come in however many others there are
			l = limit(l, s.connectionsMax, log)
		}
		f.listeners = append(f.listeners, l)
	}
	return f, nil
}

// close gives the ports back if no server has them.
func (f *front) close() (err error) {
	for _, l := range f.listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

// register makes the servers and what they serve, with interceptors around each call. Clients and nodes may share streams for theirs.
func (f *front) register(n *node.Node, alive *health.Server, intercept []grpc.UnaryServerInterceptor, options []grpc.ServerOption) {
	parts := []func(grpc.ServiceRegistrar){n.Register}
	if len(f.listeners) > 1 {
		parts = []func(grpc.ServiceRegistrar){n.RegisterServing, n.RegisterAdmin}
	}
	for i, register := range parts {
		server := grpc.NewServer(append(slices.Clone(options), grpc.ChainUnaryInterceptor(intercept...))...)
		if i == 0 {
			f.exchange = trunk.NewExchange(trunk.ExchangeOptions{Server: server, Intercept: intercept})
			register(f.exchange)
		} else {
			register(server)
		}
		grpc_health_v1.RegisterHealthServer(server, alive)
		reflection.Register(server)
		f.servers = append(f.servers, server)
	}
}

// serve returns when ctx ends, or with the error of a server that failed.
func (f *front) serve(ctx context.Context, log *slog.Logger) error {
	failed := make(chan error, len(f.servers))
	for i, server := range f.servers {
		l := f.listeners[i]
		log.Info("serving", "address", l.Addr().String(), "operators", i > 0 || len(f.servers) == 1)
		f.running.Go(func() {
			if err := server.Serve(l); err != nil {
				failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
		})
	}
	select {
	case <-ctx.Done():
		log.Info("stopping")
		return nil
	case err := <-failed:
		return err
	}
}

// stop lets calls in flight end, up to a limit, and refuses new ones.
func (f *front) stop() {
	f.exchange.Drain()
	var stopping sync.WaitGroup
	ended := make(chan struct{})
	stopping.Go(func() {
		var all sync.WaitGroup
		for _, server := range f.servers {
			all.Go(server.GracefulStop)
		}
		all.Wait()
		close(ended)
	})
	limit := time.NewTimer(graceful)
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
		for _, server := range f.servers {
			server.Stop()
		}
	}
	stopping.Wait()
}
