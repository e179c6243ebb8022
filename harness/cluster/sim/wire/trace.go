package wire

import (
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
)

// A Kind is what a packet is for.
type Kind uint8

// Kinds of packets.
const (
	Request Kind = iota
	Reply
	Cancel  // the caller has given up
	Reset   // nobody is there, or not any more
	Connect // asks for a connection
	Segment // bytes of a connection, or its begin or end
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	return [...]string{"request", "reply", "cancel", "reset", "connect", "segment"}[k]
}

// A Fate is how a packet ended.
type Fate uint8

// Fates of packets.
const (
	Delivered Fate = iota
	Ignored        // delivered, but its call or its receiver was over
	Refused        // nobody listened
	Lost           // given up after the last repetition
	Orphaned       // its sender died before it left
)

// String returns the fate's name in lower case.
func (f Fate) String() string {
	return [...]string{"delivered", "ignored", "refused", "lost", "orphaned"}[f]
}

// A Packet is a line of the trace. Instants count from the network's begin.
type Packet struct {
	Link      harness.Link
	Kind      Kind
	Method    string // full gRPC method name; none of what belongs to a connection
	Call      uint64 // name of the call or connection that it belongs to
	Name      uint64 // its own: a hash of kind, call and bytes
	SizeBytes int    // of the message, without metadata
	Sent      time.Duration
	Ended     time.Duration // when its fate was sealed
	Tries     int           // transmissions
	Fate      Fate
}

// A Tally sums up a trace.
type Tally struct {
	Packets uint64 // whose fate is sealed
	Sum     uint64 // of a hash of each Packet; equal traces have equal sums, in any order
}

// Tally returns the sums so far.
func (n *Net) Tally() Tally {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tally
}

// seal ends a flight: it is counted and traced. A segment that never left a process that dies is
// neither: whether gRPC closes a connection before its kernel does, in that instant, is a race.
func (n *Net) seal(f *flight, end Fate) {
	if end == Orphaned && f.kind == Segment && f.tries == 0 {
		return
	}
	now := n.now()
	h := fate.Hash(f.name, linkName(f.link), uint64(f.sent), uint64(now), uint64(f.tries), uint64(end))
	n.mu.Lock()
	n.tally.Packets++
	n.tally.Sum += h
	n.mu.Unlock()
	if n.opts.Trace != nil {
		n.opts.Trace(Packet{
			Link: f.link, Kind: f.kind, Method: f.method, Call: f.call, Name: f.name, SizeBytes: f.size,
			Sent: f.sent, Ended: now, Tries: f.tries, Fate: end,
		})
	}
}
