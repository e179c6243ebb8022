package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"

	"cartwheel/store"
	"cartwheel/store/version"
)

const (
	identityFormat = 1
	// leaseNumbers is how many counter values one write to disk allows to be issued. A
	// crash wastes at most so many of 2^64.
	leaseNumbers = 10_000
	// counterMax bounds the counters that are believed, so that a forged one cannot
	// bring the node's counter to its end.
	counterMax = 1 << 62
)

// Identity says who the node is in version vectors.
type Identity struct {
	Node        uint64 // random, drawn when the disk was first used
	Incarnation uint64 // raised whenever events may have been forgotten; from 1
}

// A lease is the identity and the counter. Numbers from next to end-1 may be issued;
// end is on disk before any of them is.
type lease struct {
	Identity
	next, end uint64
}

// An issuer owns the lease. The channel holds it while nobody uses it, so that a
// user can wait for the disk without a mutex.
type issuer struct {
	node  uint64 // of the lease; it never changes
	slot  chan lease
	write func(*Batch) error
	keep  func(lease) error // before the lease is written
}

// openIdentity reads the identity, or draws one, and makes the disk ready for a life:
// unless the last one is known to have ended cleanly the incarnation is raised, and the
// mark of a clean end goes, in one write, before anything is served. Where the engine's lease is
// older than the one that was kept beside it, or is gone, the engine has lost what it had written.
func openIdentity(kv KV, o Options, write func(*Batch) error, keep func(lease) error) (*issuer, error) {
	l, found, err := readIdentity(kv)
	if err != nil {
		return nil, err
	}
	_, clean, err := kv.Get(cleanKey)
	if err != nil {
		return nil, fmt.Errorf("read the shutdown mark: %w", err)
	}
	_, restored, err := kv.Get(restoredKey)
	if err != nil {
		return nil, fmt.Errorf("read the mark of a restore: %w", err)
	}
	kept, remembered, err := keptIdentity(o.FS, o.Dir)
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		return nil, err
	}
	lost := err != nil // what it said is not known: no better than an unclean end
	if restored {      // what was issued after the backup is not known here: go on as another node
		l.Node = drawNode(o)
	}
	if remembered && !restored && (!found || l.behind(kept)) {
		if found && l.Node != kept.Node { // two that do not belong together
			kept.Node = drawNode(o)
		}
		l, found, lost = kept, true, true
	}
	if !found {
		l = lease{Identity: Identity{Node: drawNode(o)}, end: 1} // epochs and counters are never 0
	}
	clean = clean && !lost
	if !found || !clean {
		l.Incarnation++
	}
	l.next = l.end // what is left of the old lease may have been issued
	var b Batch
	b.Delete(cleanKey)
	if restored {
		b.Delete(restoredKey)
	}
	b.Set(identityKey, l.encode())
	if err := errors.Join(keep(l), write(&b)); err != nil {
		return nil, fmt.Errorf("begin incarnation %d: %w", l.Incarnation, err)
	}
	s := &issuer{node: l.Node, slot: make(chan lease, 1), write: write, keep: keep}
	s.slot <- l
	return s, nil
}

func drawNode(o Options) uint64 {
	h := fnv.New64a()
	h.Write([]byte("storage: node number of " + string(o.Self)))
	for attempt := uint64(0); ; attempt++ { // zero, which is never drawn twice, would look like no node
		if n := o.Rand(h.Sum64(), attempt); n != 0 {
			return n
		}
	}
}

func readIdentity(kv KV) (l lease, found bool, err error) {
	b, ok, err := kv.Get(identityKey)
	if err != nil || !ok {
		return lease{}, false, err
	}
	l, err = decodeLease(b)
	return l, err == nil, err
}

func decodeLease(b []byte) (lease, error) {
	if len(b) != 1+3*8+4 || b[0] != identityFormat ||
		crc32.Checksum(b[:len(b)-4], castagnoli) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return lease{}, fmt.Errorf("identity %x: %w", b, store.ErrCorrupt)
	}
	return lease{
		Identity: Identity{Node: binary.BigEndian.Uint64(b[1:]), Incarnation: binary.BigEndian.Uint64(b[9:])},
		end:      binary.BigEndian.Uint64(b[17:]),
	}, nil
}

func (l lease) encode() []byte {
	b := []byte{identityFormat}
	b = binary.BigEndian.AppendUint64(b, l.Node)
	b = binary.BigEndian.AppendUint64(b, l.Incarnation)
	b = binary.BigEndian.AppendUint64(b, l.end)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// take waits for the lease; it must be given back.
func (s *issuer) take(ctx context.Context) (lease, error) {
	select {
	case l := <-s.slot:
		return l, nil
	default:
	}
	select {
	case l := <-s.slot:
		return l, nil
	case <-ctx.Done():
		return lease{}, ctx.Err()
	}
}

// issue returns a number that was never issued before, and the life that issues it.
func (s *issuer) issue(ctx context.Context) (Identity, uint64, error) {
	l, err := s.take(ctx)
	if err != nil {
		return Identity{}, 0, err
	}
	defer func() { s.slot <- l }()
	if l.next >= l.end {
		longer := l
		longer.end = l.next + leaseNumbers
		if err := s.store(longer); err != nil {
			return Identity{}, 0, fmt.Errorf("lease counters to %d: %w", longer.end, err)
		}
		l = longer
	}
	l.next++
	return l.Identity, l.next - 1, nil
}

// identity returns who the node is now.
func (s *issuer) identity() Identity {
	l := <-s.slot
	s.slot <- l
	return l.Identity
}

// witness looks for events of this very node in a vector that came from elsewhere and is
// about to be joined into rec. Amnesia, a disk that was rolled back behind the node's own
// past, is proven by an event that was never issued, or by one that rec should hold by
// its tenure and does not. The lease then jumps past the event and the incarnation is raised,
// which voids every tenure, before the vector is used. It reports whether that was so.
func (s *issuer) witness(ctx context.Context, rec record, v version.Vector) (amnesia bool, err error) {
	var highest uint64
	for _, d := range v {
		if d.Node == s.node {
			highest = max(highest, d.Counter, d.Epoch)
		}
	}
	if highest == 0 {
		return false, nil
	}
	if highest > counterMax {
		return false, fmt.Errorf("event %d of this node is beyond belief: %w", highest, store.ErrInvalid)
	}
	l, err := s.take(ctx)
	if err != nil {
		return false, err
	}
	defer func() { s.slot <- l }()
	actor := version.Actor{Node: rec.tenure.node, Epoch: rec.tenure.epoch}
	forgotten := rec.tenure.valid(l.Identity) && v.At(actor) > rec.set.Vector.At(actor)
	if highest < l.next && !forgotten {
		return false, nil
	}
	later := l
	later.Incarnation++
	later.next = max(l.end, highest+1)
	later.end = later.next + leaseNumbers
	if err := s.store(later); err != nil {
		return true, fmt.Errorf("begin incarnation %d after amnesia: %w", later.Incarnation, err)
	}
	l = later
	return true, nil
}

func (s *issuer) store(l lease) error {
	var b Batch
	b.Set(identityKey, l.encode())
	if err := s.keep(l); err != nil {
		return err
	}
	return s.write(&b)
}
