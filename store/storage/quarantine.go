package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

// A quarantine is the records of this node that were found damaged and are not restored yet.
//
// What such a record held is not known, so the node does not answer for it: reads fail with
// store.ErrCorrupt. Writes go on, in a record that begins anew and claims nothing of the old one.
// It is whole again when the states of all other owners were joined into it: every write that
// reached a quorum with this node among it is then in it. Until then its leaf in the hash
// tree is one that no other node has, which is how comparisons come to it. If nothing was written since and its
// bytes can be read after all, nothing was wrong with what is on the disk, and it is whole at once.
type quarantine struct {
	mu   sync.Mutex      // guards keys, never a wait
	keys map[string]bool // whether the record has begun anew
}

func (q *quarantine) has(p ring.Partition, key store.Key) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, in := q.keys[string(cursorOf(p, key))]
	return in
}

// untouched reports whether a record is in quarantine and still has the bytes that were found damaged.
func (q *quarantine) untouched(p ring.Partition, key store.Key) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	anew, in := q.keys[string(cursorOf(p, key))]
	return in && !anew
}

func (q *quarantine) add(p ring.Partition, key store.Key, anew bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.keys == nil {
		q.keys = map[string]bool{}
	}
	q.keys[string(cursorOf(p, key))] = anew
}

func (q *quarantine) remove(p ring.Partition, key store.Key) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.keys, string(cursorOf(p, key)))
}

func (q *quarantine) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.keys)
}

