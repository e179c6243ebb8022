package ancestor

import (
	"encoding/binary"
	"slices"

	"cartwheel/store/version"
)

// A write is one put, by its number; its value is a set of items, which the experiment knows.
type write int

// A past is what a client has read: whatever the rule hands out as a context.
type past struct {
	clock  clock
	vector version.Vector
}

// An event is a put as its coordinator makes it.
type event struct {
	node  int
	epoch uint64 // in which the node has held the key without a break, for dots
	step  uint64
	past  past
	write write
	limit int // pairs of a clock
}

// A replicated is one copy of the key under one rule. All methods return new values.
type replicated interface {
	writes() []write // siblings
	past() past
	put(e event) replicated
	merge(other replicated) replicated
	entries() int // of the longest clock
}

// A versions is a copy under the paper's rule: each sibling has a clock of its own.
type versions struct {
	list   []stamped
	raised bool // a coordinator never gives a counter twice
}

type stamped struct {
	clock clock
	write write
}

func (v versions) writes() (out []write) {
	for _, s := range v.list {
		out = append(out, s.write)
	}
	return out
}

func (v versions) past() (p past) {
	for _, s := range v.list {
		p.clock = p.clock.join(s.clock)
	}
	return p
}

func (v versions) put(e event) replicated {
	counter := e.past.clock.at(e.node)
	if v.raised {
		counter = max(counter, v.past().clock.at(e.node))
	}
	c := e.past.clock.with(pair{e.node, counter + 1, e.step}).truncated(e.limit)
	return v.add(stamped{c, e.write})
}

// add is what a replica does with a version: one whose clock it covers is forgotten, as is one with the same clock, and those that it
// supersedes go.
func (v versions) add(s stamped) versions {
	for _, old := range v.list {
		if old.clock.covers(s.clock) {
			return v
		}
	}
	kept := slices.DeleteFunc(slices.Clone(v.list), func(old stamped) bool { return s.clock.covers(old.clock) })
	return versions{append(kept, s), v.raised}
}

func (v versions) merge(other replicated) replicated {
	for _, s := range other.(versions).list {
		v = v.add(s)
	}
	return v
}

func (v versions) entries() (most int) {
	for _, s := range v.list {
		most = max(most, len(s.clock))
	}
	return most
}

// A shared is a copy under one vector for all siblings, which cannot tell whom a put has seen: either it has seen all, or nobody goes.
type shared struct {
	clock    clock
	siblings []write
}

func (s shared) writes() []write { return s.siblings }
func (s shared) past() past      { return past{clock: s.clock} }
func (s shared) entries() int    { return len(s.clock) }

func (s shared) put(e event) replicated {
	out := shared{clock: s.clock.join(e.past.clock)}
	if !e.past.clock.covers(s.clock) {
		out.siblings = s.siblings
	}
	out.siblings = append(slices.Clone(out.siblings), e.write)
	out.clock = out.clock.with(pair{e.node, out.clock.at(e.node) + 1, e.step})
	return out
}

func (s shared) merge(other replicated) replicated {
	o := other.(shared)
	switch a, b := s.clock.covers(o.clock), o.clock.covers(s.clock); {
	case a && !b:
		return s
	case b && !a:
		return o
	}
	out := shared{s.clock.join(o.clock), slices.Clone(s.siblings)}
	for _, w := range o.siblings {
		if !slices.Contains(out.siblings, w) {
			out.siblings = append(out.siblings, w)
		}
	}
	return out
}

// A dotted is a copy as the store has it.
type dotted struct{ set version.Set }

func (d dotted) writes() (out []write) {
	for _, v := range d.set.Versions {
		out = append(out, write(binary.BigEndian.Uint64(v.Value)))
	}
	return out
}

func (d dotted) past() past   { return past{vector: d.set.Vector} }
func (d dotted) entries() int { return len(d.set.Vector) }

func (d dotted) put(e event) replicated {
	dot := version.Dot{Actor: version.Actor{Node: uint64(e.node) + 1, Epoch: e.epoch}, Counter: e.step}
	return dotted{d.set.Put(e.past.vector, version.Version{Dot: dot, Value: binary.BigEndian.AppendUint64(nil, uint64(e.write))})}
}

func (d dotted) merge(other replicated) replicated {
	return dotted{version.Merge(d.set, other.(dotted).set)}
}
