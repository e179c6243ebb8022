package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/admission"
	"cartwheel/store/coordinator"
	"cartwheel/store/detector"
	"cartwheel/store/gossip"
	"cartwheel/store/hint"
	"cartwheel/store/placement"
	"cartwheel/store/reap"
	"cartwheel/store/repair"
	"cartwheel/store/ring/history"
	"cartwheel/store/transport"
)

// A Node is one member of a cluster.
type Node struct {
	config      Config
	log         *slog.Logger
	placement   *placement.Placement
	began       time.Duration
	admission   *admission.Gate // nil: background work is not limited
	disk        *disk
	detector    *detector.Detector
	peers       *transport.Peers
	silence     transport.Silence
	coordinator *coordinator.Coordinator
	handoff     *hint.Handoff
	repair      *repair.AntiEntropy // nil: this node compares with nobody, and answers those who do
	members     memberParts
	reaper      *reap.Reaper
	gossip      *gossip.Gossip
	server      *transport.Server

	mu       sync.Mutex // guards closing, never a wait
	closing  bool
	closed   chan struct{}
	closeErr error // valid after closed
}

// Open starts a node on its directory. It serves once its services are registered.
func Open(c Config) (*Node, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("open node: %w", err)
	}
	n := &Node{config: c, log: c.Logger, began: c.Now(), closed: make(chan struct{})}
	if err := n.start(); err != nil {
		return nil, fmt.Errorf("open node %s: %w", c.ID, errors.Join(err, n.Close()))
	}
	n.logLayout()
	return n, nil
}

// start brings up the parts from the disk upwards.
func (n *Node) start() error {
	c := n.config
	if err := n.openDisk(); err != nil {
		return err
	}
	own := foreground{disk: n.disk, admission: n.admission}
	if err := n.openMembership(); err != nil {
		return err
	}
	var err error
	var handoff atomic.Pointer[hint.Handoff] // the detector starts first and kicks it later
	if n.detector, err = detector.Start(detector.Options{
		Self: c.ID, Peers: memberIDs(n.placement.Now()), Now: c.Now, Rand: c.Rand, ProbeInterval: c.ProbeInterval, Logger: c.Logger,
		Ping: func(ctx context.Context, to store.NodeID) error {
			err := transport.Ping(ctx, n.dial, n.placement, c.ID, to)
			n.silence.Ended(to, err == nil)
			return err
		},
		OnUp: func(peer store.NodeID) {
			if h := handoff.Load(); h != nil {
				h.Kick(peer)
			}
		},
	}); err != nil {
		return err
	}
	n.peers = transport.NewPeers(transport.PeersOptions{
		Self: c.ID, Placement: n.placement, Dial: n.dial, Detector: n.detector, Silence: &n.silence, Behind: n.behind,
		Timeout: c.ReplicaTimeout, ForwardTimeout: c.ForwardTimeout,
	})
	if n.coordinator, err = coordinator.New(coordinator.Options{
		Self: c.ID, Placement: n.placement, Replicas: c.N, Local: own, Peers: n.peers, Detector: n.detector, R: c.R, W: c.W, Buckets: c.Buckets,
		Durability: c.Durability, ObjectBuffer: c.ObjectBuffer,
		ReplicaTimeout: c.ReplicaTimeout, FallbackAfter: c.FallbackAfter, StragglerWait: c.StragglerWait,
		InFlight: c.InFlight, Now: c.Now, Logger: c.Logger,
	}); err != nil {
		return err
	}
	if n.handoff, err = hint.Start(hint.Options{
		Self: c.ID, Placement: n.placement, Targets: memberIDs(n.placement.Now()), Hints: n.disk, Peers: n.peers, Detector: n.detector, Rand: c.Rand, Now: c.Now,
		Interval: c.HintInterval, Rate: c.HintRateBytes, Timeout: c.ReplicaTimeout, Admit: n.admission.Of(admission.Hint), Logger: c.Logger,
	}); err != nil {
		return err
	}
	handoff.Store(n.handoff)
	n.placement.Subscribe(n.follow)
	if c.RepairInterval < 0 {
		n.log.Warn("anti-entropy is off")
	} else if n.repair, err = repair.Start(repair.Options{
		Self: c.ID, Placement: n.placement, Local: n.disk, Peers: n.peers, Detector: n.detector, Rand: c.Rand, Now: c.Now,
		Interval: c.RepairInterval, CheckInterval: c.CheckInterval, Timeout: c.ReplicaTimeout, Admit: n.admission.Of(admission.Repair), Logger: c.Logger,
	}); err != nil {
		return err
	}
	if err := n.startMembership(); err != nil {
		return err
	}
	if n.reaper, err = reap.Start(reap.Options{
		Self: c.ID, Placement: n.placement, Keeper: n.members.keeper, Local: n.disk, Peers: n.peers, Rand: c.Rand,
		Interval: c.TombstoneInterval, Grace: c.TombstoneGrace, Clock: c.Clock, Admit: n.admission.Of(admission.Reap), Logger: c.Logger,
	}); err != nil {
		return err
	}
	n.server = transport.NewServer(transport.Services{
		Self: c.ID, Placement: n.placement, Coordinator: n.coordinator, Local: own, Inspector: inspector{n},
		Gossip: n.gossip, Membership: operator{n}, Reaper: n.reaper, Behind: n.behind,
		Protocol: c.Protocol, Now: c.Now, Logger: c.Logger,
	})
	return nil
}

