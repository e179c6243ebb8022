package history

import (
	"fmt"
	"maps"

	"cartwheel/store"
)

// Merge joins what two nodes know. It is commutative, associative and idempotent.
//
// The history that has settled more stands. Of two versions of one number that compete, the
// one that changes something stands, and of two such the one with the larger id, with all that was appended to it, and nobody has acked the other. The error
// is ErrForked: the two are of different clusters, or have settled on different layouts, which can only be if
// one of them is that of a node which was removed by force.
func Merge(a, b History) (History, error) {
	switch {
	case len(a.live) == 0:
		a, b = b, a
		fallthrough
	case len(b.live) == 0:
		return a, nil
	}
	if a.Oldest().Number < b.Oldest().Number {
		a, b = b, a
	}
	// a has settled more. What b has of its own begins behind the versions that both know.
	old := a.Oldest()
	if at, ok := b.version(old.Number); ok && at.ID != old.ID || a.cluster != b.cluster {
		return History{}, fmt.Errorf("version %d of cluster %016x, version %d of %016x: %w", old.Number, a.cluster, b.Newest().Number, b.cluster, ErrForked)
	}
	common, winner := fork(a, b)
	out := History{cluster: a.cluster, removed: union(a.removed, b.removed)}
	out.swept = max(a.swept, b.swept)
	for _, v := range winner.live {
		if v.Number < old.Number {
			continue
		}
		for _, other := range []History{a, b} {
			if o, ok := other.version(v.Number); ok && o.ID == v.ID {
				v.synced = union(v.synced, o.synced)
			}
		}
		out.live = append(out.live, v)
	}
	for _, h := range []History{a, b} {
		most := h.Newest().Number
		if !winner.knows(h.Newest()) { // notes on versions that have lost are void
			most = min(most, common)
		}
		for n, number := range h.ack {
			out.ack = raised(out.ack, n, min(number, most))
		}
		for n, number := range h.syncAck {
			out.syncAck = raised(out.syncAck, n, min(number, most))
		}
	}
	return out.settle(), nil
}

// fork returns the number of the newest version that both know, and the history whose
// versions stand from there on. a has settled at least as much as b.
func fork(a, b History) (common uint64, winner History) {
	common = a.Oldest().Number
	if b.Newest().Number < common {
		return b.Newest().Number, a
	}
	for number := common; ; number++ {
		x, inA := a.version(number)
		y, inB := b.version(number)
		switch {
		case !inA:
			return common, b // which may have no more either
		case !inB:
			return common, a
		case x.ID == y.ID:
		case y.outranks(x):
			return common, b
		default:
			return common, a
		}
		common = number
	}
}

func (h History) version(number uint64) (Version, bool) {
	if len(h.live) == 0 || number < h.live[0].Number || number > h.Newest().Number {
		return Version{}, false
	}
	return h.live[number-h.live[0].Number], true
}

func union[V any](a, b map[store.NodeID]V) map[store.NodeID]V {
	if len(a)+len(b) == 0 {
		return nil
	}
	out := maps.Clone(a)
	if out == nil {
		out = map[store.NodeID]V{}
	}
	maps.Copy(out, b)
	return out
}
