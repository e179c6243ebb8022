package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"cartwheel/store"
	"cartwheel/store/version"
)

// Formats that open a record. Another number means another layout. A record that was never pruned is of the first.
const (
	recordFormat       = 1
	recordFormatPruned = 2 // the pruned entries, and how many bytes they take, stand before the set
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A tenure is the right of a node to go on issuing dots of one actor for one record.
//
// An entry of a vector, {actor: n}, claims knowledge of *all* events of the actor for
// the key up to n: a copy that has the entry and lacks a version says that the version
// was superseded, and Merge then drops it elsewhere. So a node may only extend an actor
// whose every earlier event it holds, in the record that it extends. It cannot know that
// once the record was dropped (a delivered hint), was merged into being from
// elsewhere, or may have lost its tail in a crash. Therefore the epoch is stored with the
// one record it belongs to: it is never taken from another record of the key nor from
// the wire, it dies with the record, and it is void when the node or its incarnation
// is no longer the one that began it. Without a valid tenure the next event opens a new
// actor, which costs one vector entry; an actor continued wrongly costs acknowledged writes.
type tenure struct {
	node        uint64
	incarnation uint64
	epoch       uint64 // 0: none, the record was made by Merge
}

// valid reports whether the node may go on under t in this life.
func (t tenure) valid(life Identity) bool {
	return t.epoch != 0 && t.node == life.Node && t.incarnation == life.Incarnation
}

// A record is what is stored under one key of a database.
type record struct {
	tenure tenure
	set    version.Set
	// pruned are entries that the set's vector had until all owners pruned them, and that a session's floor may name (see
	// [Replica.Recall]). They are this node's own affair: in no hash, in no message but to whoever asks for them.
	pruned version.Vector
}

// brings returns the entries of a client's context that would bring back what was pruned here.
func (r record) brings(past version.Vector) (out version.Vector) {
	for _, d := range past {
		if r.pruned.Covers(d) && r.set.Vector.At(d.Actor) == 0 {
			out = append(out, d)
		}
	}
	return out
}

// merge joins a state from elsewhere into the set. What was pruned still keeps old versions down, as those of an archive. Their
// entries come back with them, so that other copies learn of it.
func (r record) merge(s version.Set) version.Set {
	return version.Set{Vector: r.set.Vector.Join(s.Vector), Versions: version.Merge(r.whole(), s).Versions}
}

// whole returns the set as it would be had nothing been pruned.
func (r record) whole() version.Set {
	return version.Set{Vector: r.set.Vector.Join(r.pruned), Versions: r.set.Versions}
}

const recordHeadSizeBytes = 1 + 3*8

// encode returns the bytes of a record that will be stored under dbKey. The checksum covers
// the key too, so that a record that turns up under another key is found damaged.
func (r record) encode(dbKey []byte) []byte {
	b := []byte{recordFormat}
	b = binary.BigEndian.AppendUint64(b, r.tenure.node)
	b = binary.BigEndian.AppendUint64(b, r.tenure.incarnation)
	b = binary.BigEndian.AppendUint64(b, r.tenure.epoch)
	if len(r.pruned) > 0 {
		b[0] = recordFormatPruned
		pruned := EncodeEntries(r.pruned)
		b = binary.AppendUvarint(b, uint64(len(pruned)))
		b = append(b, pruned...)
	}
	b = append(b, r.set.Encode()...)
	return binary.BigEndian.AppendUint32(b, recordSum(dbKey, b))
}

// decodeRecord reads what encode wrote. Anything else gives an error that wraps store.ErrCorrupt.
func decodeRecord(dbKey, b []byte) (rec record, err error) {
	if len(b) < recordHeadSizeBytes+4 {
		return record{}, fmt.Errorf("record of %d bytes: %w", len(b), store.ErrCorrupt)
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if got := recordSum(dbKey, body); got != sum {
		return record{}, fmt.Errorf("record with checksum %08x, want %08x: %w", got, sum, store.ErrCorrupt)
	}
	rest := body[recordHeadSizeBytes:]
	var pruned version.Vector
	switch body[0] {
	case recordFormat:
	case recordFormatPruned:
		size, n := binary.Uvarint(rest)
		if n <= 0 || n != len(binary.AppendUvarint(nil, size)) || size > uint64(len(rest)-n) {
			return record{}, fmt.Errorf("record without its pruned entries: %w", store.ErrCorrupt)
		}
		if pruned, err = DecodeEntries(rest[n : n+int(size)]); err != nil || len(pruned) == 0 {
			return record{}, fmt.Errorf("record: pruned entries: %w", errors.Join(err, store.ErrCorrupt))
		}
		rest = rest[n+int(size):]
	default:
		return record{}, fmt.Errorf("record of format %d, want %d or %d: %w", body[0], recordFormat, recordFormatPruned, store.ErrCorrupt)
	}
	set, err := version.DecodeSet(rest)
	if err != nil {
		return record{}, fmt.Errorf("record: %w", err)
	}
	if set.IsZero() {
		return record{}, fmt.Errorf("record without an event: %w", store.ErrCorrupt)
	}
	return record{
		tenure: tenure{
			node:        binary.BigEndian.Uint64(body[1:]),
			incarnation: binary.BigEndian.Uint64(body[9:]),
			epoch:       binary.BigEndian.Uint64(body[17:]),
		},
		set:    set,
		pruned: pruned,
	}, nil
}

// EncodeEntries returns the canonical bytes of entries of a vector, none for none.
func EncodeEntries(v version.Vector) []byte {
	if len(v) == 0 {
		return nil
	}
	return version.Set{Vector: v}.Encode()
}

// DecodeEntries reads what EncodeEntries wrote. Anything else gives an error that wraps store.ErrCorrupt.
func DecodeEntries(b []byte) (version.Vector, error) {
	s, err := version.DecodeSet(b)
	if err == nil && len(s.Versions) > 0 {
		err = fmt.Errorf("entries of a vector with %d versions: %w", len(s.Versions), store.ErrCorrupt)
	}
	if err != nil {
		return nil, err
	}
	return s.Vector, nil
}

func recordSum(dbKey, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(dbKey, castagnoli), castagnoli, body)
}

// next returns the tenure and dot of the record's next event, given the number drawn
// for it and the life in which it was drawn.
func (r record) next(life Identity, counter uint64) (tenure, version.Dot) {
	t := r.tenure
	if !t.valid(life) {
		t = tenure{node: life.Node, incarnation: life.Incarnation, epoch: counter}
	}
	return t, version.Dot{Actor: version.Actor{Node: t.node, Epoch: t.epoch}, Counter: counter}
}
