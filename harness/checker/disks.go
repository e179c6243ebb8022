package checker

import (
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
)

// A lostDisk was lost for good, with all that was on it.
type lostDisk struct {
	fault string // id
	nodes []harness.NodeID
	until time.Duration // at the latest
}

// lostDisks lists the disks that changes of members took: members are replaced because theirs is gone, or of the past.
// A change that failed half way counts: nobody knows how far it came. One that lets a member leave in good order
// does not, since the member hands over what it holds.
func lostDisks(h []harness.Op) (out []lostDisk) {
	for _, op := range h {
		if op.Process != harness.NemesisProcess || op.Fault == nil || op.Fault.Kind != "membership" {
			continue
		}
		during := injectAction
		switch name := op.Fault.Name; {
		case name == "rewind":
			during = healAction
		case !strings.HasSuffix(name, "replace") && !strings.HasSuffix(name, "rebuild") && name != "zombie":
			continue
		}
		if op.Action != during {
			continue
		}
		if op.Kind == harness.Invoke {
			out = append(out, lostDisk{op.Fault.ID, op.Fault.Nodes, forever})
		} else if i := slices.IndexFunc(out, func(d lostDisk) bool { return d.fault == op.Fault.ID }); i >= 0 {
			out[i].until = op.Time
		}
	}
	return out
}

// A storedCopy is one that an acknowledgement counted: on a node, in the place of an owner or, with none, for itself.
type storedCopy struct{ node, owner harness.NodeID }

// An account is what an acknowledgement tells of who stored a write.
type account struct {
	coordinator harness.NodeID
	copies      []storedCopy
}

// holders are the accounts of a shard's writes. There are few, and many writes of each.
type holders struct {
	ids  map[string]int32
	sets []account // the first is of writes of which nothing is known
	name []byte    // scratch
}

func newHolders() *holders { return &holders{ids: make(map[string]int32), sets: make([]account, 1)} }

// of returns the number of the account that an acknowledgement tells of; 0 if it tells of none.
func (h *holders) of(m *harness.Meta) int32 {
	if m == nil {
		return 0
	}
	h.name = append(append(h.name[:0], m.Coordinator...), ' ')
	told := len(h.name)
	for _, r := range m.Replies {
		if r.State == "ok" {
			h.name = append(append(append(append(h.name, r.Node...), '/'), r.For...), ' ')
		}
	}
	if len(h.name) == told {
		return 0
	}
	id, known := h.ids[string(h.name)]
	if !known {
		set := account{coordinator: m.Coordinator}
		for _, r := range m.Replies {
			if r.State == "ok" {
				set.copies = append(set.copies, storedCopy{r.Node, r.For})
			}
		}
		id = int32(len(h.sets))
		h.ids[string(h.name)], h.sets = id, append(h.sets, set)
	}
	return id
}

// gone reports whether the disks of all copies that a write's acknowledgement counted were lost later: then no promise
// is left, as W-1 disks may be lost and no more. A hint moves to its owner's disk, nobody knows when, and counts as
// gone with either.
func (k *keyIndex) gone(w *write) bool {
	if len(k.lost) == 0 || w.held == 0 {
		return false
	}
	later := func(n harness.NodeID) bool {
		return n != "" && slices.ContainsFunc(k.lost, func(d lostDisk) bool {
			return slices.Contains(d.nodes, n) && k.times[w.inv] <= d.until
		})
	}
	return !slices.ContainsFunc(k.holders.sets[w.held].copies, func(c storedCopy) bool { return !later(c.node) && !later(c.owner) })
}

// failing reports whether nodes may have failed in the middle of a write: they were killed, or lost a disk, or it was bad.
func (x *index) failing() bool {
	return len(x.lost) > 0 || slices.ContainsFunc(x.faults, func(w window) bool { return w.fault.Kind == "kill" || w.fault.Kind == "disk" })
}

// handsOn is how long a coordinator may take to hand a write on to all owners, or to others in their place: several
// time-outs of a second behind each other.
const handsOn = 5 * time.Second

// cutShort reports whether the coordinator of a write lost its process before it must have handed the write on, or later
// its disk, with the hints that it may have kept itself. One that is told to end hands on first.
func (k *keyIndex) cutShort(x *index, w *write) bool {
	if w.held == 0 {
		return false
	}
	from, to := k.times[w.inv], k.times[w.done]+handsOn
	n := k.holders.sets[w.held].coordinator
	return slices.ContainsFunc(x.faults, func(v window) bool {
		return v.fault.Kind == "kill" && v.fault.Signal != "TERM" && slices.Contains(v.fault.Nodes, n) && v.begun <= to && from <= v.from
	}) || slices.ContainsFunc(k.lost, func(d lostDisk) bool { return slices.Contains(d.nodes, n) && from <= d.until })
}

// onlyOpen reports whether copies differ by writes alone that their coordinators may not have handed on: those of unknown
// outcome, and those whose coordinator was killed.
func (k *keyIndex) onlyOpen(x *index, read []copyRead) bool {
	for i := range k.writes {
		w := &k.writes[i]
		if w.acked() && !k.cutShort(x, w) && slices.ContainsFunc(read, func(r copyRead) bool { return !k.answers[r.answer].holds(w) }) {
			return false
		}
	}
	return true
}
