package transport

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/gossip"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
	"cartwheel/store/transfer"
	"cartwheel/store/version"
)

// Limits of Fetch and HandOver.
const (
	fetchKeysMax      = 1024
	fetchSizeBytesMax = 1 << 20 // after which no further state is added to an answer
)

// Bulk is what transfers ask of this node's disk.
type Bulk interface {
	State(ctx context.Context, p ring.Partition, key store.Key) (storage.State, error)
	MergeAll(ctx context.Context, p ring.Partition, states []storage.State) (changed int, err error)
}

// Fetch returns a node's own records of keys of a partition, which ascend: of as many as fit into one answer.
func (p *Peers) Fetch(ctx context.Context, from store.NodeID, part ring.Partition, keys []store.Key) (out []transfer.Fetched, err error) {
	err = p.call(ctx, from, p.opts.Timeout, func(ctx context.Context, c storepb.PeerClient) error {
		r := &storepb.FetchRequest{Partition: uint32(part), Stamp: p.stampNow()}
		for _, k := range keys[:min(len(keys), fetchKeysMax)] {
			r.Keys = append(r.Keys, []byte(k))
		}
		reply, err := c.Fetch(ctx, r)
		if err != nil {
			return err
		}
		for _, b := range reply.GetStates() {
			f := transfer.Fetched{SizeBytes: len(b)}
			if len(b) > 0 {
				if f.Set, err = version.DecodeSet(b); err != nil {
					return fmt.Errorf("%w: %w", store.ErrInvalid, err)
				}
			}
			out = append(out, f)
		}
		for _, i := range reply.GetDamaged() {
			if int(i) >= len(out) {
				return fmt.Errorf("record %d of %d is damaged: %w", i, len(out), store.ErrInvalid)
			}
			out[i].Damaged = true
		}
		pruned, err := retiredFromProto(reply.GetPruned())
		if err != nil {
			return err
		}
		for i := range out {
			if len(pruned) > 0 && pruned[0].Key == keys[i] {
				out[i].Pruned, pruned = pruned[0].Entries, pruned[1:]
			}
		}
		return nil
	})
	return out, err
}

// HandOver joins states of a partition, whose keys ascend, into the records of a node that owns it. They are durable there when
// it returns.
func (p *Peers) HandOver(ctx context.Context, to store.NodeID, part ring.Partition, states []storage.State) error {
	return p.call(ctx, to, p.opts.Timeout, func(ctx context.Context, c storepb.PeerClient) error {
		r := &storepb.HandOverRequest{From: string(p.opts.Self), Partition: uint32(part)}
		for _, s := range states {
			r.States = append(r.States, &storepb.KeyState{Key: []byte(s.Key), State: stateToProto(s.Set), Pruned: storage.EncodeEntries(s.Pruned)})
		}
		_, err := c.HandOver(ctx, r)
		return err
	})
}

func (p peerServer) Fetch(ctx context.Context, r *storepb.FetchRequest) (*storepb.FetchReply, error) {
	return replicate(ctx, p.s, "fetch", func(ctx context.Context) (*storepb.FetchReply, error) {
		h, err := p.admit(r.GetStamp())
		if err != nil {
			return nil, err
		}
		if len(r.GetKeys()) > fetchKeysMax {
			return nil, fmt.Errorf("fetch %d keys, %d at most: %w", len(r.GetKeys()), fetchKeysMax, store.ErrInvalid)
		}
		reply, size := &storepb.FetchReply{}, 0
		for _, k := range r.GetKeys() {
			key := store.Key(k)
			if got := h.Newest().Layout.Partition(key); uint32(got) != r.GetPartition() {
				return nil, fmt.Errorf("fetch %q: it is of partition %d, not %d: %w", key, got, r.GetPartition(), store.ErrInvalid)
			}
			s, err := p.s.Local.State(ctx, ring.Partition(r.GetPartition()), key)
			if errors.Is(err, store.ErrCorrupt) {
				reply.Damaged = append(reply.Damaged, uint32(len(reply.States)))
			} else if err != nil {
				return nil, err
			}
			if len(s.Pruned) > 0 {
				reply.Pruned = append(reply.Pruned, retiredToProto([]storage.Retired{{Key: key, Entries: s.Pruned}})...)
			}
			state := stateToProto(s.Set)
			reply.States = append(reply.States, state)
			if size += len(state); size >= fetchSizeBytesMax {
				break
			}
		}
		return reply, nil
	})
}

