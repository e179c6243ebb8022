package transport

import (
	"context"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/reap"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
)

// A Reaper takes the steps of the collection of tombstones and retired actors on this node.
type Reaper interface {
	Confirm(ctx context.Context, at history.Stamp, p ring.Partition, leaves []merkle.Leaf) (equal []bool, err error)
	ConfirmRetired(ctx context.Context, at history.Stamp, p ring.Partition, asked []storage.Retired) (both []storage.Retired, err error)
	Ready(ctx context.Context, at history.Stamp) (waitsFor string, err error)
	Drop(ctx context.Context, at history.Stamp, p ring.Partition, leaves []merkle.Leaf) (dropped int, err error)
	Prune(ctx context.Context, at history.Stamp, p ring.Partition, known []storage.Retired) (pruned int, err error)
}

// Confirm asks an owner which of the leaves are those of its records on disk.
func (p *Peers) Confirm(ctx context.Context, at history.Stamp, of store.NodeID, part ring.Partition, leaves []merkle.Leaf) (equal []bool, err error) {
	reply, err := p.reap(ctx, at, of, storepb.ReapRequest_CONFIRM, part, leaves, nil)
	equal = make([]bool, len(leaves))
	for _, i := range reply.GetEqual() {
		if int(i) >= len(leaves) {
			return nil, fmt.Errorf("%s: leaf %d of %d is equal: %w", of, i, len(leaves), store.ErrInvalid)
		}
		equal[i] = true
	}
	return equal, err
}

// ConfirmRetired asks an owner which of the entries are in its records on disk, and retired.
func (p *Peers) ConfirmRetired(ctx context.Context, at history.Stamp, of store.NodeID, part ring.Partition, asked []storage.Retired) (both []storage.Retired, err error) {
	reply, err := p.reap(ctx, at, of, storepb.ReapRequest_CONFIRM_RETIRED, part, nil, asked)
	if err != nil {
		return nil, err
	}
	return retiredFromProto(reply.GetRetired())
}

// Prune has an owner take the entries from the vectors that still have them.
func (p *Peers) Prune(ctx context.Context, at history.Stamp, on store.NodeID, part ring.Partition, known []storage.Retired) (pruned int, err error) {
	reply, err := p.reap(ctx, at, on, storepb.ReapRequest_PRUNE, part, nil, known)
	return int(reply.GetDropped()), err
}

// Ready asks a node what it holds that could bring a deleted value back.
func (p *Peers) Ready(ctx context.Context, at history.Stamp, is store.NodeID) (waitsFor string, err error) {
	reply, err := p.reap(ctx, at, is, storepb.ReapRequest_READY, 0, nil, nil)
	return reply.GetWaitsFor(), err
}

// Drop has an owner delete the records that still have these leaves.
func (p *Peers) Drop(ctx context.Context, at history.Stamp, on store.NodeID, part ring.Partition, leaves []merkle.Leaf) (dropped int, err error) {
	reply, err := p.reap(ctx, at, on, storepb.ReapRequest_DROP, part, leaves, nil)
	return int(reply.GetDropped()), err
}

func (p *Peers) reap(ctx context.Context, at history.Stamp, to store.NodeID, step storepb.ReapRequest_Step, part ring.Partition, leaves []merkle.Leaf, retired []storage.Retired) (reply *storepb.ReapReply, err error) {
	r := &storepb.ReapRequest{Stamp: p.stamp(at), Step: step, Format: merkle.Format, Partition: uint32(part), Retired: retiredToProto(retired)}
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
		if n := max(len(r.GetLeaves()), len(r.GetRetired())); n > reap.LeavesMax {
			return nil, fmt.Errorf("%d records, %d at most: %w", n, reap.LeavesMax, store.ErrInvalid)
		}
		var leaves []merkle.Leaf
		for _, l := range r.GetLeaves() {
			sum, err := sumFromProto(l.GetSum())
			if err != nil {
				return nil, err
			}
			leaves = append(leaves, merkle.Leaf{Key: store.Key(l.GetKey()), Sum: sum})
		}
		retired, err := retiredFromProto(r.GetRetired())
		if err != nil {
			return nil, err
		}
		return p.reapStep(ctx, history.Stamp{Number: r.GetStamp().GetVersion(), ID: r.GetStamp().GetId()}, r.GetStep(), part, leaves, retired)
	})
}

func (p peerServer) reapStep(ctx context.Context, at history.Stamp, step storepb.ReapRequest_Step, part ring.Partition, leaves []merkle.Leaf, retired []storage.Retired) (reply *storepb.ReapReply, err error) {
	reply = &storepb.ReapReply{}
	switch step {
	case storepb.ReapRequest_CONFIRM:
		var equal []bool
		equal, err = p.s.Reaper.Confirm(ctx, at, part, leaves)
		for i, same := range equal {
			if same {
				reply.Equal = append(reply.Equal, uint32(i))
			}
		}
	case storepb.ReapRequest_CONFIRM_RETIRED:
		retired, err = p.s.Reaper.ConfirmRetired(ctx, at, part, retired)
		reply.Retired = retiredToProto(retired)
	case storepb.ReapRequest_READY:
		reply.WaitsFor, err = p.s.Reaper.Ready(ctx, at)
	case storepb.ReapRequest_DROP:
		var dropped int
		dropped, err = p.s.Reaper.Drop(ctx, at, part, leaves)
		reply.Dropped = uint32(dropped)
	case storepb.ReapRequest_PRUNE:
		var pruned int
		pruned, err = p.s.Reaper.Prune(ctx, at, part, retired)
		reply.Dropped = uint32(pruned)
	default:
		err = fmt.Errorf("step %d of a collection: %w", step, store.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	return reply, nil
}

func retiredToProto(of []storage.Retired) (out []*storepb.Retired) {
	for _, r := range of {
		out = append(out, &storepb.Retired{Key: []byte(r.Key), Entries: storage.EncodeEntries(r.Entries)})
	}
	return out
}

func retiredFromProto(of []*storepb.Retired) (out []storage.Retired, err error) {
	for _, r := range of {
		entries, err := storage.DecodeEntries(r.GetEntries())
		if err != nil {
			return nil, fmt.Errorf("retired actors of %q: %w: %w", r.GetKey(), store.ErrInvalid, err)
		}
		out = append(out, storage.Retired{Key: store.Key(r.GetKey()), Entries: entries})
	}
	return out, nil
}
