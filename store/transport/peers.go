package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/coordinator"
	"cartwheel/store/ring/history"
	"cartwheel/store/storepb"
	"cartwheel/store/version"
)

// A Detector believes peers to be up or down, and learns from calls.
type Detector interface {
	Up(n store.NodeID) bool
	Succeeded(n store.NodeID) // the peer answered, with whatever answer
	Failed(n store.NodeID)    // it did not
}

// A Dialer returns the connection to a node, always the same for one node. It does not
// block: a connection connects when it is used. nil: no such node.
type Dialer func(store.NodeID) grpc.ClientConnInterface

// A Placement is what this node knows of the layouts of its cluster.
type Placement interface{ Now() history.History }

// A Joiner is a Placement that keeps account of what is being stored for other nodes.
type Joiner interface {
	Placement
	// Join begins to store what another node sends; end is called once it is stored, or refused.
	Join() (h history.History, end func())
	// Write begins what is a write as far as changes of the layout go; end is called when nothing of it is left.
	Write() (h history.History, end func())
}

// PeersOptions are the options of [Peers].
type PeersOptions struct {
	Self           store.NodeID
	Placement      Placement
	Dial           Dialer
	Detector       Detector
	Silence        *Silence              // told of each call; default none
	Behind         func(of store.NodeID) // called when the node's answer shows that this one knows less of the layouts; must not block; default none
	Timeout        time.Duration         // bounds each call but Forward; default 1s
	ForwardTimeout time.Duration         // bounds Forward, behind which the other node asks replicas; default 2s
}

// Frequent are the methods that nodes call for each request of a client: small calls, and many.
var Frequent = []string{storepb.Peer_ReplicaGet_FullMethodName, storepb.Peer_ReplicaMerge_FullMethodName, storepb.Peer_Forward_FullMethodName}

// Peers calls other nodes. A peer that the detector believes to be down is not called:
// the error wraps store.ErrDown then. So it does for one that was removed from the cluster, and what such
// a one has answered is no answer.
type Peers struct {
	opts PeersOptions
}

// NewPeers returns the client side of one node.
func NewPeers(o PeersOptions) *Peers {
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.ForwardTimeout == 0 {
		o.ForwardTimeout = 2 * time.Second
	}
	if o.Behind == nil {
		o.Behind = func(store.NodeID) {}
	}
	return &Peers{opts: o}
}

// Get returns what a node knows of a key, hints that it holds included.
func (p *Peers) Get(ctx context.Context, at history.Stamp, to store.NodeID, key store.Key) (version.Set, error) {
	return p.get(ctx, at, to, &storepb.ReplicaGetRequest{Key: []byte(key)})
}

// Recall is Get with the entries that were pruned from the vector.
func (p *Peers) Recall(ctx context.Context, at history.Stamp, to store.NodeID, key store.Key) (version.Set, error) {
	return p.get(ctx, at, to, &storepb.ReplicaGetRequest{Key: []byte(key), Recall: true})
}

func (p *Peers) get(ctx context.Context, at history.Stamp, to store.NodeID, r *storepb.ReplicaGetRequest) (set version.Set, err error) {
	r.Stamp = p.stamp(at)
	err = p.call(ctx, to, p.opts.Timeout, func(ctx context.Context, c storepb.PeerClient) error {
		reply, err := c.ReplicaGet(ctx, r)
		if err != nil {
			return err
		}
		set, err = version.DecodeSet(reply.GetState())
		return err
	})
	return set, err
}

// Merge joins a state into a node's own record, or into the hint that it holds for an
// owner. It is durable there when Merge returns.
func (p *Peers) Merge(ctx context.Context, at history.Stamp, to store.NodeID, key store.Key, hintFor store.NodeID, s version.Set) error {
	return p.merge(ctx, at, to, &storepb.ReplicaMergeRequest{Key: []byte(key), State: stateToProto(s), HintFor: string(hintFor)})
}

// Buffer is Merge, save that the state may not be durable there yet.
func (p *Peers) Buffer(ctx context.Context, at history.Stamp, to store.NodeID, key store.Key, hintFor store.NodeID, s version.Set) error {
	return p.merge(ctx, at, to, &storepb.ReplicaMergeRequest{Key: []byte(key), State: stateToProto(s), HintFor: string(hintFor), Buffered: true})
}

