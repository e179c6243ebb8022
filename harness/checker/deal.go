package checker

import (
	"hash/maphash"

	"cartwheel/harness"
)

// A deal is the order in which a shard takes lines: those of one key mostly follow each
// other, so that what is kept of it is still near the processor. Lines of a key keep their order.
type deal struct {
	bucket []uint16 // by line; 0: another shard's
	next   []int32  // by bucket: where its next line goes
	order  []int32
}

// bucketsMax bounds the buckets; there is one for so many lines.
const (
	bucketsMax  = 1 << 13
	bucketLines = 8
)

var shardSeed = maphash.MakeSeed() // who does the work, and in which order, decides nothing

// lines returns the positions of the lines of a shard, of so many, in its order.
func (d *deal) lines(h []harness.Op, shard, shards uint64) []int32 {
	buckets := uint64(min(len(h)/bucketLines+1, bucketsMax))
	d.bucket = append(d.bucket[:0], make([]uint16, len(h))...)
	d.next = append(d.next[:0], make([]int32, buckets+1)...)
	mine := 0
	for i := range h {
		hash := maphash.String(shardSeed, h[i].Key)
		if hash%shards != shard {
			continue
		}
		b := hash/shards%buckets + 1
		d.bucket[i] = uint16(b)
		d.next[b]++
		mine++
	}
	at := int32(0)
	for b := range d.next {
		at, d.next[b] = at+d.next[b], at
	}
	d.order = append(d.order[:0], make([]int32, mine)...)
	for i, b := range d.bucket {
		if b > 0 {
			d.order[d.next[b]] = int32(i)
			d.next[b]++
		}
	}
	return d.order
}
