package history

import (
	"maps"
	"slices"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// A History is what one node knows of the layouts of its cluster. The zero History knows
// none: that of a node that has not heard of a cluster yet.
type History struct {
	cluster uint64                    // id of the first version: clusters never mix
	live    []Version                 // by number, without gaps; the oldest is complete and settled
	ack     map[store.NodeID]uint64   // by node: the newest version acked
	syncAck map[store.NodeID]uint64   // by node: the newest version sync-acked
	removed map[store.NodeID]struct{} // former members, for ever: their ids never come back
	swept   uint64                    // the newest sweep that has settled; 0: none
}

// New returns the history of a cluster that begins with a layout.
func New(l *ring.Layout) History {
	first := newVersion(0, 1, Planned, l, nil)
	return History{cluster: first.ID, live: []Version{first}}
}

// Live returns the versions that writes go to, oldest first. The caller must not change the slice.
func (h History) Live() []Version { return h.live }

// Oldest returns the version that all data is complete in. It panics on the zero History.
func (h History) Oldest() Version { return h.live[0] }

// Newest returns the version that the cluster is on its way to. It panics on the zero History.
func (h History) Newest() Version { return h.live[len(h.live)-1] }

// Settled reports whether no change is pending.
func (h History) Settled() bool { return len(h.live) == 1 }

// Joined reports whether the node belongs to a cluster: whether there is a version at all.
func (h History) Joined() bool { return len(h.live) > 0 }

// Read returns the version whose owners answer reads: the newest that all have synced.
func (h History) Read() Version {
	for _, v := range slices.Backward(h.live[1:]) {
		if h.all(func(n store.NodeID) bool { return v.synced[n] }) {
			return v
		}
	}
	return h.live[0]
}

// Waits returns the nodes whose progress counts, sorted: the members of all live versions without those removed by force.
func (h History) Waits() []store.NodeID {
	nodes := map[store.NodeID]bool{}
	for _, v := range h.live {
		for _, m := range v.Layout.Members() {
			nodes[m.ID] = true
		}
	}
	for n := range nodes {
		if h.Fenced(n) {
			delete(nodes, n)
		}
	}
	return slices.Sorted(maps.Keys(nodes))
}

// Fenced reports whether a node was removed, by force or because it has left. Nothing that it
// sends may be believed, neither a request nor, to a write or a read, an answer: it may be acting on
// layouts of which the others know better, and nobody waits until it has the data of a newer one.
func (h History) Fenced(n store.NodeID) bool {
	if _, gone := h.removed[n]; gone {
		return true
	}
	return slices.ContainsFunc(h.live, func(v Version) bool { return slices.Contains(v.Forced, n) })
}

// Removed returns the former members, sorted.
func (h History) Removed() []store.NodeID { return slices.Sorted(maps.Keys(h.removed)) }

// Swept returns the number of the newest [Sweep] that has settled, 0 if there was none.
func (h History) Swept() uint64 { return h.swept }

// TookPart reports whether a node was a member in the newest sweep. What one holds that was not may have been
// deleted, and the tombstone collected since.
func (h History) TookPart(n store.NodeID) bool { return h.ack[n] >= h.swept }

// Outdated reports whether what self has on its disk is older than a sweep that others know, by h, which has to be what that disk
// says. A sweep settles when every member has noted it, on disk before anybody hears of it. So a member without the note
// has been given a disk of the past: what is on it may have been deleted, and the tombstone collected. swept is the newest sweep that
// others know to have settled.
func (h History) Outdated(self store.NodeID, swept uint64) bool {
	return swept > h.swept && h.ack[self] < swept && len(h.live) > 0 && slices.Contains(h.Waits(), self)
}

// SweptBy returns the number of the newest sweep that has settled or that a node is known to have noted. One that is pending
// does not count where known, what that node itself knows, has a version that it gives way to: its notes are void.
func (h History) SweptBy(n store.NodeID, known History) uint64 {
	swept := h.swept
	for _, v := range h.live[min(1, len(h.live)):] {
		if o, ok := known.version(v.Number); ok && o.ID != v.ID && o.outranks(v) {
			break // and so does what follows it
		}
		if v.Kind == Sweep && h.ack[n] >= v.Number {
			swept = max(swept, v.Number)
		}
	}
	return swept
}

// Coordinates reports whether the node may take requests of clients: only while the others wait for
// its notes. Who is not a member yet, or no more, would write past a change.
func (h History) Coordinates(self store.NodeID) bool {
	return len(h.live) > 0 && slices.Contains(h.Waits(), self)
}

// Serves reports whether a replica that knows h may serve a request of a coordinator whose newest version
// has that number and id. It refuses versions that h has dropped, or that have lost against another: their owners are no
// longer all written to. A version that h does not know of yet is newer, so the coordinator knows better.
func (h History) Serves(number, id uint64) bool {
	if len(h.live) == 0 || number > h.Newest().Number {
		return true
	}
	v, live := h.version(number)
	return live && v.ID == id
}

func (h History) all(done func(store.NodeID) bool) bool {
	return !slices.ContainsFunc(h.Waits(), func(n store.NodeID) bool { return !done(n) })
}

// acked reports whether every write that is begun from now on, anywhere, reaches the version's owners.
func (h History) acked(number uint64) bool {
	return h.all(func(n store.NodeID) bool { return h.ack[n] >= number })
}

// A Step is what a node may do for the change now. A version with the number 0: nothing.
type Step struct {
	Ack     Version // end all writes that were begun without this version, then call Acked
	Sync    Version // copy what the owners of Oldest hold of this version's partitions, then call Synced
	SyncAck Version // end all reads of versions before this, then call SyncAcked
}

// Next says what a node may do for the change now.
func (h History) Next(self store.NodeID) (s Step) {
	if h.Settled() || !slices.Contains(h.Waits(), self) {
		return Step{}
	}
	if newest := h.Newest(); h.ack[self] < newest.Number {
		s.Ack = newest
	}
	for _, v := range slices.Backward(h.live[1:]) {
		if h.acked(v.Number) {
			if !v.synced[self] {
				s.Sync = v
			}
			break // a newer version makes copying for an older one pointless
		}
	}
	if read := h.Read(); read.Number > h.live[0].Number && h.syncAck[self] < read.Number {
		s.SyncAck = read
	}
	return s
}

// Acked notes that every write of the node that was begun without v has ended. A version
// that was dropped or replaced since Next is passed over, here and below.
func (h History) Acked(self store.NodeID, v Version) History {
	if h.knows(v) {
		h.ack = raised(h.ack, self, v.Number)
	}
	return h.settle()
}

// Synced notes that the node has the data of its partitions of v.
func (h History) Synced(self store.NodeID, v Version) History {
	if h.knows(v) {
		i := v.Number - h.live[0].Number
		h.live = slices.Clone(h.live)
		h.live[i].synced = union(h.live[i].synced, map[store.NodeID]bool{self: true})
	}
	return h.settle()
}

// SyncAcked notes that every read of the node of a version before v has ended.
func (h History) SyncAcked(self store.NodeID, v Version) History {
	if h.knows(v) {
		h.syncAck = raised(h.syncAck, self, v.Number)
	}
	return h.settle()
}

func (h History) knows(v Version) bool {
	known, ok := h.version(v.Number)
	return ok && known.ID == v.ID
}

func raised(m map[store.NodeID]uint64, n store.NodeID, to uint64) map[store.NodeID]uint64 {
	if m[n] >= to {
		return m
	}
	m = maps.Clone(m)
	if m == nil {
		m = map[store.NodeID]uint64{}
	}
	m[n] = to
	return m
}

// settle drops the versions that nobody reads any more.
func (h History) settle() History {
	for i := len(h.live) - 1; i > 0; i-- {
		number := h.live[i].Number
		if h.all(func(n store.NodeID) bool { return h.syncAck[n] >= number }) {
			return h.drop(i)
		}
	}
	return h
}

// drop forgets the first versions. Members that the rest does not know, and those removed
// by force, are remembered as removed; a node that was to join and did not may try again.
func (h History) drop(count int) History {
	h.removed = maps.Clone(h.removed)
	if h.removed == nil {
		h.removed = map[store.NodeID]struct{}{}
	}
	for _, v := range h.live[:count+1] {
		for _, n := range v.Forced {
			h.removed[n] = struct{}{}
		}
		if v.Kind == Sweep {
			h.swept = max(h.swept, v.Number)
		}
	}
	for _, m := range h.live[0].Layout.Members() {
		if !slices.ContainsFunc(h.live[count:], func(v Version) bool { _, ok := v.Layout.Member(m.ID); return ok }) {
			h.removed[m.ID] = struct{}{}
		}
	}
	h.live = slices.Clone(h.live[count:])
	return h
}
