package nemesis

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/grudge"
)

const (
	calmMax  = 12 * time.Second       // after a change of members without faults that keep nodes apart
	cutAhead = time.Second            // of a change of members that begins while nodes are cut apart
	lateBy   = 100 * time.Millisecond // from the end of a partition to a change of members that is late
	roomMax  = 2 * time.Second        // of a partition without faults of nodes
	shortest = time.Second            // no fault is cut shorter for it
)

// leaveRoom keeps pauses, kills and faults of disks out of the first or the last part of each
// partition, at random, so that in every run some of them lie across one of its ends. Where
// nobody runs a cut discards nothing, and a minority acknowledges nothing, which would leave
// the run unknown. A fault that is in the way ends sooner or begins later, or is left out.
func leaveRoom(r *rand.Rand, faults []harness.Fault) []harness.Fault {
	plan := slices.Clone(faults)
	for _, p := range faults {
		if p.Kind != PartitionKind {
			continue
		}
		room := min(roomMax, (p.Stop-p.Start)/2)
		from, to := p.Start, p.Start+room
		if r.IntN(2) == 0 {
			from, to = p.Stop-room, p.Stop
		}
		for i := range plan {
			f := &plan[i]
			switch {
			case f.Kind != PauseKind && f.Kind != KillKind && f.Kind != DiskKind || f.Stop <= from || to <= f.Start:
			case f.Start < from:
				f.Stop = from
			default:
				f.Start = to
			}
		}
	}
	return leftOf(plan, faults)
}

// leftOf leaves out faults that were shortened to next to nothing.
func leftOf(plan, before []harness.Fault) (kept []harness.Fault) {
	for i, f := range plan {
		if lasts, planned := f.Stop-f.Start, before[i].Stop-before[i].Start; lasts >= min(shortest, planned) {
			kept = append(kept, f)
		}
	}
	return kept
}

// leaveCalm keeps partitions, pauses and kills out of the time after each change of members, in
// which it is undone: that takes all nodes, one step after the other, and where they are cut
// apart every few seconds it does not end. They strike while the change is made. A tour's next
// change comes on top, so that the time before it is kept calm too.
func leaveCalm(faults []harness.Fault) []harness.Fault {
	plan := slices.Clone(faults)
	for _, m := range faults {
		if m.Kind != MembershipKind {
			continue
		}
		keepOut(plan, m.Stop, m.Stop+calmMax)
		if ofTour(m) {
			keepOut(plan, m.Start-calmMax, m.Start-cutAhead)
		}
	}
	return heard(leftOf(plan, faults))
}

// keepOut shortens faults that keep nodes apart so that none lies in a part of the load.
func keepOut(plan []harness.Fault, from, to time.Duration) {
	for i := range plan {
		f := &plan[i]
		switch {
		case f.Kind != PartitionKind && f.Kind != PauseKind && f.Kind != KillKind || f.Stop <= from || to <= f.Start:
		case f.Start < from:
			f.Stop = from
		default:
			f.Start = max(to, 0)
			f.Stop = max(f.Stop, f.Start)
		}
	}
}

// cutBefore lets every other change of members, at random, begin while nodes are cut apart already: the
// partition that would begin soon after it begins so much before it. A change is told
// to all within moments, so one that comes first is nearly done when the partition strikes.
func cutBefore(r *rand.Rand, faults []harness.Fault) []harness.Fault {
	plan := slices.Clone(faults)
	for _, m := range faults {
		if m.Kind != MembershipKind || r.IntN(2) == 0 || isAmid(m.Name) {
			continue
		}
		for i := range plan {
			if f := &plan[i]; f.Kind == PartitionKind && m.Start < f.Start && f.Start < m.Stop && m.Start > cutAhead {
				lasts := f.Stop - f.Start
				f.Start = m.Start - cutAhead
				f.Stop = f.Start + lasts
				break
			}
		}
	}
	return plan
}

// cutBehind lets each change of members that is to be late begin when a partition has just ended, the one whose end is
// nearest: what was written meanwhile is still on its way to its owners. It strikes a node that the partition did not name: one
// that has what the others lack.
func cutBehind(faults []harness.Fault) []harness.Fault {
	plan := slices.Clone(faults)
	for i := range plan {
		m := &plan[i]
		if m.Kind != MembershipKind || !strings.HasPrefix(m.Name, late) {
			continue
		}
		var ends *harness.Fault
		for j := range faults {
			if p := &faults[j]; p.Kind == PartitionKind && !p.OfClients() && (ends == nil || (p.Stop-m.Start).Abs() < (ends.Stop-m.Start).Abs()) {
				ends = p
			}
		}
		if ends == nil {
			continue
		}
		m.Start, m.Stop = ends.Stop+lateBy, ends.Stop+lateBy+m.Stop-m.Start
		if len(m.Nodes) == 0 || !slices.Contains(ends.Nodes, m.Nodes[0]) {
			continue
		}
		for _, l := range ends.Links {
			if l.To != harness.Clients && !slices.Contains(ends.Nodes, l.To) {
				m.Nodes = []harness.NodeID{l.To}
			}
		}
	}
	return plan
}

