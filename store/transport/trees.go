package transport

import (
	"context"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
)

// leavesMax bounds one page of leaves.
const leavesMax = 1024

// Trees is what peers may ask of the hash trees of this node.
type Trees interface {
	TreeRoots(owned func(ring.Partition) bool) []merkle.Root
	TreeGroups(p ring.Partition) merkle.Sums
	TreeSegments(p ring.Partition, group int) merkle.Sums
	TreeLeaves(ctx context.Context, p ring.Partition, seg merkle.Segment, after store.Key, limit int) (leaves []merkle.Leaf, more bool, err error)
}

// TreeRoots compares the trees that a node shares with this one, given the sum over this
// node's roots. Unless they are equal it returns the node's roots.
func (p *Peers) TreeRoots(ctx context.Context, from store.NodeID, sum merkle.Sum) (equal bool, roots []merkle.Root, err error) {
	err = p.call(ctx, from, p.opts.Timeout, func(ctx context.Context, c storepb.PeerClient) error {
		reply, err := c.TreeRoots(ctx, &storepb.TreeRootsRequest{Format: merkle.Format, Sum: sum[:], Stamp: p.stampNow()})
		if err != nil {
			return err
		}
		equal = reply.GetEqual()
		for _, r := range reply.GetRoots() {
			sum, err := sumFromProto(r.GetSum())
			if err != nil {
				return err
			}
			roots = append(roots, merkle.Root{Tree: r.GetPartition(), Sum: sum})
		}
		return nil
	})
	return equal, roots, err
}

// TreeNodes returns the sums of the groups of a node's tree, or, of each group given, those of
// its segments.
func (p *Peers) TreeNodes(ctx context.Context, from store.NodeID, part ring.Partition, groups []int) (sums []merkle.Sums, err error) {
	err = p.call(ctx, from, p.opts.Timeout, func(ctx context.Context, c storepb.PeerClient) error {
		r := &storepb.TreeNodesRequest{Format: merkle.Format, Partition: uint32(part), Stamp: p.stampNow()}
		for _, g := range groups {
			r.Groups = append(r.Groups, uint32(g))
		}
		reply, err := c.TreeNodes(ctx, r)
		if err != nil {
			return err
		}
		const size = len(merkle.Sum{})
		b := reply.GetSums()
		if len(b) != max(1, len(groups))*merkle.Fanout*size {
			return fmt.Errorf("%d bytes of sums for %d groups: %w", len(b), len(groups), store.ErrInvalid)
		}
		for ; len(b) > 0; b = b[merkle.Fanout*size:] {
			var children merkle.Sums
			for i := range children {
				children[i] = merkle.Sum(b[i*size:][:size])
			}
			sums = append(sums, children)
		}
		return nil
	})
	return sums, err
}

// TreeLeaves lists up to limit leaves of segments of a node's tree, behind the key after in the
// first of them, and whether there are more.
func (p *Peers) TreeLeaves(ctx context.Context, from store.NodeID, part ring.Partition, segments []merkle.Segment, after store.Key, limit int) (leaves []merkle.Leaf, more bool, err error) {
	err = p.call(ctx, from, p.opts.Timeout, func(ctx context.Context, c storepb.PeerClient) error {
		r := &storepb.TreeLeavesRequest{Format: merkle.Format, Partition: uint32(part), After: []byte(after), Limit: uint32(limit), Stamp: p.stampNow()}
		for _, s := range segments {
			r.Segments = append(r.Segments, uint32(s))
		}
		reply, err := c.TreeLeaves(ctx, r)
		if err != nil {
			return err
		}
		more = reply.GetMore()
		for _, l := range reply.GetLeaves() {
			sum, err := sumFromProto(l.GetSum())
			if err != nil {
				return err
			}
			leaves = append(leaves, merkle.Leaf{Key: store.Key(l.GetKey()), Sum: sum})
		}
		return nil
	})
	return leaves, more, err
}

func (p *Peers) stampNow() *storepb.Stamp { return p.stamp(p.opts.Placement.Now().Stamp()) }

func sumFromProto(b []byte) (merkle.Sum, error) {
	if len(b) != len(merkle.Sum{}) {
		return merkle.Sum{}, fmt.Errorf("sum of %d bytes, want %d: %w", len(b), len(merkle.Sum{}), store.ErrInvalid)
	}
	return merkle.Sum(b), nil
}

// checkTree refuses what is not about a tree of this node, or about one of another format.
func (p peerServer) checkTree(stamp *storepb.Stamp, format, partition uint32) (history.History, ring.Partition, error) {
	h, err := p.admit(stamp)
	if err != nil {
		return h, 0, err
	}
	if format != merkle.Format {
		return h, 0, fmt.Errorf("hash trees of format %d, %s has %d: upgrade all nodes: %w", format, p.s.Self, merkle.Format, store.ErrInvalid)
	}
	if q := h.Newest().Layout.Partitions(); partition >= uint32(q) {
		return h, 0, fmt.Errorf("tree of partition %d of %d: %w", partition, q, store.ErrInvalid)
	}
	return h, ring.Partition(partition), nil
}

