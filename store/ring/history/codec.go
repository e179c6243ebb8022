package history

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// format opens every encoded history. Another number means other fields.
const format = 2

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns the canonical bytes of the history: equal histories, and no others, have equal bytes. A
// CRC32C ends them. They name every owner of every live version, about 1 KiB for each version of 256 partitions.
func (h History) Encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{format}, h.cluster)
	b = binary.AppendUvarint(b, uint64(len(h.live)))
	for i, v := range h.live {
		if i == 0 { // from which the numbers and ids of the others follow
			b = binary.AppendUvarint(b, v.Number)
			b = binary.BigEndian.AppendUint64(b, v.ID)
		}
		b = v.encode(b)
	}
	for _, notes := range []map[store.NodeID]uint64{h.ack, h.syncAck} {
		b = binary.AppendUvarint(b, uint64(len(notes)))
		for _, n := range slices.Sorted(maps.Keys(notes)) {
			b = binary.AppendUvarint(appendName(b, n), notes[n])
		}
	}
	b = binary.AppendUvarint(appendNames(b, h.Removed()), h.swept)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func (v Version) encode(b []byte) []byte {
	b = encodeLayout(append(b, byte(v.Kind)), v.Layout)
	return appendNames(appendNames(b, v.Forced), slices.Sorted(maps.Keys(v.synced)))
}

func encodeLayout(b []byte, l *ring.Layout) []byte {
	b = binary.AppendUvarint(b, uint64(len(l.Roles())))
	index := map[store.NodeID]uint64{}
	for i, r := range l.Roles() {
		index[r.ID] = uint64(i)
		b = appendName(appendName(appendName(b, r.ID), r.Address), r.Zone)
		b = binary.AppendUvarint(b, uint64(r.Capacity))
	}
	b = binary.AppendUvarint(b, uint64(l.Partitions()))
	b = binary.AppendUvarint(b, uint64(l.Replicas()))
	for p := range ring.Partition(l.Partitions()) {
		for _, n := range l.Owners(p) {
			b = binary.AppendUvarint(b, index[n])
		}
	}
	return b
}

func appendName[S ~string](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendNames(b []byte, names []store.NodeID) []byte {
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, n := range names {
		b = appendName(b, n)
	}
	return b
}

// Decode reads what Encode wrote. Anything else gives an error that wraps store.ErrCorrupt, whoever made it up; what it
// allocates is bounded by the size of b and by the limits of package ring.
func Decode(b []byte) (History, error) { return DecodeNear(b, History{}) }

// DecodeNear is Decode of a history that is much like near, as those of gossip are: a layout that near has is not built
// again, which is most of the work.
func DecodeNear(b []byte, near History) (History, error) {
	if len(b) < 5 || crc32.Checksum(b[:len(b)-4], castagnoli) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return History{}, fmt.Errorf("history of %d bytes: wrong checksum: %w", len(b), store.ErrCorrupt)
	}
	if b[0] != format {
		return History{}, fmt.Errorf("history of format %d, this node knows %d: %w", b[0], format, store.ErrCorrupt)
	}
	d := &decoder{left: b[1 : len(b)-4], near: near.live}
	h := d.history()
	if d.err == nil && !bytes.Equal(h.Encode(), b) {
		d.fail("not in canonical form")
	}
	if d.err != nil {
		return History{}, fmt.Errorf("history: %w", d.err)
	}
	return h, nil
}

// A decoder reads fields until one is wrong; from then on all are zero.
type decoder struct {
	left []byte
	err  error
	near []Version // whose layouts need not be built again
}

func (d *decoder) fail(format string, args ...any) {
	d.err = cmp.Or(d.err, fmt.Errorf(format+": %w", append(args, store.ErrCorrupt)...))
	d.left = nil
}

func (d *decoder) take(count uint64) []byte {
	if count > uint64(len(d.left)) {
		d.fail("%d bytes are missing", count-uint64(len(d.left)))
		return nil
	}
	out := d.left[:count]
	d.left = d.left[count:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) fixed() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) number() uint64 {
	x, n := binary.Uvarint(d.left)
	if n <= 0 {
		d.fail("a number is missing")
		return 0
	}
	d.left = d.left[n:]
	return x
}

