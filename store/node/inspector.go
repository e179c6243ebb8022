package node

import (
	"context"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"cartwheel/store"
	"cartwheel/store/admission"
	"cartwheel/store/reap"
	"cartwheel/store/repair"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/transport"
	"cartwheel/store/version"
)

// An inspector answers the Admin service.
type inspector struct{ n *Node }

// Copy returns the node's own record of a key and says for whom it holds hints of it.
func (i inspector) Copy(ctx context.Context, key store.Key) (transport.Copy, error) {
	h := i.n.placement.Now()
	if !h.Joined() {
		return transport.Copy{}, fmt.Errorf("%s has not joined a cluster: %w", i.n.config.ID, store.ErrNotMember)
	}
	layout := h.Newest().Layout
	p := layout.Partition(key)
	set, err := i.n.disk.Record(ctx, p, key)
	if err != nil {
		return transport.Copy{}, err
	}
	hints, err := i.n.disk.Replica.Hints(ctx, p, key)
	if err != nil {
		return transport.Copy{}, err
	}
	siblings := set.Siblings()
	if i.n.config.Buckets.Of(key).LastWriteWins {
		siblings = set.LastWritten() // as a read would show it
	}
	c := transport.Copy{
		Node: i.n.config.ID, Owner: layout.Owns(i.n.config.ID, p), Siblings: siblings,
		Context: version.Token{Vector: set.Vector}.Encode(key), Vector: set.Vector.String(), Owners: layout.Owners(p),
	}
	if !set.IsZero() {
		c.State = set.Encode()
	}
	for _, h := range hints {
		c.HintedFor = append(c.HintedFor, h.Target)
	}
	return c, nil
}

// Hints counts the hints that wait here.
func (i inspector) Hints(ctx context.Context) ([]storage.HintStat, error) {
	return i.n.disk.HintTargets(ctx)
}

// Trees describes the hash trees of the partitions of which the node holds records.
func (i inspector) Trees(ctx context.Context, check bool) (transport.TreeReport, error) {
	report := transport.TreeReport{Node: i.n.config.ID}
	if check {
		found, err := i.n.disk.CheckTrees(ctx)
		if err != nil {
			return report, err
		}
		if found.Tombstones, err = i.n.tombstones(ctx); err != nil {
			return report, err
		}
		report.Check = &found
	}
	report.Trees = i.n.disk.Trees(func(ring.Partition) bool { return true })
	return report, nil
}

// looksMissed is so many intervals that every node has looked for tombstones several times, also when each was late by a quarter.
const looksMissed = 5

// tombstones counts the records of partitions that the node owns which could have been collected by their age for several looks
// of all nodes. A stamp may be ahead of the clock, where a wrong clock has made it or a later write has followed one that
// such a clock made: what has come of age since those looks is not overdue.
func (n *Node) tombstones(ctx context.Context) (count int, err error) {
	h := n.placement.Now()
	if !h.Joined() {
		return 0, nil
	}
	latest := n.config.Clock.Now().Add(-n.config.TombstoneGrace - looksMissed*n.config.TombstoneInterval).UnixNano()
	for p := range ring.Partition(h.Oldest().Layout.Partitions()) {
		var after store.Key
		for more := h.Owns(n.config.ID, p); more; more = after != "" {
			leaves, next, err := n.disk.Tombstones(ctx, p, latest, after, reap.LeavesMax)
			if err != nil {
				return count, err
			}
			count, after = count+len(leaves), next
		}
	}
	return count, nil
}

// Status says how the node is.
func (i inspector) Status(context.Context) (transport.Status, error) {
	n := i.n
	now := n.config.Now()
	id, stored, coordinated := n.disk.Identity(), n.disk.Stats(), n.coordinator.Stats()
	h := n.placement.Now()
	st := transport.Status{
		Node: n.config.ID, NodeNumber: id.Node, Incarnation: id.Incarnation, Version: h.Stamp(), Live: len(h.Live()),
		Uptime: now - n.began, Wall: n.config.Clock.Now(), Hints: stored.Hints, InFlight: coordinated.InFlight, WriteAge: now - n.disk.lastChange(),
		Counters: n.counters(), Draining: n.server.Draining(),
	}
	if err := n.disk.Healthy(); err != nil {
		st.Fault = err.Error()
	}
	if h.Joined() {
		st.RingDigest = h.Newest().Layout.Digest()
	}
	st.Settled = h.Settled() && st.Hints == 0 && st.InFlight == 0 && st.Fault == ""
	for _, m := range h.Members() {
		if m.ID == n.config.ID {
			continue
		}
		p := transport.PeerStatus{Node: m.ID, Up: n.detector.Up(m.ID)}
		if n.repair != nil {
			if began, ok := n.repair.LastClean(m.ID); ok {
				p.Compared, p.CleanAge = true, now-began
			}
			st.Settled = st.Settled && p.Compared && p.CleanAge < st.WriteAge
		}
		st.Peers = append(st.Peers, p)
	}
	return st, nil
}