// loadQuarantine reads at boot what earlier lives left.
func (r *Replica) loadQuarantine() error {
	var bad error
	err := r.data.Scan(quarantinePrefix, prefixEnd(quarantinePrefix), func(at, b []byte) bool {
		var p ring.Partition
		var key store.Key
		if p, key, bad = parseCursor(at[len(quarantinePrefix):]); bad != nil {
			return false
		}
		r.quarantine.add(p, key, decodeNote(b).anew)
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return fmt.Errorf("load quarantine: %w", err)
	}
	return nil
}

// setAside puts a damaged record in quarantine. Its bytes are kept beside it for whoever wants
// to look. The caller has locked the key.
func (r *Replica) setAside(p ring.Partition, key store.Key, damage error) error {
	if r.quarantine.has(p, key) {
		return nil
	}
	evidence, _, err := r.data.Get(dataKey(p, key))
	if err != nil {
		evidence = nil // the engine cannot read them either
	}
	var b Batch
	b.Set(quarantineKey(p, key), note{evidence: evidence}.encode())
	if err := r.writeWithLeaves(&b, p, []newLeaf{{key: key, sum: r.damagedSum(p, key), turns: true}}); err != nil {
		return fmt.Errorf("set aside a damaged record: %w", err)
	}
	r.quarantine.add(p, key, false)
	r.log.Error("set aside a damaged record, other owners restore it", "key", string(key), "partition", p, "err", damage)
	return nil
}

// readmit ends the quarantine of a record that nothing was written to, and that was read without damage. The
// caller has locked the key.
func (r *Replica) readmit(p ring.Partition, key store.Key, rec record) error {
	var b Batch
	b.Delete(quarantineKey(p, key))
	if err := r.writeWithLeaves(&b, p, []newLeaf{{key: key, sum: sumOf(key, rec), turns: true}}); err != nil {
		return fmt.Errorf("take back a record that was set aside: %w", err)
	}
	r.quarantine.remove(p, key)
	r.restored.Add(1)
	r.log.Info("took back a record that was set aside: its bytes are right after all", "key", string(key), "partition", p)
	return nil
}

// beginAnew adds to a batch that writes a record in quarantine that its damaged bytes are gone with it. begun is for
// when the batch is on disk. The caller has locked the key.
func (r *Replica) beginAnew(b *Batch, p ring.Partition, key store.Key) (begun func(), err error) {
	if !r.quarantine.untouched(p, key) {
		return func() {}, nil
	}
	stored, _, err := r.data.Get(quarantineKey(p, key))
	if err != nil {
		return nil, err
	}
	n := decodeNote(stored)
	n.anew = true
	b.Set(quarantineKey(p, key), n.encode())
	return func() { r.quarantine.add(p, key, true) }, nil
}

// errDamaged is what readers of a record in quarantine get.
func errDamaged() error {
	return fmt.Errorf("record was damaged and is not restored yet: %w", store.ErrCorrupt)
}

// Restore notes that all that another owner holds of a key was merged into the record here, and
// returns the record. One in quarantine leaves it when that is so of all of owners. If none
// of them had anything, there was one copy, and it is damaged: it stays in quarantine.
func (r *Replica) Restore(ctx context.Context, p ring.Partition, key store.Key, from store.NodeID, owners []store.NodeID) (version.Set, error) {
	leave, err := r.enter(ctx, p, key, from)
	if err != nil {
		return version.Set{}, fmt.Errorf("restore %q: %w", key, err)
	}
	defer leave()
	c, err := r.loadOwn(p, key)
	if err != nil {
		return version.Set{}, fmt.Errorf("restore %q: %w", key, err)
	}
	if !c.damaged {
		return c.own.set, nil
	}
	at := quarantineKey(p, key)
	stored, _, err := r.data.Get(at)
	if err != nil {
		return version.Set{}, fmt.Errorf("restore %q: %w", key, err)
	}
	n := decodeNote(stored)
	if !slices.Contains(n.joined, from) {
		n.joined = append(n.joined, from)
	}
	whole := !c.own.set.IsZero()
	for _, o := range owners {
		whole = whole && slices.Contains(n.joined, o)
	}
	var b Batch
	if whole {
		b.Delete(at)
	} else {
		b.Set(at, n.encode())
	}
	if err := r.writeWithLeaves(&b, p, []newLeaf{{key: key, sum: sumOf(key, c.own), turns: whole}}); err != nil {
		return version.Set{}, fmt.Errorf("restore %q: %w", key, err)
	}
	if whole {
		r.quarantine.remove(p, key)
		r.restored.Add(1)
		r.log.Info("restored a damaged record", "key", string(key), "partition", p, "owners", len(n.joined))
	}
	return c.own.set, nil
}

// damagedSum is the leaf of a record in quarantine, which no other node has.
func (r *Replica) damagedSum(p ring.Partition, key store.Key) merkle.Sum {
	of := record{set: version.Set{Vector: version.Vector{{Actor: version.Actor{Node: r.ids.node, Epoch: uint64(p)}}}}}
	return sumOf("damaged "+key, of)
}

// A note is what is stored of a record in quarantine.
type note struct {
	anew     bool           // the record was written since: its bytes are not those that were damaged
	joined   []store.NodeID // owners whose states were joined since
	evidence []byte         // the damaged bytes
}

// encode ends with a checksum: a name that is wrong by one bit may be another owner's.
func (n note) encode() []byte {
	b := []byte{0}
	if n.anew {
		b[0] = 1
	}
	b = binary.AppendUvarint(b, uint64(len(n.joined)))
	for _, id := range n.joined {
		b = append(binary.AppendUvarint(b, uint64(len(id))), id...)
	}
	b = append(b, n.evidence...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeNote reads a note. One that cannot be read counts as one of nobody: then all owners
// are asked again.
func decodeNote(b []byte) (n note) {
	nobody := note{anew: true}
	if len(b) < 5 || b[0] > 1 || crc32.Checksum(b[:len(b)-4], castagnoli) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return nobody
	}
	n.anew, b = b[0] == 1, b[1:len(b)-4]
	next := func() uint64 {
		v, size := binary.Uvarint(b)
		if size <= 0 {
			b = nil
			return 0
		}
		b = b[size:]
		return v
	}
	for range min(next(), ring.MembersMax) {
		size := next()
		if size == 0 || size > uint64(len(b)) {
			return nobody
		}
		n.joined = append(n.joined, store.NodeID(b[:size]))
		b = b[size:]
	}
	n.evidence = slices.Clone(b)
	return n
}
