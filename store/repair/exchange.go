package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/version"
)

// segmentsAtOnce is of how many segments that differ the leaves are listed at a time: the fewer, the
// less is listed in vain when the limit on keys is reached.
const segmentsAtOnce = 16

// errFull ends an exchange that has mended as many keys as one may.
var errFull = errors.New("limit of keys reached")

// A position is a place in the order in which exchanges go through keys. An exchange that
// ended early is continued behind its position by the next with the same peer, so that a key
// which cannot be sent does not end every exchange at the same place.
type position struct {
	partition ring.Partition
	segment   merkle.Segment
	key       store.Key // empty: before all keys of the segment
}

func positionOf(p ring.Partition, key store.Key) position {
	return position{p, merkle.SegmentOf(key), key}
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.partition, q.partition), cmp.Compare(p.segment, q.segment), cmp.Compare(p.key, q.key))
}

// A stretch is the positions behind after, up to and with upTo.
type stretch struct{ after, upTo position }

var (
	begin = position{}
	end   = position{partition: math.MaxUint32}
)

func (s stretch) has(p position) bool { return p.compare(s.after) > 0 && p.compare(s.upTo) <= 0 }

// touches reports whether some key of the segment may lie in the stretch.
func (s stretch) touches(p ring.Partition, seg merkle.Segment) bool {
	return position{p, seg + 1, ""}.compare(s.after) > 0 && position{p, seg, ""}.compare(s.upTo) <= 0
}

// An exchange compares this node's trees with a peer's, once.
type exchange struct {
	*AntiEntropy
	peer   store.NodeID
	now    history.History
	left   int // keys that may still be mended
	mended int
	last   position // of the key tried last
	at     position // where the next exchange goes on if this one breaks off now
}

// exchange compares all shared partitions with the peer and mends what differs. It reports
// whether all was equal to begin with. One that ends early has left a position behind.
func (a *AntiEntropy) exchange(ctx context.Context, peer store.NodeID) (equal bool, err error) {
	now := a.opts.Placement.Now()
	shared := func(p ring.Partition) bool { return now.Owns(a.opts.Self, p) && now.Owns(peer, p) }
	local := a.opts.Local.TreeRoots(shared)
	rctx, cancel := context.WithTimeout(ctx, a.opts.Timeout)
	defer cancel()
	equal, remote, err := a.opts.Peers.TreeRoots(rctx, peer, merkle.SumRoots(local))
	if err != nil {
		return false, fmt.Errorf("roots of %s: %w", peer, err)
	}
	if equal {
		return true, nil
	}
	for i, r := range remote {
		if !shared(ring.Partition(r.Tree)) || i > 0 && remote[i-1].Tree >= r.Tree {
			return false, fmt.Errorf("roots of %s: partition %d is not shared or out of order: %w", peer, r.Tree, store.ErrNotOwner)
		}
	}
	trees := merkle.DifferRoots(local, remote)
	if len(trees) == 0 {
		return true, nil
	}
	from := a.resume[peer]
	x := &exchange{AntiEntropy: a, peer: peer, now: now, left: a.opts.Keys, at: from}
	for _, s := range []stretch{{from, end}, {begin, from}} {
		if s.after == s.upTo {
			break
		}
		if err = x.run(ctx, trees, s); err != nil {
			a.resume[peer] = x.at
			break
		}
		delete(a.resume, peer)
	}
	if x.mended > 0 {
		a.log.Info("mended differences", "peer", peer, "keys", x.mended)
	}
	if errors.Is(err, errFull) {
		a.capped.Add(1)
		err = nil
	}
	return false, err
}

