package transport

import (
	"context"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/reap"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storepb"
)

// A Reaper takes the steps of the collection of tombstones on this node.
type Reaper interface {
	Confirm(ctx context.Context, at history.Stamp, p ring.Partition, leaves []merkle.Leaf) (equal []bool, err error)
	Ready(ctx context.Context, at history.Stamp) (waitsFor string, err error)
	Drop(ctx context.Context, at history.Stamp, p ring.Partition, leaves []merkle.Leaf) (dropped int, err error)
}

// Confirm asks an owner which of the leaves are those of its records on disk.
func (p *Peers) Confirm(ctx context.Context, at history.Stamp, of store.NodeID, part ring.Partition, leaves []merkle.Leaf) (equal []bool, err error) {
	reply, err := p.reap(ctx, at, of, storepb.ReapRequest_CONFIRM, part, leaves)
	equal = make([]bool, len(leaves))
	for _, i := range reply.GetEqual() {
		if int(i) >= len(leaves) {
			return nil, fmt.Errorf("%s: leaf %d of %d is equal: %w", of, i, len(leaves), store.ErrInvalid)
		}
		equal[i] = true
	}
	return equal, err
}

// Ready asks a node what it holds that could bring a deleted value back.
func (p *Peers) Ready(ctx context.Context, at history.Stamp, is store.NodeID) (waitsFor string, err error) {
	reply, err := p.reap(ctx, at, is, storepb.ReapRequest_READY, 0, nil)
	return reply.GetWaitsFor(), err
}

// Drop has an owner delete the records that still have these leaves.
func (p *Peers) Drop(ctx context.Context, at history.Stamp, on store.NodeID, part ring.Partition, leaves []merkle.Leaf) (dropped int, err error) {
	reply, err := p.reap(ctx, at, on, storepb.ReapRequest_DROP, part, leaves)
	return int(reply.GetDropped()), err
}

func (p *Peers) reap(ctx context.Context, at history.Stamp, to store.NodeID, step storepb.ReapRequest_Step, part ring.Partition, leaves []merkle.Leaf) (reply *storepb.ReapReply, err error) {
	r := &storepb.ReapRequest{Stamp: p.stamp(at), Step: step, Format: merkle.Format, Partition: uint32(part)}
	for _, l := range leaves {
		r.Leaves = append(r.Leaves, &storepb.ReapRequest_Leaf{Key: []byte(l.Key), Sum: l.Sum[:]})
	}
	err = p.call(ctx, to, p.opts.Timeout, func(ctx context.Context, c storepb.PeerClient) error {
		reply, err = c.Reap(ctx, r)
		return err
	})
	return reply, err
}

func (p peerServer) Reap(ctx context.Context, r *storepb.ReapRequest) (*storepb.ReapReply, error) {
	return replicate(ctx, p.s, "reap", func(ctx context.Context) (*storepb.ReapReply, error) {
		_, part, err := p.checkTree(r.GetStamp(), r.GetFormat(), r.GetPartition())
		if err != nil {
			return nil, err
		}
		if len(r.GetLeaves()) > reap.LeavesMax {
			return nil, fmt.Errorf("%d leaves, %d at most: %w", len(r.GetLeaves()), reap.LeavesMax, store.ErrInvalid)
		}
		var leaves []merkle.Leaf
		for _, l := range r.GetLeaves() {
			sum, err := sumFromProto(l.GetSum())
			if err != nil {
				return nil, err
			}
			leaves = append(leaves, merkle.Leaf{Key: store.Key(l.GetKey()), Sum: sum})
		}
		at := history.Stamp{Number: r.GetStamp().GetVersion(), ID: r.GetStamp().GetId()}
		reply := &storepb.ReapReply{}
		switch r.GetStep() {
		case storepb.ReapRequest_CONFIRM:
			equal, err := p.s.Reaper.Confirm(ctx, at, part, leaves)
			if err != nil {
				return nil, err
			}
			for i, same := range equal {
				if same {
					reply.Equal = append(reply.Equal, uint32(i))
				}
			}
		case storepb.ReapRequest_READY:
			if reply.WaitsFor, err = p.s.Reaper.Ready(ctx, at); err != nil {
				return nil, err
			}
		case storepb.ReapRequest_DROP:
			dropped, err := p.s.Reaper.Drop(ctx, at, part, leaves)
			if err != nil {
				return nil, err
			}
			reply.Dropped = uint32(dropped)
		default:
			return nil, fmt.Errorf("step %d of a collection: %w", r.GetStep(), store.ErrInvalid)
		}
		return reply, nil
	})
}
