package transport

import (
	"context"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/coordinator"
	"cartwheel/store/ring/history"
	"cartwheel/store/storepb"
	"cartwheel/store/version"
)

// peerServer serves the other nodes.
type peerServer struct {
	storepb.UnimplementedPeerServer
	s *Server
}

func (p peerServer) Forward(ctx context.Context, r *storepb.ForwardRequest) (*storepb.PutReply, error) {
	return coordinate(ctx, p.s, "forward", func(ctx context.Context) (*storepb.PutReply, error) {
		from := r.GetStamp().GetFrom()
		if p.s.Placement.Now().Fenced(store.NodeID(from)) {
			return nil, fmt.Errorf("forward from %s, which was removed: %w", from, store.ErrNotMember)
		}
		var w coordinator.Write
		var err error
		switch {
		case r.GetPut() != nil:
			w, err = putFromProto(r.GetPut())
		case r.GetDelete() != nil:
			w, err = deleteFromProto(r.GetDelete())
		default:
			err = fmt.Errorf("forward from %s: no write in it: %w", from, store.ErrInvalid)
		}
		return answerWrite(ctx, w, err, p.s.Coordinator.Forwarded)
	})
}

// admit refuses what another node asks by a layout of which this one knows that it is over, or
// after it was removed: its requests would miss what others have written since.
func (p peerServer) admit(s *storepb.Stamp) (history.History, error) {
	h := p.s.Placement.Now()
	from := store.NodeID(s.GetFrom())
	switch {
	case !h.Joined():
		return h, fmt.Errorf("%s has not joined a cluster: %w", p.s.Self, store.ErrNotMember)
	case h.Fenced(from):
		return h, fmt.Errorf("asked by %s, which was removed: %w", from, store.ErrNotMember)
	case !h.Serves(s.GetVersion(), s.GetId()):
		return h, fmt.Errorf("%s asks by version %d of the layout, %s is at %d: %w", from, s.GetVersion(), p.s.Self, h.Newest().Number, store.ErrWrongRing)
	case h.Outdated(p.s.Self, s.GetSwept()):
		if p.s.Behind != nil {
			p.s.Behind(from) // so that this node learns why, and its operator
		}
		return h, fmt.Errorf("%s has not taken part in the sweep of version %d, which %s knows: what it holds may be deleted: %w", p.s.Self, s.GetSwept(), from, store.ErrWrongRing)
	case s.GetVersion() > h.Newest().Number && p.s.Behind != nil:
		p.s.Behind(from)
	}
	return h, nil
}

func (p peerServer) ReplicaGet(ctx context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
	return replicate(ctx, p.s, "replicaget", func(ctx context.Context) (*storepb.ReplicaGetReply, error) {
		h, err := p.admit(r.GetStamp())
		if err != nil {
			return nil, err
		}
		key := store.Key(r.GetKey())
		get := p.s.Local.Get
		if r.GetRecall() {
			get = p.s.Local.Recall
		}
		set, err := get(ctx, h.Newest().Layout.Partition(key), key)
		if err != nil {
			return nil, err
		}
		return &storepb.ReplicaGetReply{State: stateToProto(set)}, nil
	})
}

func (p peerServer) ReplicaMerge(ctx context.Context, r *storepb.ReplicaMergeRequest) (*storepb.ReplicaMergeReply, error) {
	return replicate(ctx, p.s, "replicamerge", func(ctx context.Context) (*storepb.ReplicaMergeReply, error) {
		_, end := p.s.Placement.Join() // before the stamp is looked at
		defer end()
		h, err := p.admit(r.GetStamp())
		if err != nil {
			return nil, err
		}
		key, hintFor := store.Key(r.GetKey()), store.NodeID(r.GetHintFor())
		part := h.Newest().Layout.Partition(key)
		owner := hintFor
		if owner == "" {
			owner = p.s.Self
		}
		// Nodes with different layouts would scatter a key over nodes that never meet. Who knows a newer
		// one than this node knows better.
		if r.GetStamp().GetVersion() <= h.Newest().Number && !h.Owns(owner, part) {
			return nil, fmt.Errorf("merge %q for %s on %s: %w", key, owner, p.s.Self, store.ErrNotOwner)
		}
		if hintFor == p.s.Self {
			hintFor = ""
		}
		if hintFor != "" {
			// It counts as a write: once this node has acked a layout in which it is no member, none is on its way into
			// its hints any more.
			h, end := p.s.Placement.Write()
			defer end()
			if !h.Stays(p.s.Self) {
				return nil, fmt.Errorf("keep a hint of %q for %s on %s, which is to leave or has left: %w", key, hintFor, p.s.Self, store.ErrNotMember)
			}
		}
		set, err := version.DecodeSet(r.GetState())
		if err != nil {
			return nil, fmt.Errorf("merge %q: %w: %w", key, store.ErrInvalid, err)
		}
		merge := p.s.Local.Merge
		if r.GetBuffered() {
			merge = p.s.Local.Buffer
		}
		if _, err := merge(ctx, part, key, hintFor, set); err != nil {
			return nil, err
		}
		return &storepb.ReplicaMergeReply{}, nil
	})
}

// Ping answers as long as the node is fit to be a replica, which takes a disk that can be
// written to: a node that refuses all writes at once would keep others from standing in for it.
func (p peerServer) Ping(ctx context.Context, _ *storepb.PingRequest) (*storepb.PingReply, error) {
	return replicate(ctx, p.s, "ping", func(ctx context.Context) (*storepb.PingReply, error) {
		if disk, ok := p.s.Local.(interface{ Healthy() error }); ok && disk.Healthy() != nil {
			return nil, disk.Healthy()
		}
		return &storepb.PingReply{Id: string(p.s.Self), Cluster: p.s.Placement.Now().Cluster()}, nil
	})
}

// stateToProto returns the canonical bytes; none for a key never heard of.
func stateToProto(s version.Set) []byte {
	if s.IsZero() {
		return nil
	}
	return s.Encode()
}