// run goes through the part of the trees that lies in the stretch.
func (x *exchange) run(ctx context.Context, trees []uint32, s stretch) error {
	for _, t := range trees {
		p := ring.Partition(t)
		if p < s.after.partition || p > s.upTo.partition {
			continue
		}
		err := x.partition(ctx, p, s)
		if store.OfOneKey(err) { // the other partitions must not wait for it
			x.log.Warn("could not compare a partition", "peer", x.peer, "partition", p, "err", err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// partition goes down one tree.
func (x *exchange) partition(ctx context.Context, p ring.Partition, s stretch) error {
	x.at = position{partition: p + 1}
	w := Walk{
		Local: x.opts.Local, Peers: x.opts.Peers, Peer: x.peer, Partition: p, Place: x.now.Newest().Layout.Partition, Page: x.opts.Page, Timeout: x.opts.Timeout,
	}
	all, err := w.Segments(ctx)
	if err != nil {
		return err
	}
	segments := slices.DeleteFunc(all, func(seg merkle.Segment) bool { return !s.touches(p, seg) })
	for chunk := range slices.Chunk(segments, segmentsAtOnce) {
		x.at = position{p, chunk[len(chunk)-1] + 1, ""}
		if err := x.opts.Admit(ctx, 0); err != nil {
			return err
		}
		differences, err := w.Leaves(ctx, chunk)
		x.compared.Add(w.TakeCompared())
		if err != nil {
			return err
		}
		for _, d := range differences {
			if !s.has(positionOf(p, d.Key)) {
				continue
			}
			if err := x.key(ctx, p, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// key mends one key, unless the exchange has mended enough.
func (x *exchange) key(ctx context.Context, p ring.Partition, d merkle.Difference) error {
	if x.left == 0 {
		x.at = x.last
		return errFull
	}
	x.left--
	x.last = positionOf(p, d.Key)
	err := x.mend(ctx, p, d)
	switch {
	case store.OfOneKey(err): // the others go on, but all is not equal
		x.log.Warn("could not mend a key", "peer", x.peer, "key", string(d.Key), "err", err)
	case err != nil:
		x.at = x.last
		return err
	default:
		x.mended++
		x.repaired.Add(1)
		x.same.Store(max(x.same.Load(), x.again(x.peer, d)))
	}
	return nil
}

// mend makes this node and the peer hold the join of what they had of a key, and the right
// leaf for it: a merge that changes nothing looks after the leaf.
func (x *exchange) mend(ctx context.Context, p ring.Partition, d merkle.Difference) error {
	// What is fetched is joined in here later: no sweep must settle in between (see package reap).
	_, done := x.opts.Placement.Write()
	defer done()
	var theirs version.Set
	var err error
	if !d.Remote.IsZero() {
		if theirs, err = x.fetch(ctx, d.Key); err != nil {
			return fmt.Errorf("fetch %q from %s: %w", d.Key, x.peer, err)
		}
	}
	size := len(d.Key)
	for _, v := range theirs.Versions {
		size += len(v.Value)
	}
	if err := x.opts.Admit(ctx, size); err != nil {
		return err
	}
	if _, err := x.opts.Local.Merge(ctx, p, d.Key, "", theirs); err != nil {
		return err
	}
	joined, err := x.opts.Local.Record(ctx, p, d.Key)
	if restorer, ok := x.opts.Local.(Restorer); ok && errors.Is(err, store.ErrCorrupt) {
		joined, err = restorer.Restore(ctx, p, d.Key, x.peer, x.others(p))
	}
	if err != nil {
		return err
	}
	// What the peer answers a fetch with may be more than its record: it shows its hints
	// too. Only its leaf tells that the record needs nothing.
	if !joined.IsZero() && merkle.Sum(joined.Fingerprint(d.Key)) == d.Remote {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, x.opts.Timeout)
	defer cancel()
	if err := x.opts.Peers.Merge(ctx, x.now.Stamp(), x.peer, d.Key, "", joined); err != nil {
		return fmt.Errorf("send %q to %s: %w", d.Key, x.peer, err)
	}
	return nil
}

// others returns the owners of a partition in all live versions of the layout, but for this node.
func (x *exchange) others(p ring.Partition) (out []store.NodeID) {
	for _, v := range x.now.Live() {
		for _, o := range v.Layout.Owners(p) {
			if o != x.opts.Self && !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

func (x *exchange) fetch(ctx context.Context, key store.Key) (version.Set, error) {
	ctx, cancel := context.WithTimeout(ctx, x.opts.Timeout)
	defer cancel()
	return x.opts.Peers.Get(ctx, x.now.Stamp(), x.peer, key)
}