// HandOver takes what another node held. It is not refused to nodes that were removed: a state that is joined to a record decides
// nothing, and what they hold may be acknowledged and nowhere else.
func (p peerServer) HandOver(ctx context.Context, r *storepb.HandOverRequest) (*storepb.HandOverReply, error) {
	return replicate(ctx, p.s, "handover", func(ctx context.Context) (*storepb.HandOverReply, error) {
		h, end := p.s.Placement.Join()
		defer end()
		part := ring.Partition(r.GetPartition())
		if !h.Joined() || !h.Owns(p.s.Self, part) {
			return nil, fmt.Errorf("partition %d of %s is handed to %s: %w", part, r.GetFrom(), p.s.Self, store.ErrNotOwner)
		}
		if from := store.NodeID(r.GetFrom()); !h.TookPart(from) {
			return nil, fmt.Errorf("%s was no member any more when tombstones were collected by version %d: what it holds may be deleted: %w", from, h.Swept(), store.ErrNotMember)
		}
		var states []storage.State
		for _, s := range r.GetStates() {
			key := store.Key(s.GetKey())
			set, err := version.DecodeSet(s.GetState())
			if err != nil {
				return nil, fmt.Errorf("hand over %q: %w: %w", key, store.ErrInvalid, err)
			}
			if h.Newest().Layout.Partition(key) != part {
				return nil, fmt.Errorf("hand over %q: it is not of partition %d: %w", key, part, store.ErrInvalid)
			}
			var pruned version.Vector
			if len(s.GetPruned()) > 0 {
				if pruned, err = storage.DecodeEntries(s.GetPruned()); err != nil {
					return nil, fmt.Errorf("hand over %q: %w: %w", key, store.ErrInvalid, err)
				}
			}
			states = append(states, storage.State{Key: key, Set: set, Pruned: pruned})
		}
		if _, err := p.s.Local.MergeAll(ctx, part, states); err != nil {
			return nil, err
		}
		return &storepb.HandOverReply{}, nil
	})
}

// Gossiper answers what other nodes say of the layouts.
type Gossiper interface {
	Receive(ctx context.Context, m gossip.Message) (gossip.Message, error)
}

// A GossipPeers reaches nodes by their addresses, whether or not they are believed to be up.
type GossipPeers struct{ Dial MemberDialer }

// A MemberDialer returns the connection to a node, of which the id or the address may be empty; the address, if there is one, decides. It
// does not block. nil: no such node.
type MemberDialer func(store.Member) grpc.ClientConnInterface

// Gossip exchanges messages with a node.
func (g GossipPeers) Gossip(ctx context.Context, to store.Member, m gossip.Message) (gossip.Message, error) {
	conn := g.Dial(to)
	if conn == nil {
		return gossip.Message{}, fmt.Errorf("gossip with %s at %q: %w", to.ID, to.Address, store.ErrDown)
	}
	reply, err := storepb.NewPeerClient(conn).Gossip(ctx, &storepb.GossipRequest{From: memberToProto(m.From), Digest: m.Digest, History: m.History})
	if err != nil {
		return gossip.Message{}, fmt.Errorf("gossip with %s at %q: %w", to.ID, to.Address, Decode(err))
	}
	return gossip.Message{From: memberFromProto(reply.GetFrom()), Digest: reply.GetDigest(), History: reply.GetHistory()}, nil
}

func (p peerServer) Gossip(ctx context.Context, r *storepb.GossipRequest) (*storepb.GossipReply, error) {
	return replicate(ctx, p.s, "gossip", func(ctx context.Context) (*storepb.GossipReply, error) {
		m, err := p.s.Gossip.Receive(ctx, gossip.Message{From: memberFromProto(r.GetFrom()), Digest: r.GetDigest(), History: r.GetHistory()})
		if err != nil {
			return nil, err
		}
		return &storepb.GossipReply{From: memberToProto(m.From), Digest: m.Digest, History: m.History}, nil
	})
}

func memberToProto(m store.Member) *storepb.Member {
	return &storepb.Member{Id: string(m.ID), Address: m.Address}
}

func memberFromProto(m *storepb.Member) store.Member {
	return store.Member{ID: store.NodeID(m.GetId()), Address: m.GetAddress()}
}
