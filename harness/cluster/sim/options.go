package sim

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"

	"cartwheel/harness/cluster/sim/disk"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/store"
	"cartwheel/store/clock"
	"cartwheel/store/storage"
)

// Port is in every node's address. Nothing listens there: see [Cluster.Conn].
const Port = 7070

// Worlds that a cluster may be, by its options.
const (
	World     = "sim"      // replays to the byte
	WorldGRPC = "sim-grpc" // with Options.GRPC
	WorldTies = "sim-ties" // with Wire.Round: things happen at once, so it does not replay
)

// Options describe a simulated cluster. Open is required.
type Options struct {
	Nodes       int          // named n1, n2, ...; default 5
	Seed        uint64       // of everything random
	Open        Open         // makes a node
	Wire        wire.Options // the network; its Seed is not used
	GRPC        bool         // real gRPC over simulated sockets, rather than calls at gRPC's seams; slower
	Disk        disk.Options // every node's disk; its Seed and Name are not used
	LogLevel    slog.Level   // of the nodes; default slog.LevelInfo
	LogBytesMax int          // kept of each node's log, the newest; default 1 MiB
}

func (o Options) withDefaults() Options {
	if o.Nodes == 0 {
		o.Nodes = 5
	}
	if o.LogBytesMax == 0 {
		o.LogBytesMax = 1 << 20
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.Open == nil {
		errs = append(errs, errors.New("nothing opens the nodes"))
	}
	if o.Nodes < 1 {
		errs = append(errs, fmt.Errorf("%d nodes", o.Nodes))
	}
	return errors.Join(errs...)
}

// Open starts one life of a node. It may take (virtual) time.
type Open func(Seams) (Process, error)

// A Process is one life of a node.
type Process interface {
	// Register adds the node's services. It is called once, before anybody can call them.
	Register(grpc.ServiceRegistrar)
	// Close ends the node and returns when all of its goroutines have. It is called also
	// after a kill, when every seam fails.
	Close() error
}

// Seams are everything that a node gets from its world.
type Seams struct {
	ID      store.NodeID
	Address string                                      // where others reach it
	Members []store.Member                              // all nodes that the cluster begins with, in order; none on a machine that was added or wiped
	Seeds   []store.Member                              // whom such a machine may ask for the cluster
	Dir     string                                      // for its files, on FS
	FS      vfs.FS                                      // its disk
	Disk    func(storage.KV) storage.KV                 // makes an engine take time and fail
	Clock   clock.Clock                                 // wall time, skewed when a fault says so
	Now     func() time.Duration                        // monotonic time since the cluster was made
	Rand    store.Rand                                  // of this life alone
	Peers   func(store.Member) grpc.ClientConnInterface // connections of this life by address, always the same one; nil: no such node
	Logger  *slog.Logger
}
