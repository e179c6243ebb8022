package transport

import (
	"context"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/coordinator"
	"cartwheel/store/storepb"
	"cartwheel/store/version"
)

// peerServer serves the other nodes.
type peerServer struct {
	storepb.UnimplementedPeerServer
	s *Server
}

func (p peerServer) Forward(ctx context.Context, r *storepb.ForwardRequest) (*storepb.PutReply, error) {
	return handle(p.s, func() (*storepb.PutReply, error) {
		var w coordinator.Write
		var err error
		switch {
		case r.GetPut() != nil:
			w, err = putFromProto(r.GetPut())
		case r.GetDelete() != nil:
			w, err = deleteFromProto(r.GetDelete())
		default:
			err = fmt.Errorf("forward from %s: no write in it: %w", r.GetFrom(), store.ErrInvalid)
		}
		return answerWrite(ctx, w, err, p.s.Coordinator.Forwarded)
	})
}

func (p peerServer) ReplicaGet(ctx context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
	return handle(p.s, func() (*storepb.ReplicaGetReply, error) {
		key := store.Key(r.GetKey())
		set, err := p.s.Local.Get(ctx, p.s.Layout.Partition(key), key)
		if err != nil {
			return nil, err
		}
		return &storepb.ReplicaGetReply{State: stateToProto(set)}, nil
	})
}

func (p peerServer) ReplicaMerge(ctx context.Context, r *storepb.ReplicaMergeRequest) (*storepb.ReplicaMergeReply, error) {
	return handle(p.s, func() (*storepb.ReplicaMergeReply, error) {
		key, hintFor := store.Key(r.GetKey()), store.NodeID(r.GetHintFor())
		part := p.s.Layout.Partition(key)
		owner := hintFor
		if owner == "" {
			owner = p.s.Self
		}
		// Nodes with different member lists would scatter a key over nodes that never meet.
		if !p.s.Layout.Owns(owner, part) {
			return nil, fmt.Errorf("merge %q for %s on %s: %w", key, owner, p.s.Self, store.ErrNotOwner)
		}
		if hintFor == p.s.Self {
			hintFor = ""
		}
		set, err := version.DecodeSet(r.GetState())
		if err != nil {
			return nil, fmt.Errorf("merge %q: %w: %w", key, store.ErrInvalid, err)
		}
		if _, err := p.s.Local.Merge(ctx, part, key, hintFor, set); err != nil {
			return nil, err
		}
		return &storepb.ReplicaMergeReply{}, nil
	})
}

func (p peerServer) Ping(context.Context, *storepb.PingRequest) (*storepb.PingReply, error) {
	return handle(p.s, func() (*storepb.PingReply, error) {
		return &storepb.PingReply{Id: string(p.s.Self), RingDigest: p.s.Layout.Digest()}, nil
	})
}

// stateToProto returns the canonical bytes; none for a key never heard of.
func stateToProto(s version.Set) []byte {
	if s.IsZero() {
		return nil
	}
	return s.Encode()
}