func (p peerServer) TreeRoots(ctx context.Context, r *storepb.TreeRootsRequest) (*storepb.TreeRootsReply, error) {
	return replicate(ctx, p.s, "treeroots", func(ctx context.Context) (*storepb.TreeRootsReply, error) {
		h, _, err := p.checkTree(r.GetStamp(), r.GetFormat(), 0)
		if err != nil {
			return nil, err
		}
		theirs, err := sumFromProto(r.GetSum())
		if err != nil {
			return nil, err
		}
		from := store.NodeID(r.GetStamp().GetFrom())
		roots := p.s.Local.TreeRoots(func(part ring.Partition) bool { return h.Owns(p.s.Self, part) && h.Owns(from, part) })
		if merkle.SumRoots(roots) == theirs {
			return &storepb.TreeRootsReply{Equal: true}, nil
		}
		reply := &storepb.TreeRootsReply{}
		for _, root := range roots {
			reply.Roots = append(reply.Roots, &storepb.TreeRootsReply_Root{Partition: root.Tree, Sum: root.Sum[:]})
		}
		return reply, nil
	})
}

func (p peerServer) TreeNodes(ctx context.Context, r *storepb.TreeNodesRequest) (*storepb.TreeNodesReply, error) {
	return replicate(ctx, p.s, "treenodes", func(ctx context.Context) (*storepb.TreeNodesReply, error) {
		_, part, err := p.checkTree(r.GetStamp(), r.GetFormat(), r.GetPartition())
		if err != nil {
			return nil, err
		}
		if len(r.GetGroups()) > merkle.Fanout {
			return nil, fmt.Errorf("%d groups of a tree: %w", len(r.GetGroups()), store.ErrInvalid)
		}
		reply := &storepb.TreeNodesReply{}
		add := func(sums merkle.Sums) {
			for i := range sums {
				reply.Sums = append(reply.Sums, sums[i][:]...)
			}
		}
		if len(r.GetGroups()) == 0 {
			add(p.s.Local.TreeGroups(part))
		}
		for _, g := range r.GetGroups() {
			if g >= merkle.Fanout {
				return nil, fmt.Errorf("group %d of a tree: %w", g, store.ErrInvalid)
			}
			add(p.s.Local.TreeSegments(part, int(g)))
		}
		return reply, nil
	})
}

func (p peerServer) TreeLeaves(ctx context.Context, r *storepb.TreeLeavesRequest) (*storepb.TreeLeavesReply, error) {
	return replicate(ctx, p.s, "treeleaves", func(ctx context.Context) (*storepb.TreeLeavesReply, error) {
		_, part, err := p.checkTree(r.GetStamp(), r.GetFormat(), r.GetPartition())
		if err != nil {
			return nil, err
		}
		limit := int(r.GetLimit())
		if limit == 0 || limit > leavesMax {
			limit = leavesMax
		}
		reply, after := &storepb.TreeLeavesReply{}, store.Key(r.GetAfter())
		for _, seg := range r.GetSegments() {
			if reply.More = len(reply.Leaves) == limit; reply.More {
				break
			}
			if seg >= merkle.Segments {
				return nil, fmt.Errorf("segment %d of a tree: %w", seg, store.ErrInvalid)
			}
			var leaves []merkle.Leaf
			leaves, reply.More, err = p.s.Local.TreeLeaves(ctx, part, merkle.Segment(seg), after, limit-len(reply.Leaves))
			if err != nil {
				return nil, err
			}
			for _, l := range leaves {
				reply.Leaves = append(reply.Leaves, &storepb.TreeLeavesReply_Leaf{Key: []byte(l.Key), Sum: l.Sum[:]})
			}
			if after = ""; reply.More {
				break
			}
		}
		return reply, nil
	})
}

// A TreeReport describes the hash trees of a node.
type TreeReport struct {
	Node  store.NodeID
	Trees []storage.TreeStat // those that hold a key, by partition
	Check *storage.TreeCheck // nil if none was asked for
}

func (a adminServer) Trees(ctx context.Context, r *storepb.TreesRequest) (*storepb.TreesReply, error) {
	return handle(a.s, func() (*storepb.TreesReply, error) {
		report, err := a.s.Inspector.Trees(ctx, r.GetCheck())
		if err != nil {
			return nil, err
		}
		reply := &storepb.TreesReply{Node: string(report.Node)}
		for _, t := range report.Trees {
			reply.Trees = append(reply.Trees, &storepb.TreesReply_Tree{Partition: uint32(t.Partition), Root: t.Root[:], Keys: uint64(t.Keys)})
		}
		if c := report.Check; c != nil {
			reply.Check = &storepb.TreesReply_Check{
				Keys: uint64(c.Keys), Leaves: uint64(c.Leaves), Orphans: uint64(c.Orphans), Damaged: uint64(c.Damaged), Trees: uint64(c.Trees), Tombstones: uint64(c.Tombstones),
			}
		}
		return reply, nil
	})
}

// TreeReportOf translates a reply of Trees.
func TreeReportOf(r *storepb.TreesReply) (TreeReport, error) {
	report := TreeReport{Node: store.NodeID(r.GetNode())}
	for _, t := range r.GetTrees() {
		root, err := sumFromProto(t.GetRoot())
		if err != nil {
			return report, err
		}
		report.Trees = append(report.Trees, storage.TreeStat{Partition: ring.Partition(t.GetPartition()), Root: root, Keys: int(t.GetKeys())})
	}
	if c := r.GetCheck(); c != nil {
		report.Check = &storage.TreeCheck{
			Keys: int(c.GetKeys()), Leaves: int(c.GetLeaves()), Orphans: int(c.GetOrphans()), Damaged: int(c.GetDamaged()), Trees: int(c.GetTrees()), Tombstones: int(c.GetTombstones()),
		}
	}
	return report, nil
}
