package shaper

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

const (
	// overtaken is how much later a reordered packet comes: on a bridge, where a round trip
	// takes a fraction of a millisecond, others pass it for sure.
	overtaken = 20 * time.Millisecond
	// backlog is how far ahead a limited link may be booked. What comes on top is lost, as
	// in a router whose buffer is full.
	backlog = 2 * time.Second
)

// A fate is what becomes of a packet. The zero fate lets it pass at once.
type fate struct {
	lost   bool // the link has no room for it
	after  time.Duration
	copies int // in addition
	flip   int // this bit of what follows the IP header, counted modulo its length; if corrupt
	spoilt bool
}

// A disturbance is a fault on one link.
type disturbance struct {
	Fault
	rand *rand.Rand
	free time.Duration // when a limited link has room for the next packet
	hit  uint64
}

func newDisturbance(f Fault, from netip.Addr) *disturbance {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %s", f.Name, from) // a hash never fails
	return &disturbance{Fault: f, rand: rand.New(rand.NewPCG(h.Sum64(), 0))}
}

// decide adds to a packet's fate. Every chance is drawn, whatever came of those before, so
// that faults are independent of each other. Now is monotonic, size in bytes.
func (d *disturbance) decide(f *fate, now time.Duration, size int) {
	s, before := d.Shape, *f
	if s.Rate > 0 {
		start := max(now, d.free)
		if start-now > backlog {
			f.lost = true
		} else {
			d.free = start + time.Duration(float64(size)/float64(s.Rate)*float64(time.Second))
			f.after += d.free - now
		}
	}
	f.after += s.Delay
	if s.Jitter > 0 {
		f.after += time.Duration(d.rand.Int64N(int64(s.Jitter)))
	}
	if d.rand.Float64() < s.Reorder {
		f.after += overtaken
	}
	if d.rand.Float64() < s.Duplicate {
		f.copies++
	}
	if bit := d.rand.IntN(1 << 20); d.rand.Float64() < s.Corrupt {
		f.spoilt, f.flip = true, bit
	}
	if *f != before {
		d.hit++
	}
}

// state is what is in force. It is safe for concurrent use.
type state struct {
	mu    sync.Mutex
	links map[netip.Addr][]*disturbance
}

// set replaces what is in force, unless links is nil. A fault that stays keeps its count.
func (s *state) set(links map[string][]Fault) error {
	if links == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[netip.Addr][]*disturbance{}
	for text, faults := range links {
		from, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("link from %q: %w", text, err)
		}
		for _, f := range faults {
			d := newDisturbance(f, from)
			for _, old := range s.links[from] {
				if old.Name == f.Name {
					d.hit = old.hit
				}
			}
			next[from] = append(next[from], d)
		}
	}
	s.links = next
	return nil
}

func (s *state) hit() map[string]map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	hit := map[string]map[string]uint64{}
	for from, ds := range s.links {
		of := map[string]uint64{}
		for _, d := range ds {
			of[d.Name] = d.hit
		}
		hit[from.String()] = of
	}
	return hit
}

// decide is the fate of a packet from a peer under all faults in force.
func (s *state) decide(from netip.Addr, now time.Duration, size int) (f fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.links[from] {
		d.decide(&f, now, size)
	}
	return f
}

// spoil flips a bit of what an IPv4 packet carries, its header left alone, and returns the
// changed packet. Checksums are not mended: finding out is the receiver's part.
func spoil(packet []byte, bit int) []byte {
	if len(packet) == 0 {
		return packet
	}
	head := int(packet[0]&0xf) * 4
	if len(packet) <= head {
		return packet
	}
	bit %= (len(packet) - head) * 8
	spoilt := append([]byte(nil), packet...)
	spoilt[head+bit/8] ^= 1 << (bit % 8)
	return spoilt
}

// sender reads the source of an IPv4 packet.
func sender(packet []byte) (netip.Addr, bool) {
	if len(packet) < 20 || packet[0]>>4 != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(packet[12:16])
}
