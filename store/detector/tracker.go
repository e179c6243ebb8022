package detector

import (
	"maps"
	"slices"
	"time"

	"cartwheel/store"
)

// A tracker decides. It is told what happened and when, on a clock that only rises.
type tracker struct {
	failures int           // consecutive failures that bring a peer down
	probe    time.Duration // between probes of a peer that is down
	idle     time.Duration // silence after which a peer that is up is probed
	stall    time.Duration // a gap between beats that proves that this node was stopped
	jitter   func(n store.NodeID, attempt uint64) time.Duration

	names        []store.NodeID // sorted
	peers        map[store.NodeID]*peer
	lastBeat     time.Duration
	forgiveUntil time.Duration
}

// A peer is what is believed of one node.
type peer struct {
	down     bool
	failures int           // in a row
	due      time.Duration // when to probe next
	probing  bool          // a probe is out
	attempt  uint64        // probes sent so far
}

// newTracker believes every peer to be up.
func newTracker(o Options, now time.Duration, jitter func(store.NodeID, uint64) time.Duration) *tracker {
	t := &tracker{
		failures: o.Failures, probe: o.ProbeInterval, idle: o.IdleInterval, stall: o.ProbeInterval,
		jitter: jitter, peers: map[store.NodeID]*peer{}, lastBeat: now,
	}
	t.watch(o.Self, o.Peers, now)
	return t
}

// watch makes nodes the peers, self among them ignored. Of those that stay, what is believed stays.
func (t *tracker) watch(self store.NodeID, nodes []store.NodeID, now time.Duration) {
	peers := map[store.NodeID]*peer{}
	for _, n := range nodes {
		if n == self {
			continue
		}
		if peers[n] = t.peers[n]; peers[n] == nil {
			peers[n] = &peer{due: now + t.idle + t.jitter(n, 0)}
		}
	}
	t.peers, t.names = peers, slices.Sorted(maps.Keys(peers))
}

// succeeded notes a round trip, and reports whether the peer came up by it.
func (t *tracker) succeeded(n store.NodeID, now time.Duration) (cameUp bool) {
	p := t.peers[n]
	if p == nil {
		return false
	}
	cameUp = p.down
	p.down, p.failures = false, 0
	p.due = now + t.idle + t.jitter(n, p.attempt)
	return cameUp
}

// failed notes a round trip that did not come about, and reports whether the peer
// went down by it.
func (t *tracker) failed(n store.NodeID, now time.Duration) (wentDown bool) {
	p := t.peers[n]
	// Deadlines run out before the first beat after a stall can notice it, hence the gap.
	if p == nil || now < t.forgiveUntil || now-t.lastBeat > t.stall {
		return false
	}
	p.failures++
	if p.down {
		return false
	}
	if p.failures < t.failures {
		p.due = min(p.due, now) // suspected: make sure at the next beat
		return false
	}
	p.down = true
	p.due = now + t.probe + t.jitter(n, p.attempt)
	return true
}

// beat is called at a steady pace. It returns the peers to probe now, sorted, and by how much
// this node was stopped since the last beat, if it was.
func (t *tracker) beat(now time.Duration) (probes []store.NodeID, stalled time.Duration) {
	if gap := now - t.lastBeat; gap > t.stall {
		stalled = gap
		t.forgiveUntil = now + t.probe
	}
	t.lastBeat = now
	for _, n := range t.names {
		p := t.peers[n]
		if p.probing || now < p.due {
			continue
		}
		p.probing = true
		p.attempt++
		p.due = now + t.probe + t.jitter(n, p.attempt)
		probes = append(probes, n)
	}
	return probes, stalled
}

// probed notes that a probe is no longer out, after succeeded or failed.
func (t *tracker) probed(n store.NodeID) {
	if p := t.peers[n]; p != nil {
		p.probing = false
	}
}

// up reports the belief. Nodes that are no peers are not up.
func (t *tracker) up(n store.NodeID) bool {
	p := t.peers[n]
	return p != nil && !p.down
}