// count reads how many fields follow. Each takes a byte at least, which bounds what they can make us allocate.
func (d *decoder) count(most uint64) int {
	n := d.number()
	if n > most || n > uint64(len(d.left)) {
		d.fail("%d fields in %d bytes", n, len(d.left))
		return 0
	}
	return int(n)
}

func (d *decoder) name() string { return string(d.take(d.number())) }

func (d *decoder) names() []store.NodeID {
	var out []store.NodeID
	for range d.count(1 << 32) {
		out = append(out, store.NodeID(d.name()))
	}
	return out
}

func (d *decoder) notes() map[store.NodeID]uint64 {
	out := map[store.NodeID]uint64{}
	for range d.count(1 << 32) {
		n := store.NodeID(d.name())
		out[n] = d.number()
	}
	return out
}

func (d *decoder) history() (h History) {
	h.cluster = d.fixed()
	live := d.count(LiveMax)
	for i := range live {
		number, id := uint64(0), uint64(0)
		if i == 0 {
			number, id = d.number(), d.fixed()
		} else {
			number, id = h.Newest().Number+1, h.Newest().ID
		}
		v := d.version(number, id)
		if d.err != nil {
			return h
		}
		if i == 0 {
			v.ID = id // made of a version that is no longer known
		}
		h.live = append(h.live, v)
	}
	h.ack, h.syncAck = d.notes(), d.notes()
	h.removed = map[store.NodeID]struct{}{}
	for _, n := range d.names() {
		h.removed[n] = struct{}{}
	}
	h.swept = d.number()
	if len(d.left) > 0 {
		d.fail("%d bytes too many", len(d.left))
	}
	return h
}

// version reads a version of that number behind one with the id parent.
func (d *decoder) version(number, parent uint64) Version {
	kind := Kind(d.byte())
	if kind > Sweep || number == 0 || number > 1<<62 {
		d.fail("version %d of kind %d", number, kind)
	}
	l := d.layout()
	forced, synced := d.names(), d.names()
	if d.err != nil {
		return Version{}
	}
	v := d.made(parent, number, kind, l, forced)
	v.synced = nil
	for _, n := range synced {
		v.synced = union(v.synced, map[store.NodeID]bool{n: true})
	}
	return v
}

// made is newVersion, whose result may be known: the same number, behind the same version, with the same contents.
func (d *decoder) made(parent, number uint64, kind Kind, l *ring.Layout, forced []store.NodeID) Version {
	for i, v := range d.near {
		if i > 0 && d.near[i-1].ID == parent && v.Number == number && v.Kind == kind && v.Layout == l && slices.Equal(v.Forced, forced) {
			return v
		}
	}
	return newVersion(parent, number, kind, l, forced)
}

// layout reads a layout.
func (d *decoder) layout() *ring.Layout {
	for _, v := range d.near {
		if b := encodeLayout(nil, v.Layout); bytes.HasPrefix(d.left, b) { // no encoding is the beginning of another
			d.take(uint64(len(b)))
			return v.Layout
		}
	}
	roles := make([]ring.Role, d.count(ring.MembersMax))
	for i := range roles {
		roles[i] = ring.Role{Member: store.Member{ID: store.NodeID(d.name()), Address: d.name()}, Zone: d.name(), Capacity: d.capacity()}
	}
	owners := make([][]store.NodeID, d.count(ring.PartitionsMax))
	replicas := d.number()
	for p := range owners {
		for range min(replicas, uint64(len(roles))) {
			i := d.number()
			if i >= uint64(len(roles)) {
				d.fail("partition %d: owner %d of %d members", p, i, len(roles))
				return nil
			}
			owners[p] = append(owners[p], roles[i].ID)
		}
	}
	if d.err != nil {
		return nil
	}
	l, err := ring.Restore(roles, owners)
	if err != nil {
		d.fail("layout: %v", err)
	}
	return l
}

func (d *decoder) capacity() int {
	c := d.number()
	if c < 1 || c > ring.CapacityMax {
		d.fail("capacity %d", c)
	}
	return int(c)
}