// isAmid reports whether a change of members, by its name, is to begin while nodes are cut apart and to stay so.
func isAmid(name string) bool { return strings.HasPrefix(name, amid) }

// A change of members that is made while nodes are cut apart.
const (
	amidMin   = 18 * time.Second // it lasts at least so long
	amidMax   = 22 * time.Second // and less than this
	amidAhead = 3 * time.Second  // nodes are cut apart so much before it: whoever is asked for it knows whom it reaches
)

// cutAround lets a partition, the one that begins nearest, begin before each change of members that is to be made amid one,
// and end with it; what others it meets is left out. The change strikes a node that hears the fewest of the others then, of the
// side that the partition names if it can: one that does not hear of it.
func cutAround(faults []harness.Fault) []harness.Fault {
	plan := slices.Clone(faults)
	for i := range plan {
		m := &plan[i]
		if m.Kind != MembershipKind || !isAmid(m.Name) {
			continue
		}
		var around *harness.Fault
		for j := range plan {
			if p := &plan[j]; p.Kind == PartitionKind && !p.OfClients() && p.Stop > p.Start && (around == nil || (p.Start-m.Start).Abs() < (around.Start-m.Start).Abs()) {
				around = p
			}
		}
		if around == nil {
			continue
		}
		around.Start, around.Stop = max(0, m.Start-amidAhead), m.Stop
		if n := hearsLeast(*around); n != "" {
			m.Nodes = []harness.NodeID{n}
		}
		for j := range plan {
			if p := &plan[j]; p.Kind == PartitionKind && p != around && p.Start < around.Stop && around.Start < p.Stop {
				p.Stop = p.Start
			}
		}
	}
	return slices.DeleteFunc(plan, func(f harness.Fault) bool { return f.Kind == PartitionKind && f.Stop <= f.Start })
}

// hearsLeast is the node to which the most links of a partition are cut; among equals one of the side that it names, then the first.
func hearsLeast(p harness.Fault) (least harness.NodeID) {
	deaf := make(map[harness.NodeID]int)
	for _, l := range p.Links {
		deaf[l.To] += 2
	}
	for _, n := range p.Nodes {
		if deaf[n] > 0 {
			deaf[n]++
		}
	}
	for _, n := range slices.Sorted(maps.Keys(deaf)) {
		if n != harness.Clients && deaf[n] > deaf[least] {
			least = n
		}
	}
	return least
}

// heard leaves out partitions all of whose links begin or end at a node that is being replaced: it
// is dead, and no member, so that nothing would be sent over them.
func heard(faults []harness.Fault) []harness.Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(p harness.Fault) bool {
		gone := replacedIn(faults, p.Start, p.Start+shortest)
		return p.Kind == PartitionKind && len(p.Links) > 0 && !slices.ContainsFunc(p.Links, func(l harness.Link) bool {
			return !slices.Contains(gone, l.From) && !slices.Contains(gone, l.To)
		})
	})
}

// replacedIn lists the nodes that are being replaced in a part of the load.
func replacedIn(faults []harness.Fault, from, to time.Duration) (gone []harness.NodeID) {
	for _, m := range faults {
		if m.Kind == MembershipKind && (sortOf(m) == "replace" || sortOf(m) == rewind) && m.Start < to && from < m.Stop+calmMax {
			gone = append(gone, m.Nodes...)
		}
	}
	return gone
}

// spareAround is how long before and after a planned kill its nodes are spared: faults
// take their time to strike and to heal.
const spareAround = 2 * time.Second

// spare keeps faults of nodes from striking those that are dead by the plan, where they
// could not bite: another node takes the place of one, and a fault that finds none is left
// out. Kills themselves strike whom they like: one that hits a paused node ends its pause.
func spare(faults []harness.Fault, nodes []harness.NodeID) []harness.Fault {
	// Disks come last: they must be used, so it matters whom the others strike in the end.
	faults = spareOf(faults, nodes, func(f harness.Fault) bool { return f.Kind != DiskKind })
	return spareOf(faults, nodes, func(f harness.Fault) bool { return f.Kind == DiskKind })
}

