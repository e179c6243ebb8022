package wire

import (
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
)

// A flight is a packet on its way.
type flight struct {
	link    harness.Link
	kind    Kind
	method  string
	name    uint64        // of the packet: its kind, its call, its bytes
	call    uint64        // name of the call it belongs to
	size    int           // bytes
	owner   *Proc         // the process that sends it; nil: a client, or a kernel
	sent    time.Duration // instant of the first transmission
	tries   int           // transmissions so far
	arrived bool          // it is in the receiver's kernel, waiting for a thaw
	kernel  bool          // the receiver's kernel answers it, frozen process or not
	once    bool          // it is not repeated when it is lost

	// deliver hands it to the receiver and says how that went. What follows from it, if
	// anything, is done afterwards in the same goroutine, which is the packet's own.
	deliver func() (Fate, func())
	gone    func() bool // reports whether its sender no longer wants it sent; optional
	lost    func()      // told when it is given up; optional
}

// send starts a flight, or keeps it back while its sender is frozen.
func (n *Net) send(f *flight) {
	f.sent = n.now()
	n.depart(f)
}

func (n *Net) depart(f *flight) {
	n.mu.Lock()
	held := n.hold(f, f.link.From)
	n.mu.Unlock()
	if !held {
		n.transmit(f)
	}
}

// hold keeps a flight for a frozen process and reports whether it did. Packets that no
// process sends are the kernel's, which is never frozen. The caller holds n.mu.
func (n *Net) hold(f *flight, at harness.NodeID) bool {
	waiting, frozen := n.frozen[at]
	if !frozen || !f.arrived && f.owner == nil || f.arrived && f.kernel {
		return false
	}
	n.frozen[at] = append(waiting, f)
	return true
}

// transmit puts the packet on the link once. Where that fails it is tried again later.
func (n *Net) transmit(f *flight) {
	if f.owner != nil && f.owner.dead() || f.gone != nil && f.gone() {
		n.seal(f, Orphaned) // its socket went with the process
		return
	}
	f.tries++
	n.mu.Lock()
	var ill trouble
	lost := n.lose(f.link, true)
	if !lost {
		ill = n.disturb(f.link, f.name, f.size, true)
	}
	n.mu.Unlock()
	if lost || ill.lost {
		n.retransmit(f)
		return
	}
	d := n.latency(f.link, f.name, ill.late)
	if ill.twin { // a kernel takes the first to come and drops the other
		d = min(d, n.latency(f.link, fate.Hash(f.name, 'd'), ill.late))
	}
	time.AfterFunc(d, func() { n.arrive(f) })
}

// retransmit tries again after a pause that doubles each time, as TCP does. The pauses
// of different packets differ, so what a cut kept back trickles in after the heal.
func (n *Net) retransmit(f *flight) {
	if f.once || f.tries > n.opts.RetransmitsMax {
		n.seal(f, Lost)
		if f.lost != nil {
			f.lost()
		}
		return
	}
	pause := n.opts.RetransmitAfter << (f.tries - 1)
	time.AfterFunc(fate.Between(pause, pause+pause/4, n.roll(f, 'r')), func() { n.transmit(f) })
}

// roll names one decision about a packet at this instant.
func (n *Net) roll(f *flight, decision uint64) uint64 {
	return fate.Hash(n.opts.Seed, decision, linkName(f.link), uint64(n.now()), f.name)
}

// arrive ends a transmission, unless the link was cut meanwhile.
func (n *Net) arrive(f *flight) {
	n.mu.Lock()
	lost := n.lose(f.link, true)
	n.mu.Unlock()
	if lost {
		n.retransmit(f)
		return
	}
	f.arrived = true
	n.hand(f)
}

// hand gives the packet to the receiving process, or keeps it while that is frozen.
func (n *Net) hand(f *flight) {
	n.mu.Lock()
	held := n.hold(f, f.link.To)
	n.mu.Unlock()
	if held {
		return
	}
	end, then := f.deliver()
	n.seal(f, end)
	if then != nil {
		then()
	}
}

// Freeze stops a process from sending and receiving until the Thaw. Freezing a frozen
// one is no error.
func (n *Net) Freeze(id harness.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.frozen[id]; !ok {
		n.frozen[id] = []*flight{}
	}
}

// thawTime is how long a process takes at most to get to a packet that waited for it.
const thawTime = 3 * time.Millisecond

// Thaw ends a Freeze. What waited gets through soon, each packet at its own instant.
func (n *Net) Thaw(id harness.NodeID) {
	n.mu.Lock()
	waiting := n.frozen[id]
	delete(n.frozen, id)
	n.mu.Unlock()
	for _, f := range waiting {
		d := fate.Between(1, thawTime, fate.Hash(n.roll(f, 't'), uint64(f.sent)))
		if f.arrived {
			time.AfterFunc(d, func() { n.hand(f) })
		} else {
			time.AfterFunc(d, func() { n.depart(f) })
		}
	}
}

// Frozen reports whether the process is frozen.
func (n *Net) Frozen(id harness.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.frozen[id]
	return ok
}
