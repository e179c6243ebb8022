package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cartwheel/store"
	"cartwheel/store/admission"
	"cartwheel/store/gossip"
	"cartwheel/store/membership"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/transfer"
	"cartwheel/store/transport"
)

// memberParts are the parts of a node that take it through changes of the layout.
type memberParts struct {
	self      store.Member
	keeper    *membership.Keeper
	planner   *membership.Planner
	driver    *membership.Driver
	transfers *transfer.Transfers
}

// openMembership reads what the disk knows of the layouts, or begins with what the configuration says, and starts to gossip.
func (n *Node) openMembership() error {
	keeper, found, err := membership.Open(context.Background(), n.disk, n.config.history, n.log)
	if err != nil {
		return err
	}
	h := keeper.Now()
	if found && len(n.config.Members) > 0 && !sameMembers(h.Newest().Layout.Members(), n.config.Members) {
		n.log.Info("the layout on disk wins over the configured members", "version", h.Newest().String())
	}
	if h.Joined() && h.Newest().Layout.Replicas() != n.config.N {
		return fmt.Errorf("the cluster has %d replicas, this node is configured for %d: %w", h.Newest().Layout.Replicas(), n.config.N, store.ErrInvalid)
	}
	n.placement, n.members.keeper = keeper.Placement(), keeper
	keeper.Watch(membership.Guard{
		Self: n.config.ID, Fence: n.disk.Fence,
		Holds: func() bool {
			return n.disk.HintsHeld() > 0 || len(n.disk.Trees(func(ring.Partition) bool { return true })) > 0
		},
	})
	n.members.self, _ = n.config.member()
	// From here on: the parts that start next may call behind.
	n.gossip, err = gossip.Start(gossip.Options{
		Self: n.members.self, Keeper: keeper, Peers: transport.GossipPeers{Dial: n.connect}, Seeds: n.config.Seeds, Rand: n.config.Rand,
		Interval: n.config.GossipInterval, Timeout: n.config.ReplicaTimeout, Logger: n.config.Logger,
	})
	return err
}

// sameMembers compares regardless of order.
func sameMembers(a, b []store.Member) bool {
	byID := func(a, b store.Member) int { return strings.Compare(string(a.ID), string(b.ID)) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), byID), slices.SortedFunc(slices.Values(b), byID))
}

// startMembership starts what follows the history, once all that it works with runs.
func (n *Node) startMembership() (err error) {
	c, m := n.config, &n.members
	if m.transfers, err = transfer.Start(transfer.Options{
		Self: c.ID, Placement: n.placement, Local: n.disk, Peers: n.peers, Rand: c.Rand,
		Interval: c.DropInterval, Timeout: c.ReplicaTimeout, RateBytes: c.TransferRateBytes, Admit: n.admission.Of(admission.Transfer), Logger: c.Logger,
	}); err != nil {
		return err
	}
	m.planner = membership.NewPlanner(c.ID, m.keeper, n.gossip.Waiting)
	if m.driver, err = membership.StartDriver(membership.DriverOptions{
		Self: c.ID, Keeper: m.keeper, Sync: m.transfers.Sync, HandOver: m.transfers.HandOver, Rand: c.Rand, Logger: c.Logger,
	}); err != nil {
		return err
	}
	known := true // what it is told of first was there before
	n.placement.Subscribe(func(history.History) {
		if known {
			known = false
			return
		}
		n.gossip.Changed()
		m.transfers.Changed()
	})
	return nil
}

// closeMembership stops it, also if it has started in part only.
func (n *Node) closeMembership() error {
	var errs []error
	if n.members.driver != nil {
		errs = append(errs, n.members.driver.Close())
	}
	if n.members.transfers != nil {
		errs = append(errs, n.members.transfers.Close())
	}
	if n.gossip != nil {
		errs = append(errs, n.gossip.Close())
	}
	return errors.Join(errs...)
}

// behind has a node asked that was seen to know more of the layouts.
func (n *Node) behind(of store.NodeID) { n.gossip.Kick(of) }

// logLayout says what the node opened with.
func (n *Node) logLayout() {
	h := n.placement.Now()
	if !h.Joined() {
		n.log.Info("opened node, which waits to be given a role", "seeds", n.config.Seeds)
		return
	}
	l := h.Newest().Layout
	n.log.Info("opened node", "version", h.Newest().Number, "live", len(h.Live()), "members", len(l.Members()), "partitions", l.Partitions(), "replicas", l.Replicas(),
		"ring_digest", fmt.Sprintf("%016x", l.Digest()))
}