func spareOf(faults []harness.Fault, nodes []harness.NodeID, these func(harness.Fault) bool) []harness.Fault {
	var plan []harness.Fault
	for _, f := range faults {
		if f.Kind == KillKind || f.Kind == MembershipKind || len(f.Links) > 0 || len(f.Nodes) == 0 || !these(f) {
			plan = append(plan, f)
			continue
		}
		dead := deadAround(faults, f.Start)
		for _, n := range replacedIn(faults, f.Start, f.Stop+spareAround) { // it would be gone before the heal can look at it
			dead[n] = true
		}
		if f.Kind == DiskKind {
			if !served(faults, nodes, f) {
				continue
			}
			maps.Copy(dead, idle(faults, nodes, f))
		}
		whom := slices.DeleteFunc(slices.Clone(f.Nodes), func(n harness.NodeID) bool { return dead[n] })
		for _, n := range nodes {
			if len(whom) < len(f.Nodes) && !dead[n] && !slices.Contains(whom, n) {
				whom = append(whom, n)
			}
		}
		if len(whom) > 0 {
			slices.Sort(whom)
			f.Nodes = whom
			plan = append(plan, f)
		}
	}
	return plan
}

// deadAround lists the nodes that kills are planned to hold close to an instant, and those
// that are no members then: their disks may not be used.
func deadAround(faults []harness.Fault, at time.Duration) map[harness.NodeID]bool {
	dead := make(map[harness.NodeID]bool)
	for _, k := range faults {
		if (k.Kind == KillKind || k.Kind == MembershipKind) && k.Start-spareAround < at && at < k.Stop+spareAround {
			for _, n := range k.Nodes {
				dead[n] = true
			}
		}
	}
	return dead
}

// meet lets each fault of links have one at least that no partition cuts in its time, and at whose ends
// no node is being replaced, since nothing can be seen on the others: if need be it takes all links, or one that was to be
// of a single pair takes another pair.
func meet(faults []harness.Fault, nodes []harness.NodeID) []harness.Fault {
	plan := slices.Clone(faults)
	for i := range plan {
		f := &plan[i]
		if f.Kind != PacketKind {
			continue
		}
		links, cut := grudge.All(nodes), make(map[harness.Link]bool)
		gone := replacedIn(faults, f.Start, f.Stop)
		for _, l := range links {
			cut[l] = slices.Contains(gone, l.From) || slices.Contains(gone, l.To)
		}
		for _, p := range faults {
			if p.Kind == PartitionKind && p.Start < f.Stop && f.Start < p.Stop {
				for _, l := range p.Links {
					cut[l] = true
				}
			}
		}
		if slices.ContainsFunc(f.Links, func(l harness.Link) bool { return !cut[l] }) {
			continue
		}
		if free := slices.IndexFunc(links, func(l harness.Link) bool { return !cut[l] }); len(f.Links) == 2 && free >= 0 {
			links = []harness.Link{links[free], {From: links[free].To, To: links[free].From}}
		}
		f.Links = links
	}
	return plan
}

// inUse is how long a node must run while its disk is bad, so that the disk is used.
const inUse = 1500 * time.Millisecond

// idle lists the nodes that other faults are planned to hold for nearly all of a fault's time.
func idle(faults []harness.Fault, nodes []harness.NodeID, f harness.Fault) map[harness.NodeID]bool {
	lazy := make(map[harness.NodeID]bool)
	for _, n := range nodes {
		runs := f.Stop - f.Start
		for _, o := range faults {
			if (o.Kind == KillKind || o.Kind == PauseKind || o.Kind == MembershipKind) && slices.Contains(o.Nodes, n) {
				runs -= max(0, min(o.Stop, f.Stop)-max(o.Start, f.Start))
			}
		}
		if runs < min(inUse, (f.Stop-f.Start)/2) {
			lazy[n] = true
		}
	}
	return lazy
}

// served reports whether most nodes run for long enough of a fault's time: where too few
// run for a quorum, requests are refused before any disk is used.
func served(faults []harness.Fault, nodes []harness.NodeID, f harness.Fault) bool {
	moments := []time.Duration{f.Start, f.Stop}
	for _, o := range faults {
		for _, at := range []time.Duration{o.Start, o.Stop} {
			if f.Start < at && at < f.Stop {
				moments = append(moments, at)
			}
		}
	}
	slices.Sort(moments)
	var long time.Duration
	for i, from := range moments[:len(moments)-1] {
		held := make(map[harness.NodeID]bool)
		for _, o := range faults {
			if (o.Kind == KillKind || o.Kind == PauseKind) && o.Start <= from && from < o.Stop {
				for _, n := range o.Nodes {
					held[n] = true
				}
			}
		}
		if 2*len(held) < len(nodes) {
			long += moments[i+1] - from
		}
	}
	return long >= min(inUse, (f.Stop-f.Start)/2)
}
