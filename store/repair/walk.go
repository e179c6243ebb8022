package repair

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
)

// WalkLocal is this node's side of a walk.
type WalkLocal interface {
	// TreeGroups returns the sums of the groups of a tree.
	TreeGroups(p ring.Partition) merkle.Sums
	// TreeSegments returns the sums of the segments of a group.
	TreeSegments(p ring.Partition, group int) merkle.Sums
	// TreeLeaves lists leaves of a segment behind a key, in order, and whether there are more.
	TreeLeaves(ctx context.Context, p ring.Partition, seg merkle.Segment, after store.Key, limit int) (leaves []merkle.Leaf, more bool, err error)
}

// WalkPeers is the other node's side of a walk.
type WalkPeers interface {
	// TreeNodes returns the sums of the groups of a tree, or, for each group given, those of its segments.
	TreeNodes(ctx context.Context, from store.NodeID, p ring.Partition, groups []int) ([]merkle.Sums, error)
	// TreeLeaves lists leaves of segments, which are in ascending order, behind a key in the first of them.
	TreeLeaves(ctx context.Context, from store.NodeID, p ring.Partition, segments []merkle.Segment, after store.Key, limit int) (leaves []merkle.Leaf, more bool, err error)
}

// A Walk goes down the hash trees of one partition on this node and on a peer, to where they differ.
type Walk struct {
	Local     WalkLocal
	Peers     WalkPeers
	Peer      store.NodeID
	Partition ring.Partition
	Place     func(store.Key) ring.Partition // the layout's; a peer's leaf of another partition is an error
	Page      int                            // leaves asked for at a time
	Timeout   time.Duration                  // of one request

	compared uint64
}

// Segments returns the segments that differ, in ascending order.
func (w *Walk) Segments(ctx context.Context) (segments []merkle.Segment, err error) {
	remote, err := w.nodes(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("groups of %s: %w", w.Peer, err)
	}
	local := w.Local.TreeGroups(w.Partition)
	groups := merkle.Differ(&local, &remote[0])
	if len(groups) == 0 {
		return nil, nil
	}
	if remote, err = w.nodes(ctx, groups); err != nil {
		return nil, fmt.Errorf("segments of %s: %w", w.Peer, err)
	}
	for i, g := range groups {
		local := w.Local.TreeSegments(w.Partition, g)
		for _, child := range merkle.Differ(&local, &remote[i]) {
			segments = append(segments, merkle.Segment(g*merkle.Fanout+child))
		}
	}
	return segments, nil
}

func (w *Walk) nodes(ctx context.Context, groups []int) ([]merkle.Sums, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	return w.Peers.TreeNodes(ctx, w.Peer, w.Partition, groups)
}

func (w *Walk) page(ctx context.Context, segments []merkle.Segment, after store.Key) ([]merkle.Leaf, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	return w.Peers.TreeLeaves(ctx, w.Peer, w.Partition, segments, after, w.Page)
}

// Leaves lists the keys of some segments, in ascending order, that differ.
func (w *Walk) Leaves(ctx context.Context, segments []merkle.Segment) ([]merkle.Difference, error) {
	var local, remote []merkle.Leaf
	for _, seg := range segments {
		var after store.Key
		for more := true; more; {
			page, again, err := w.Local.TreeLeaves(ctx, w.Partition, seg, after, w.Page)
			if err != nil {
				return nil, err
			}
			if local, more = append(local, page...), again; len(page) > 0 {
				after = page[len(page)-1].Key
			}
		}
	}
	rest, after := segments, store.Key("")
	for more := true; more; {
		page, again, err := w.page(ctx, rest, after)
		if err != nil {
			return nil, fmt.Errorf("leaves of %s: %w", w.Peer, err)
		}
		for _, l := range page {
			if len(remote) > 0 && remote[len(remote)-1].Compare(l) >= 0 || !slices.Contains(segments, merkle.SegmentOf(l.Key)) || w.Place(l.Key) != w.Partition {
				return nil, fmt.Errorf("leaves of %s: %q was not asked for or is out of order: %w", w.Peer, l.Key, store.ErrInvalid)
			}
			remote = append(remote, l)
		}
		if more = again; more {
			if len(page) == 0 {
				return nil, fmt.Errorf("leaves of %s: an empty page that is not the last: %w", w.Peer, store.ErrInvalid)
			}
			after = page[len(page)-1].Key
			rest = segments[slices.Index(segments, merkle.SegmentOf(after)):]
		}
	}
	w.compared += uint64(len(local) + len(remote))
	return merkle.DifferLeaves(local, remote), nil
}

// TakeCompared returns how many leaves were listed, on both sides, since it was called last.
func (w *Walk) TakeCompared() uint64 {
	n := w.compared
	w.compared = 0
	return n
}
