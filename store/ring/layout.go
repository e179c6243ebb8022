package ring

import (
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"

	"cartwheel/store"
)

// Bounds and defaults of a layout.
const (
	DefaultPartitions = 256
	PartitionsMax     = 1024
	DefaultReplicas   = 3
)

// A Partition is one of the Q equal arcs of the ring, 0 to Q-1.
type Partition uint32

// A Layout maps partitions to nodes.
type Layout struct {
	roles      []Role         // sorted by id
	members    []store.Member // of the roles
	replicas   int
	preference [][]store.NodeID // by partition: owners, then fallbacks; every member once
	digest     uint64           // of all of it; every ping carries it
}

// Options of a layout.
type Options struct {
	Members    []store.Member // at least Replicas, ids and addresses unique
	Partitions int            // Q, a power of two up to PartitionsMax; default DefaultPartitions
	Replicas   int            // N, owners of each partition; default DefaultReplicas
}

// New computes the layout of a member list. It reports all that is wrong with the options at once.
func New(o Options) (*Layout, error) {
	o.Partitions = cmp.Or(o.Partitions, DefaultPartitions)
	o.Replicas = cmp.Or(o.Replicas, DefaultReplicas)
	if err := o.validate(); err != nil {
		return nil, err
	}
	l := &Layout{roles: Plain(o.Members), replicas: o.Replicas}
	sortRoles(l.roles)
	l.members = membersOf(l.roles)
	l.assign(o.Partitions)
	l.digest = l.sum()
	return l, nil
}

func (o Options) validate() error {
	var errs []error
	if q := o.Partitions; q < 1 || q > PartitionsMax || q&(q-1) != 0 {
		errs = append(errs, fmt.Errorf("%d partitions: want a power of two from 1 to %d", q, PartitionsMax))
	}
	errs = append(errs, checkMembers(o.Members, o.Replicas))
	return errors.Join(errs...)
}

// assign gives each partition in turn the nodes that hold fewest replicas so far,
// and makes the one that leads fewest its first owner. Ties go by the partition's
// own order of nodes, so that a node's partitions are shared with all others.
func (l *Layout) assign(partitions int) {
	held, led := map[store.NodeID]int{}, map[store.NodeID]int{}
	for p := range Partition(partitions) {
		list := l.rendezvous(p)
		rank := map[store.NodeID]int{}
		for i, n := range list {
			rank[n] = i
		}
		slices.SortStableFunc(list, func(a, b store.NodeID) int { return cmp.Compare(held[a], held[b]) })
		owners, fallbacks := list[:l.replicas], list[l.replicas:]
		slices.SortStableFunc(owners, func(a, b store.NodeID) int { return cmp.Compare(led[a], led[b]) })
		slices.SortFunc(fallbacks, func(a, b store.NodeID) int { return cmp.Compare(rank[a], rank[b]) })
		for _, n := range owners {
			held[n]++
		}
		led[owners[0]]++
		l.preference = append(l.preference, list)
	}
}

// rendezvous returns all nodes in an order of the partition's own (highest random weight).
func (l *Layout) rendezvous(p Partition) []store.NodeID {
	weight := func(n store.NodeID) uint64 {
		h := fnv.New64a()
		h.Write(binary.BigEndian.AppendUint32([]byte(n), uint32(p))) // never fails
		return mix(h.Sum64())
	}
	list := make([]store.NodeID, len(l.members))
	for i, m := range l.members {
		list[i] = m.ID
	}
	slices.SortFunc(list, func(a, b store.NodeID) int {
		return cmp.Or(cmp.Compare(weight(b), weight(a)), cmp.Compare(a, b))
	})
	return list
}

// mix spreads the low bits of a sum over all of it (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Partitions returns Q.
func (l *Layout) Partitions() int { return len(l.preference) }

// Replicas returns N.
func (l *Layout) Replicas() int { return l.replicas }

// Roles returns what the layout was made for, sorted by id. The caller must not change the slice.
func (l *Layout) Roles() []Role { return l.roles }

// Members returns the nodes sorted by id. The caller must not change the slice.
func (l *Layout) Members() []store.Member { return l.members }

// Member returns the member of that id.
func (l *Layout) Member(id store.NodeID) (store.Member, bool) {
	i, ok := slices.BinarySearchFunc(l.members, id, func(m store.Member, id store.NodeID) int { return cmp.Compare(m.ID, id) })
	if !ok {
		return store.Member{}, false
	}
	return l.members[i], true
}

// Partition returns the partition of a key.
func (l *Layout) Partition(key store.Key) Partition { return PartitionOf(key, len(l.preference)) }

// PartitionOf returns the partition of a key in a ring of so many: the top bits of its MD5 sum
// (paper, section 4.1).
func PartitionOf(key store.Key, partitions int) Partition {
	sum := md5.Sum([]byte(key))
	return Partition(uint64(binary.BigEndian.Uint32(sum[:4])) * uint64(partitions) >> 32)
}

// PreferenceList returns all nodes in the order in which they should serve the
// partition: its Replicas owners, then the fallbacks. The caller must not change it.
func (l *Layout) PreferenceList(p Partition) []store.NodeID { return l.preference[p] }

// Owners returns the first N of the preference list. The caller must not change it.
func (l *Layout) Owners(p Partition) []store.NodeID { return l.preference[p][:l.replicas] }

// Owns reports whether the node is an owner of the partition.
func (l *Layout) Owns(n store.NodeID, p Partition) bool { return slices.Contains(l.Owners(p), n) }

// Digest identifies the layout: nodes with equal digests place every key alike.
func (l *Layout) Digest() uint64 { return l.digest }

func (l *Layout) sum() uint64 {
	h := fnv.New64a()
	for p, list := range l.preference {
		fmt.Fprintln(h, p, l.replicas, list)
	}
	return h.Sum64()
}
