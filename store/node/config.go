package node

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/clock"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/transport"
)

// Config of a node. N, and at the first start of a cluster Members and Partitions, must be the same on every node.
type Config struct {
	ID      store.NodeID // required
	Address string       // where others reach this node, host:port; default as in Members
	// Members are those of the first layout of a cluster, all that are to be, with this one among them. A disk that knows
	// a layout wins over them. None: the node asks Seeds, and waits
	// for the others to give it a role.
	Members    []store.Member
	Seeds      []string      // addresses, host:port, of some nodes of the cluster; default none: the node waits to be told
	Partitions int           // default ring.DefaultPartitions
	N          int           // owners of a key; default ring.DefaultReplicas
	R          int           // replicas that must answer a get that does not say; default 2, or N if that is less
	W          int           // replicas that must store a put that does not say; default 2, or N if that is less
	Buckets    store.Buckets // defaults for parts of the key space, the same on every node; default none

	Durability store.Durability // of a write that does not say, and whose bucket does not; default all
	FlushAfter time.Duration    // what a lower durability leaves in memory is on disk so much later; default 100ms
	// ObjectBuffer allows writes of DurabilityNone: an experiment, which loses acknowledged writes when power is lost.
	ObjectBuffer bool

	Dir   string                      // of the data; required
	FS    vfs.FS                      // default the operating system's
	Disk  func(storage.KV) storage.KV // put around each database; default none
	Clock clock.Clock                 // stamps versions; default clock.System
	Now   func() time.Duration        // monotonic time since some moment; required
	Rand  store.Rand                  // its seed must be this process's alone; required
	// Peers returns the connection to a node, always the same one for one address; required. It must not block. A
	// seed has no id yet. nil: no such node.
	Peers func(store.Member) Connection

	ReplicaTimeout time.Duration // of one call of a replica; default 1s
	ForwardTimeout time.Duration // of a write that is handed to another coordinator; default twice ReplicaTimeout
	FallbackAfter  time.Duration // an owner silent for so long is stood in for; default a quarter of ReplicaTimeout
	StragglerWait  time.Duration // how long a get waits after its reply to repair; default a tenth of ReplicaTimeout
	ProbeInterval  time.Duration // between probes of a peer that is down; default 500ms
	HintInterval   time.Duration // between rounds of hint delivery; default 500ms
	RepairInterval time.Duration // between comparisons with a peer; default 2s, negative: none, so that hints and reads alone repair
	CheckInterval  time.Duration // between comparisons of the node's hash trees with its records; default a week
	GossipInterval time.Duration // between rounds of gossip; default 1s
	DropInterval   time.Duration // between looks for records that others own now; default 5s
	// TombstoneInterval is the time between two looks for tombstones that may go (see package reap); 0: never
	TombstoneInterval time.Duration
	TombstoneGrace    time.Duration // how old a tombstone becomes before it goes, by the nodes' clocks; default 0
	InFlight          int           // requests coordinated at once; default 1024

	// AdmissionTarget is the 99th percentile of foreground reads and writes of this node's disk, above which background work is slowed
	// down; default 50ms (paper, section 6.5), negative: background work is never slowed down.
	AdmissionTarget time.Duration

	TransferRateBytes int    // a second, copied or handed over by this node when the layout changes; default 32 MiB
	HintRateBytes     int    // a second, of hints delivered to one owner; default 10 MiB
	HintSizeBytesMax  uint64 // of all hints kept for others, half of it for one; default 1 GiB

	// MemtableSizeBytes and CacheSizeBytes are those of each of the node's two databases, as in [storage.PebbleOptions]; default 16 MiB.
	MemtableSizeBytes, CacheSizeBytes int

	// Protocol is the versions of the protocol between nodes that this one speaks; default transport.Current.
	Protocol transport.Protocol
	// OnMembers is called when the members or their addresses may have changed, with all that this node may be asked to reach, and at first;
	// it must not block. Default none.
	OnMembers func([]store.Member)
	// OnDrain is called when the node begins to refuse, or again takes, requests to coordinate; it must not block. Default none.
	OnDrain func(draining bool)

	Logger *slog.Logger // default discards
}

// A Connection carries calls to one node.
type Connection = grpc.ClientConnInterface

func (c Config) withDefaults() Config {
	orElse := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	orElse(&c.ReplicaTimeout, time.Second)
	orElse(&c.AdmissionTarget, 50*time.Millisecond)
	orElse(&c.ForwardTimeout, 2*c.ReplicaTimeout)
	orElse(&c.FallbackAfter, c.ReplicaTimeout/4)
	orElse(&c.StragglerWait, c.ReplicaTimeout/10)
	if c.N == 0 {
		c.N = ring.DefaultReplicas
	}
	if c.Protocol == (transport.Protocol{}) {
		c.Protocol = transport.Current
	}
	if c.OnMembers == nil {
		c.OnMembers = func([]store.Member) {}
	}
	if c.OnDrain == nil {
		c.OnDrain = func(bool) {}
	}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("node", string(c.ID))
	return c
}

// validate checks what the parts do not check themselves.
func (c Config) validate() error {
	var errs []error
	if c.Now == nil || c.Rand == nil || c.Peers == nil {
		errs = append(errs, fmt.Errorf("now, rand and peers are required: %w", store.ErrInvalid))
	}
	if c.ID == "" {
		errs = append(errs, fmt.Errorf("a node without a name: %w", store.ErrInvalid))
	}
	if self, ok := c.member(); len(c.Members) > 0 && !ok {
		errs = append(errs, fmt.Errorf("node %q is not among the members: %w", c.ID, store.ErrInvalid))
	} else if ok && c.Address != "" && c.Address != self.Address {
		errs = append(errs, fmt.Errorf("node %q is at %s among the members, and itself says %s: %w", c.ID, self.Address, c.Address, store.ErrInvalid))
	}
	return errors.Join(errs...)
}

// member returns this node as Members have it.
func (c Config) member() (store.Member, bool) {
	i := slices.IndexFunc(c.Members, func(m store.Member) bool { return m.ID == c.ID })
	if i < 0 {
		return store.Member{ID: c.ID, Address: c.Address}, false
	}
	return c.Members[i], true
}

// history is what a node with a new disk begins with.
func (c Config) history() (history.History, error) {
	if len(c.Members) == 0 {
		return history.History{}, nil
	}
	l, err := ring.New(ring.Options{Members: c.Members, Partitions: c.Partitions, Replicas: c.N})
	if err != nil {
		return history.History{}, err
	}
	return history.New(l), nil
}