// Drain makes the node refuse to coordinate, or takes that back.
func (i inspector) Drain(_ context.Context, draining bool) (transport.Drain, error) {
	n := i.n
	if draining != n.server.Draining() {
		n.log.Info("changed whether requests are coordinated", "draining", draining)
		n.config.OnDrain(draining)
	}
	inFlight := uint64(n.server.Drain(draining)) // counted before the coordinator's: what leaves the one is still in the other
	return transport.Drain{Node: n.config.ID, Draining: draining, InFlight: max(inFlight, n.coordinator.Stats().InFlight)}, nil
}

// counters are all parts' counts since start, under the names of metrics.
func (n *Node) counters() map[string]uint64 {
	s, c, d, h := n.disk.Stats(), n.coordinator.Stats(), n.detector.Stats(), n.handoff.Stats()
	g, t, m := n.gossip.Stats(), n.members.transfers.Stats(), n.members.driver.Stats()
	tombs := n.reaper.Stats()
	out := map[string]uint64{
		"tombstones_confirmed":     tombs.Confirmed,
		"tombstones_collected":     tombs.Collected,
		"tombstones_held":          uint64(tombs.Held),
		"tombstones_looks":         tombs.Looks,
		"actors_pruned":            tombs.Pruned,
		"gossip_rounds":            g.Rounds,
		"gossip_failed":            g.Failed,
		"gossip_told":              g.Told,
		"gossip_heard":             g.Heard,
		"gossip_damaged":           g.Damaged,
		"gossip_forked":            g.Forked,
		"membership_steps":         m.Steps,
		"membership_failed":        m.Failed,
		"transfer_copied":          t.Copied,
		"transfer_copied_bytes":    t.CopiedBytes,
		"transfer_handed_over":     t.HandedOver,
		"transfer_dropped":         t.Dropped,
		"transfer_damaged":         t.Damaged,
		"protocol_refused":         n.server.Strangers(),
		"storage_changes":          n.disk.changes.Load(),
		"storage_amnesia":          s.Amnesia,
		"storage_damaged":          s.Damaged,
		"storage_set_aside":        s.SetAside,
		"storage_restored":         s.Restored,
		"tree_drift":               s.Drift,
		"hints_held":               s.Hints,
		"hint_bytes_held":          s.HintBytes,
		"hints_delivered":          h.Delivered,
		"hints_failed":             h.Failed,
		"hints_kept":               h.Kept,
		"hints_rerouted":           h.Rerouted,
		"hints_set_back":           h.SetBack,
		"hints_astray":             h.Astray,
		"hints_at_once":            h.AtOnce,
		"hints_at_once_limit":      h.AtOnceLimit,
		"hints_refused":            s.Refused,
		"coordinator_gets":         c.Gets,
		"coordinator_writes":       c.Writes,
		"coordinator_forwarded":    c.Forwarded,
		"coordinator_refused":      c.Refused,
		"coordinator_failed":       c.Failed,
		"coordinator_hinted":       c.Hinted,
		"coordinator_read_repairs": c.ReadRepairs,
		"coordinator_degraded":     c.Degraded,
		"coordinator_unsatisfied":  c.Unsatisfied,
		"detector_probes":          d.Probes,
		"detector_downs":           d.Downs,
		"detector_ups":             d.Ups,
		"detector_stalls":          d.Stalls,
		"peer_calls_wasted":        n.silence.Wasted(),
	}
	n.admitted(out)
	n.compared(out)
	for versions, gets := range c.Versions {
		out[fmt.Sprintf("coordinator_versions_returned_%d", versions)] = gets
	}
	return out
}

// compared adds what comparisons with other nodes have found; nothing but zeros where none are made.
func (n *Node) compared(out map[string]uint64) {
	var r repair.Stats
	if n.repair != nil {
		r = n.repair.Stats()
	}
	out["repair_rounds"], out["repair_broken"], out["repair_capped"] = r.Rounds, r.Broken, r.Capped
	out["repair_checks"], out["repair_checks_broken"], out["repair_compared"] = r.Checks, r.ChecksBroken, r.Compared
	out["repair_repaired"], out["repair_same"] = r.Repaired, r.Same
}

// admitted adds what the node has admitted beside its foreground, and the state of the gate.
func (n *Node) admitted(out map[string]uint64) {
	if n.admission == nil {
		return
	}
	a := n.admission.Stats()
	for k := range admission.Kinds {
		out["admission_granted_"+k.String()] = uint64(a.Granted[k])
		out["admission_waited_"+k.String()+"_microseconds"] = uint64(a.Waited[k].Microseconds())
	}
	out["admission_stalls"], out["admission_cuts"] = a.Stalls, a.Cuts
	out["admission_granted_late"], out["admission_granted_beyond"] = uint64(a.Late), uint64(math.Ceil(a.Beyond))
	out["admission_slices_per_second"] = uint64(a.Share)
	out["admission_foreground_p99_microseconds"] = uint64(a.P99.Microseconds())
}

// Status says how the node is, as the Admin service does.
func (n *Node) Status(ctx context.Context) (transport.Status, error) { return inspector{n}.Status(ctx) }

// Engines returns what the node's databases tell of themselves, by name.
func (n *Node) Engines() map[string]*pebble.Metrics { return n.disk.Engines() }