// dial returns the connection to a member, by the address that is known now; nil if it is none.
func (n *Node) dial(to store.NodeID) Connection {
	m, ok := n.placement.Now().Member(to)
	if !ok {
		return nil
	}
	return n.connect(m)
}

// connect returns the connection to a node at its address, on which this one says what it speaks; nil if there is none.
func (n *Node) connect(m store.Member) Connection {
	return transport.Speaking(n.config.Peers(m), n.config.Protocol)
}

// follow is told of every change of the layouts.
func (n *Node) follow(h history.History) {
	ids := memberIDs(h)
	n.detector.Watch(ids)
	n.handoff.Watch(ids)
	n.config.OnMembers(h.Members())
}

func memberIDs(h history.History) (ids []store.NodeID) {
	for _, m := range h.Members() {
		ids = append(ids, m.ID)
	}
	return ids
}

// Register adds the node's services to a server.
func (n *Node) Register(r grpc.ServiceRegistrar) { n.server.Register(r) }

// RegisterServing adds what clients and other nodes need, where operators have a server of their own.
func (n *Node) RegisterServing(r grpc.ServiceRegistrar) { n.server.RegisterServing(r) }

// RegisterAdmin adds what operators need.
func (n *Node) RegisterAdmin(r grpc.ServiceRegistrar) { n.server.RegisterAdmin(r) }

// Close ends the node: calls are refused from now on, those in flight are given up, and
// when it returns nothing of the node runs and its files are closed.
func (n *Node) Close() error {
	n.mu.Lock()
	first := !n.closing
	n.closing = true
	n.mu.Unlock()
	if !first {
		<-n.closed
		return n.closeErr
	}
	// From the top down, so that each part still has below it what it needs to end well:
	// the coordinator's last act is to park hints on the disk.
	if n.server != nil {
		n.server.Refuse()
	}
	var errs []error
	if n.coordinator != nil {
		errs = append(errs, n.coordinator.Close())
	}
	if n.server != nil {
		errs = append(errs, n.server.Close())
	}
	if n.reaper != nil {
		errs = append(errs, n.reaper.Close())
	}
	errs = append(errs, n.closeMembership())
	if n.repair != nil {
		errs = append(errs, n.repair.Close())
	}
	if n.handoff != nil {
		errs = append(errs, n.handoff.Close())
	}
	if n.detector != nil {
		errs = append(errs, n.detector.Close())
	}
	if n.disk != nil {
		errs = append(errs, n.disk.Close())
	}
	if err := errors.Join(errs...); err != nil {
		n.closeErr = fmt.Errorf("close node %s: %w", n.config.ID, err)
	}
	n.log.Info("closed node")
	close(n.closed)
	return n.closeErr
}
