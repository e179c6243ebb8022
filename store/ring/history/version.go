package history

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// A Kind says why a version was made.
type Kind uint8

// Kinds of versions.
const (
	Planned Kind = iota // an operator's plan: nodes join, leave, change their zone or capacity
	Abort               // back to the owners of the oldest live version
	Forced              // nodes that will not come back are removed and no longer waited for
	Sweep               // the same owners: all that was on its way before has arrived, or is refused, once it has settled
)

// String returns "planned", "abort", "forced" or "sweep".
func (k Kind) String() string { return [...]string{"planned", "abort", "forced", "sweep"}[k] }

// A Version is one layout of the cluster.
type Version struct {
	Number uint64 // from 1, by one
	ID     uint64 // of this version and all before it; tells competing versions of one number apart
	Kind   Kind
	Layout *ring.Layout
	Forced []store.NodeID // sorted; nodes that are no longer waited for, nor listened to

	synced map[store.NodeID]bool // who has the data of this version
}

func newVersion(parent uint64, number uint64, kind Kind, l *ring.Layout, forced []store.NodeID) Version {
	v := Version{Number: number, Kind: kind, Layout: l, Forced: slices.Sorted(slices.Values(forced))}
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64(nil, parent)) // a hash never fails
	fmt.Fprintf(h, "%d %d %q", number, kind, v.Forced)
	for _, r := range l.Roles() {
		fmt.Fprintf(h, " %q %q %q %d", r.ID, r.Address, r.Zone, r.Capacity)
	}
	for p := range ring.Partition(l.Partitions()) {
		fmt.Fprintf(h, " %q", l.Owners(p))
	}
	v.ID = h.Sum64()
	return v
}

// outranks decides between competing versions: a sweep, which can be had again any time, gives way to what an operator wants.
func (v Version) outranks(o Version) bool {
	if (v.Kind == Sweep) != (o.Kind == Sweep) {
		return o.Kind == Sweep
	}
	return v.ID > o.ID
}

// String names the version, its members and those removed by force.
func (v Version) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %016x of", v.Number, v.Kind, v.ID)
	for _, m := range v.Layout.Members() {
		fmt.Fprintf(&b, " %s", m.ID)
	}
	for _, n := range v.Forced {
		fmt.Fprintf(&b, " -%s", n)
	}
	return b.String()
}
