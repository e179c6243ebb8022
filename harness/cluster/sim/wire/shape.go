package wire

import (
	"cmp"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
)

// A shaping is what one fault does to links.
type shaping struct {
	fault string
	name  uint64 // of the fault
	shape harness.Shape
	hit   map[harness.Link]uint64 // packets changed or held up
	lines map[harness.Link]line   // of links with a rate
}

// A line has little bandwidth. Packets of one instant all wait for those before it and not
// for each other, since it would be up to the scheduler who of them is first; those after
// it wait for all of them.
type line struct {
	at   time.Duration // the last instant at which it was given packets
	free time.Duration // when it had sent what it was given before
	due  time.Duration // that the packets of the instant take
}

// take is what becomes of a packet that takes so long: how late it is, and the line after it.
// One that would have to wait too long is lost.
func (q line) take(now, takes time.Duration) (after line, late time.Duration, lost bool) {
	if now > q.at {
		q = line{at: now, free: max(now, q.free+q.due)}
	}
	if q.free-now > queueMax {
		return q, 0, true
	}
	late = q.free - now + takes
	q.due += takes
	return q, late, false
}

// Shape disturbs the links from now on, instead of what the same fault did before.
// Shapings of different faults add up, see [harness.Shape.With].
func (n *Net) Shape(fault string, s harness.Shape, links []harness.Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unshape(fault)
	sh := &shaping{
		fault: fault, name: fate.String(fault), shape: s,
		hit: map[harness.Link]uint64{}, lines: map[harness.Link]line{},
	}
	n.shapes[fault] = sh
	for _, l := range links {
		sh.hit[l] = 0
		n.shaped[l] = append(n.shaped[l], sh)
		slices.SortFunc(n.shaped[l], func(a, b *shaping) int { return cmp.Compare(a.fault, b.fault) })
	}
}

// Unshape undoes one fault's Shape, and forgets it. An unknown fault is no error.
func (n *Net) Unshape(fault string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unshape(fault)
}

func (n *Net) unshape(fault string) {
	sh := n.shapes[fault]
	if sh == nil {
		return
	}
	delete(n.shapes, fault)
	for l := range sh.hit {
		n.shaped[l] = slices.DeleteFunc(n.shaped[l], func(other *shaping) bool { return other == sh })
		if len(n.shaped[l]) == 0 {
			delete(n.shaped, l)
		}
	}
}

// Shaped counts the packets, repeated ones again, that the fault has changed or held up;
// probes are left out. It is nil for an unknown fault.
func (n *Net) Shaped(fault string) map[harness.Link]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	sh := n.shapes[fault]
	if sh == nil {
		return nil
	}
	out := make(map[harness.Link]uint64, len(sh.hit))
	for l, count := range sh.hit {
		out[l] = count
	}
	return out
}

// What reordering and a slow line do.
const (
	overtakenMin = 10 * time.Millisecond // a packet that is overtaken is held up at least this
	overtakenMax = 50 * time.Millisecond // and less than this
	queueMax     = time.Second           // a packet that would wait longer for a slow line is lost
	headersBytes = 80                    // that a packet has besides its message
)

// A trouble is what shapings do to one packet.
type trouble struct {
	late time.Duration
	lost bool
	twin bool // it arrives twice
}

// disturb decides what becomes of a packet that leaves now. A flipped bit is as good as
// a loss: checksums find it. What only keeps the order or sends twice is hidden by the kernel
// at the other end, but for the time that it takes. The caller holds n.mu.
func (n *Net) disturb(l harness.Link, name uint64, size int, count bool) (sum trouble) {
	now := n.now()
	for _, sh := range n.shaped[l] {
		s := sh.shape
		chance := func(p float64, decision uint64) bool {
			return p > 0 && fate.Chance(p, fate.Hash(n.opts.Seed, decision, sh.name, linkName(l), uint64(now), name))
		}
		t := trouble{late: s.Delay, lost: chance(s.Loss, 'x') || chance(s.Corrupt, 'c'), twin: chance(s.Duplicate, 'd')}
		if s.Jitter > 0 {
			t.late += fate.Between(0, s.Jitter, fate.Hash(n.opts.Seed, 'j', sh.name, linkName(l), uint64(now), name))
		}
		if chance(s.Reorder, 'o') {
			t.late += fate.Between(overtakenMin, overtakenMax, fate.Hash(n.opts.Seed, 'q', sh.name, linkName(l), uint64(now), name))
		}
		if s.Rate > 0 && count && !t.lost { // a probe is too small to wait
			var late time.Duration
			takes := time.Duration(int64(size+headersBytes) * int64(time.Second) / s.Rate)
			sh.lines[l], late, t.lost = sh.lines[l].take(now, takes)
			t.late += late
		}
		if count && t != (trouble{}) {
			sh.hit[l]++
		}
		sum.late += t.late
		sum.lost = sum.lost || t.lost
		sum.twin = sum.twin || t.twin
	}
	return sum
}