func (p *Peers) merge(ctx context.Context, at history.Stamp, to store.NodeID, r *storepb.ReplicaMergeRequest) error {
	r.Stamp = p.stamp(at)
	return p.call(ctx, to, p.opts.Timeout, func(ctx context.Context, c storepb.PeerClient) error {
		_, err := c.ReplicaMerge(ctx, r)
		return err
	})
}

// Forward lets another node coordinate a write.
func (p *Peers) Forward(ctx context.Context, to store.NodeID, w coordinator.Write) (res store.WriteResult, err error) {
	// A client's own short deadline says nothing of the peer: to this call it is a
	// cancellation, which the detector is not told of.
	fctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	err = p.call(fctx, to, p.opts.ForwardTimeout, func(ctx context.Context, c storepb.PeerClient) error {
		r := &storepb.ForwardRequest{Stamp: p.stamp(p.opts.Placement.Now().Stamp())}
		if w.Tombstone {
			r.Write = &storepb.ForwardRequest_Delete{Delete: DeleteRequest(w)}
		} else {
			r.Write = &storepb.ForwardRequest_Put{Put: PutRequest(w)}
		}
		reply, err := c.Forward(ctx, r)
		if err != nil {
			return err
		}
		if res, err = WriteResult(reply, w.Value); err != nil {
			return fmt.Errorf("reply: %v", err) // not wrapped: that it is garbled says nothing of the write
		}
		return nil
	})
	return res, err
}

func (p *Peers) stamp(at history.Stamp) *storepb.Stamp {
	return &storepb.Stamp{From: string(p.opts.Self), Version: at.Number, Id: at.ID, Swept: p.opts.Placement.Now().Swept()}
}

// call makes one call and tells the detector how it went.
func (p *Peers) call(ctx context.Context, to store.NodeID, timeout time.Duration, f func(context.Context, storepb.PeerClient) error) error {
	conn := p.opts.Dial(to)
	if conn == nil || p.opts.Placement.Now().Fenced(to) || !p.opts.Detector.Up(to) {
		return fmt.Errorf("%s: %w", to, store.ErrDown)
	}
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > timeout { // most callers have set one already
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	p.opts.Silence.begin(to)
	err := f(ctx, storepb.NewPeerClient(conn))
	switch {
	case isCanceled(err): // by our own side, before the peer had its time
	case Unanswered(err), unfit(err):
		p.opts.Detector.Failed(to)
		p.opts.Silence.Ended(to, false)
	default:
		p.opts.Detector.Succeeded(to)
		p.opts.Silence.Ended(to, true)
	}
	if err == nil && p.opts.Placement.Now().Fenced(to) {
		return fmt.Errorf("%s was removed while it answered: %w", to, store.ErrWrongRing)
	}
	if err != nil {
		err = Decode(err)
		if errors.Is(err, store.ErrWrongRing) {
			p.opts.Behind(to)
		}
		return fmt.Errorf("%s: %w", to, err)
	}
	return nil
}

// unfit reports whether a node has said that it cannot be a replica any more, or not one of this node's.
func unfit(err error) bool {
	err = Decode(err)
	return (errors.Is(err, store.ErrReadOnly) || errors.Is(err, store.ErrProtocol)) && !errors.Is(err, store.ErrNoQuorum)
}

// Ping makes a round trip to a node, which the caller tells the detector of. A node that is
// not the one that was asked for, or that is of another cluster, is as good as down.
//
// It is a function because a detector needs it before there is a Peers.
func Ping(ctx context.Context, dial Dialer, placement Placement, self, to store.NodeID) error {
	conn := dial(to)
	if conn == nil {
		return fmt.Errorf("ping %s: %w", to, store.ErrDown)
	}
	reply, err := storepb.NewPeerClient(conn).Ping(ctx, &storepb.PingRequest{From: string(self)})
	ours, theirs := placement.Now().Cluster(), reply.GetCluster()
	switch {
	case err != nil:
		return fmt.Errorf("ping %s: %w", to, Decode(err))
	case reply.GetId() != string(to):
		return fmt.Errorf("ping %s: %q answered, check the addresses: %w", to, reply.GetId(), store.ErrInvalid)
	case ours != 0 && theirs != 0 && ours != theirs: // 0: it is about to join
		return fmt.Errorf("ping %s: it is of another cluster, begun with other members, partitions or replicas: %w", to, store.ErrInvalid)
	}
	return nil
}
