package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"cartwheel/store"
	"cartwheel/store/metrics"
	"cartwheel/store/node"
	"cartwheel/store/storage"
	"cartwheel/store/transport"
)

// graceful is how long calls in flight may take to end when the daemon stops. What
// follows, closing the node, waits for the disk only.
const graceful = 4 * time.Second

// streamWorkers are goroutines that serve one call after the other, so that each call need not
// grow a stack of its own: a ninth of the processor time of puts and gets. More calls at a time get goroutines of their own.
const streamWorkers = 64

// run is the daemon. It returns nil when it was told to stop by ctx.
func run(ctx context.Context, args []string, lookupEnv func(string) (string, bool), stdout, stderr io.Writer) error {
	var s settings
	cmd := command(&s, lookupEnv, func(cmd *cobra.Command) error {
		log, err := s.logger(stderr)
		if err != nil {
			return err
		}
		s.log(log)
		return serve(cmd.Context(), s, log)
	})
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	return cmd.ExecuteContext(ctx)
}

// serve opens the node, serves it and closes everything again.
func serve(ctx context.Context, s settings, log *slog.Logger) (err error) {
	secure, err := s.secure(log)
	if err != nil {
		return err
	}
	conns := newConnections(log, secure.dial...)
	defer func() { err = errors.Join(err, conns.Close()) }()
	for _, m := range s.memberList() {
		if _, err := conns.to(m.Address); err != nil { // better told now than when it is used
			return fmt.Errorf("member %s: %w", m.ID, err)
		}
	}
	draw, err := newRand()
	if err != nil {
		return err
	}
	doors, err := listen(s, log)
	if err != nil {
		return err
	}
	if s.restore != "" {
		if err := storage.RestoreBackup(vfs.Default, s.restore, s.data); err != nil {
			return errors.Join(err, doors.close())
		}
		log.Info("restored a backup", "from", s.restore, "data", s.data)
	}
	alive := health.NewServer()
	began := time.Now()
	n, err := node.Open(node.Config{
		ID: store.NodeID(s.id), Address: s.advertise, Members: s.memberList(), Seeds: s.join, Partitions: s.partitions, N: s.replicas, R: s.readQuorum, W: s.writeQuorum, Buckets: s.buckets,
		Dir: s.data, FS: s.fs(log), Clock: s.clock(log), Now: func() time.Duration { return time.Since(began) }, Rand: draw, ReplicaTimeout: s.replicaTimeout,
		Durability: s.durability, ObjectBuffer: s.objectBuffer, FlushAfter: s.flushAfter,
		InFlight: s.requestsMax, AdmissionTarget: s.target, TransferRateBytes: s.transferRate, RepairInterval: s.repairEvery(), CheckInterval: s.checkInterval, TombstoneInterval: s.tombstoneEvery, TombstoneGrace: s.tombstoneGrace, MemtableSizeBytes: s.memtableSize, CacheSizeBytes: s.cacheSize, HintSizeBytesMax: s.hintSize, HintRateBytes: s.hintRate, Logger: log, Peers: conns.peer,
		OnMembers: func(m []store.Member) { conns.keep(s.join, m) },
		OnDrain:   func(draining bool) { alive.SetServingStatus("", healthOf(draining)) },
	})
	if err != nil {
		return errors.Join(err, doors.close())
	}
	shown := metrics.New(log)
	doors.register(n, alive, append(secure.intercept, shown.Interceptor()), slices.Concat(transport.ServerOptions(), secure.server, []grpc.ServerOption{
		grpc.ChainStreamInterceptor(shown.StreamInterceptor()), grpc.NumStreamWorkers(streamWorkers),
	}))
	shown.Show(metrics.Source{Status: n.Status, Engines: n.Engines}, doors.servers...)
	endDebug, err := serveDebug(s.debugListen, shown.Handler(), n, log)
	if err != nil {
		return errors.Join(err, doors.close(), n.Close())
	}
	err = doors.serve(ctx, log)
	alive.Shutdown() // load balancers and health checks look elsewhere first
	doors.stop()
	err = errors.Join(err, endDebug(), n.Close()) // in this order: a closed node has no figures
	doors.running.Wait()
	return err
}

// healthOf is what load balancers are told: a node that is drained is asked by other nodes only.
func healthOf(draining bool) grpc_health_v1.HealthCheckResponse_ServingStatus {
	if draining {
		return grpc_health_v1.HealthCheckResponse_NOT_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_SERVING
}

// newRand returns draws of a seed that no other process has.
func newRand() (store.Rand, error) {
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("draw a seed: %w", err)
	}
	return func(names ...uint64) uint64 {
		b := seed[:]
		for _, n := range names {
			b = binary.BigEndian.AppendUint64(b[:len(b):len(b)], n)
		}
		sum := sha256.Sum256(b)
		return binary.BigEndian.Uint64(sum[:])
	}, nil
}
