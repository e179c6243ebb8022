package wire

import (
	"sync"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
)

// Options say how a network behaves when no fault is in force.
type Options struct {
	Seed            uint64        // of every fate
	LatencyMin      time.Duration // one way, fastest packet; default 500us
	LatencyMax      time.Duration // one way, slowest packet; default 5ms
	MessageBytesMax int           // longest request or reply that is accepted; default 4 MiB as in gRPC
	Round           time.Duration // arrivals happen at multiples of this, so that they meet; default 0: never on purpose
	RetransmitsMax  int           // times a lost packet is sent again; default 3, the last 1.4 to 1.8s after the first
	RetransmitAfter time.Duration // pause before the first, doubled each time; default 200ms, as in Linux
	// Unsent marks the error of a call that no process can have seen, since nobody listened
	// when it tried to connect; optional. A client library that knows does the same.
	Unsent func(error) error
	// Crowd names the crowd that a process is one of, if any: a cut of links from or to a crowd
	// cuts those of all its members; optional.
	Crowd func(harness.NodeID) harness.NodeID
	Trace func(Packet) // told of every packet when its fate is sealed; concurrently, and must not wait; optional
	// Message is told of every request, in its caller's goroutine, and of every reply and
	// reset, before they leave; concurrently, and must not wait; optional.
	Message func(Message)
}

func (o Options) withDefaults() Options {
	if o.LatencyMin == 0 {
		o.LatencyMin = 500 * time.Microsecond
	}
	if o.LatencyMax == 0 {
		o.LatencyMax = max(5*time.Millisecond, o.LatencyMin)
	}
	if o.MessageBytesMax == 0 {
		o.MessageBytesMax = 4 << 20
	}
	if o.RetransmitsMax == 0 {
		// Connections of the store are given up when nothing is acknowledged for a second.
		o.RetransmitsMax = 3
	}
	if o.RetransmitAfter == 0 {
		o.RetransmitAfter = 200 * time.Millisecond
	}
	return o
}

// A Net connects processes. It is safe for concurrent use.
type Net struct {
	opts  Options
	begin time.Time // the zero of every instant in a name

	mu     sync.Mutex // held for moments only, never while anything waits
	procs  map[harness.NodeID]*Proc
	cuts   map[string]*cut
	shapes map[string]*shaping
	shaped map[harness.Link][]*shaping  // the same by link, in order of their faults
	frozen map[harness.NodeID][]*flight // present: frozen; what waits for the thaw
	tally  Tally
}

// New makes a network without processes. Its clock starts now.
func New(o Options) *Net {
	return &Net{
		opts:   o.withDefaults(),
		begin:  time.Now(),
		procs:  map[harness.NodeID]*Proc{},
		cuts:   map[string]*cut{},
		shapes: map[string]*shaping{},
		shaped: map[harness.Link][]*shaping{},
		frozen: map[harness.NodeID][]*flight{},
	}
}

// now is the current instant, counted from the network's begin.
func (n *Net) now() time.Duration { return time.Since(n.begin) }

// latency is how long a packet with this name takes that leaves now and is held up.
func (n *Net) latency(l harness.Link, name uint64, late time.Duration) time.Duration {
	now := n.now()
	h := fate.Hash(n.opts.Seed, 'l', linkName(l), uint64(now), name)
	d := fate.Between(n.opts.LatencyMin, n.opts.LatencyMax, h) + late
	if r := n.opts.Round; r > 0 {
		d = (now+d+r-1)/r*r - now
	}
	return d
}

func linkName(l harness.Link) uint64 {
	return fate.Hash(fate.String(string(l.From)), fate.String(string(l.To)))
}
