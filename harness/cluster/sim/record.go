package sim

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/harness/trace"
)

// heldMax bounds the lines in memory; a run of half a minute makes some ten thousands.
const heldMax = 500_000

// A recorder collects a cluster's trace. Instants count from the cluster's begin. A nil
// recorder records nothing.
type recorder struct {
	begin time.Time

	mu      sync.Mutex    // held for moments only
	net     time.Duration // begin of the present network
	said    map[said]trace.Line
	lines   []trace.Line
	dropped int
}

// said names a message: its call and its kind.
type said struct {
	call uint64
	kind wire.Kind
}

// Record makes the cluster keep a trace of its messages and of what happens to its
// nodes. It is called before Start. It changes nothing in the run, but costs time and memory.
// Of real gRPC it keeps the calls: what a segment says is gRPC's affair.
func (c *Cluster) Record() {
	c.trace = &recorder{begin: c.begin, said: map[said]trace.Line{}}
	if c.opts.GRPC {
		c.calls = &calls{trace: c.trace, open: map[uint64]*watched{}}
		return
	}
	also := c.opts.Wire.Trace
	c.opts.Wire.Message = c.trace.message
	c.opts.Wire.Trace = func(p wire.Packet) {
		c.trace.packet(p)
		if also != nil {
			also(p)
		}
	}
}

// Trace returns what was recorded, with times that count from zero, in order.
func (c *Cluster) Trace(zero time.Time) []trace.Line {
	if c.trace == nil {
		return nil
	}
	r := c.trace
	r.mu.Lock()
	defer r.mu.Unlock()
	shift := zero.Sub(r.begin)
	out := make([]trace.Line, len(r.lines))
	for i, l := range r.lines {
		l.Time -= shift
		l.Ended -= shift
		out[i] = l
	}
	trace.Sort(out)
	if r.dropped > 0 {
		last := trace.Line{Event: trace.Left, Detail: fmt.Sprintf("the run went on for %d lines more than the %d that are recorded", r.dropped, heldMax)}
		last.Time = out[len(out)-1].Time
		last.Ended = last.Time
		out = append(out, last)
	}
	return out
}

// started notes the start of a network.
func (r *recorder) started() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.net = time.Since(r.begin)
}

// event notes what happens now.
func (r *recorder) event(l trace.Line) {
	if r == nil {
		return
	}
	l.Time = time.Since(r.begin)
	l.Ended = l.Time
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(l)
}

// message notes what a message says, for the packet that carries it.
func (r *recorder) message(m wire.Message) {
	r.mu.Lock()
	request := r.said[said{m.Call, wire.Request}]
	r.mu.Unlock()
	var l trace.Line
	if m.Kind == wire.Request {
		l = readRequest(m)
		l.What = purpose(l)
	} else {
		l = readReply(m, request)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) < heldMax {
		r.said[said{m.Call, m.Kind}] = l
	}
}

// now is the time since the start of the present network.
func (r *recorder) now() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.begin) - r.net
}

// packet notes how a packet ended.
func (r *recorder) packet(p wire.Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.said[said{p.Call, p.Kind}]
	if !ok { // a cancellation says nothing of its own
		l = r.said[said{p.Call, wire.Request}]
		l.Versions = nil
	}
	l.Event = trace.Message
	l.Time, l.Ended = r.net+p.Sent, r.net+p.Ended
	l.From, l.To = p.Link.From, p.Link.To
	l.Kind, l.Fate = p.Kind.String(), p.Fate.String()
	l.Call = strconv.FormatUint(p.Call, 16)
	if p.Tries > 1 {
		l.Tries = p.Tries
	}
	r.add(l)
}

// add keeps a line. The caller holds r.mu.
func (r *recorder) add(l trace.Line) {
	if len(r.lines) == heldMax {
		r.dropped++
		return
	}
	r.lines = append(r.lines, l)
}

// note keeps an event of a node.
func (c *Cluster) note(event string, n harness.NodeID, detail string) {
	c.trace.event(trace.Line{Event: event, Node: n, Detail: detail})
}

// stackMax is how many callers are looked at: a call to a replica is made near the root
// of its goroutine.
const stackMax = 48

// purpose says what a request is for. Most methods have one purpose. A state is merged for
// several, and the bytes do not tell which: the store sends one message for all. But each
// part of the store calls from goroutines of its own, so the caller's stack tells.
func purpose(l trace.Line) string {
	switch l.Method {
	case "Get", "Put", "Delete":
		return trace.Client
	case "Forward":
		return trace.Forward
	case "Ping":
		return trace.Ping
	case "TreeRoots", "TreeNodes", "TreeLeaves":
		return trace.Entropy
	case "ReplicaGet":
		if calledBy("cartwheel/store/repair.") {
			return trace.Entropy
		}
		return trace.Read
	case "ReplicaMerge":
		switch {
		case l.For != "":
			return trace.Hint
		case calledBy("cartwheel/store/hint."):
			return trace.HandOff
		case calledBy("cartwheel/store/repair."):
			return trace.Entropy
		case calledBy("cartwheel/store/coordinator.(*reading)"):
			return trace.Repair
		}
		return trace.Replicate
	}
	return trace.Look
}

// calledBy reports whether a function whose name begins so is among the callers.
func calledBy(prefix string) bool {
	var pcs [stackMax]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, prefix) {
			return true
		}
		if !more {
			return false
		}
	}
}
