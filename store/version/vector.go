package version

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Actor is a source of events for one key: one node, for as long as it has held
// the key without interruption. A node that lost a key, or cannot prove that it did
// not, goes on as a new actor, because a counter that is used again makes replicas
// drop acknowledged writes.
type Actor struct {
	Node  uint64 // random, drawn once when the node's disk is first used
	Epoch uint64 // value of the node-wide counter at which this tenure began
}

// A Dot names one event: the Counter-th number that Actor's node has issued.
// Counters are node-wide, so those of one key rise with gaps.
type Dot struct {
	Actor
	Counter uint64
}

func (a Actor) compare(b Actor) int {
	return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Epoch, b.Epoch))
}

func (d Dot) compare(e Dot) int {
	return cmp.Or(d.Actor.compare(e.Actor), cmp.Compare(d.Counter, e.Counter))
}

// String renders a dot as node.epoch:counter, the node's last four hexadecimal digits only.
func (d Dot) String() string { return fmt.Sprintf("%04x.%d:%d", d.Node&0xffff, d.Epoch, d.Counter) }

// A Vector stands for a set of events: for each actor, all of its events of this
// key up to a counter. It is sorted by actor and has one entry an actor; nil is empty.
type Vector []Dot

// At returns the highest counter of the actor's events in v, 0 if there are none.
func (v Vector) At(a Actor) uint64 {
	if i, ok := v.find(a); ok {
		return v[i].Counter
	}
	return 0
}

func (v Vector) find(a Actor) (int, bool) {
	return slices.BinarySearchFunc(v, a, func(d Dot, a Actor) int { return d.Actor.compare(a) })
}

// Covers reports whether the event d is in v.
func (v Vector) Covers(d Dot) bool { return d.Counter <= v.At(d.Actor) }

// Includes reports whether every event of w is in v.
func (v Vector) Includes(w Vector) bool {
	for _, d := range w {
		if !v.Covers(d) {
			return false
		}
	}
	return true
}

// With returns v with the event d and all earlier ones of its actor.
func (v Vector) With(d Dot) Vector {
	i, ok := v.find(d.Actor)
	switch {
	case !ok:
		return slices.Insert(slices.Clone(v), i, d)
	case v[i].Counter >= d.Counter:
		return v
	}
	out := slices.Clone(v)
	out[i] = d
	return out
}

// Without returns v without the entry of an actor.
func (v Vector) Without(a Actor) Vector {
	i, ok := v.find(a)
	if !ok {
		return v
	}
	return slices.Delete(slices.Clone(v), i, i+1)
}

// Join returns the events of v and of w: for each actor the higher counter.
func (v Vector) Join(w Vector) Vector {
	if len(v) == 0 {
		return w
	}
	out := make(Vector, 0, max(len(v), len(w)))
	for len(v) > 0 && len(w) > 0 {
		switch c := v[0].Actor.compare(w[0].Actor); {
		case c < 0:
			out, v = append(out, v[0]), v[1:]
		case c > 0:
			out, w = append(out, w[0]), w[1:]
		default:
			out = append(out, Dot{v[0].Actor, max(v[0].Counter, w[0].Counter)})
			v, w = v[1:], w[1:]
		}
	}
	return append(append(out, v...), w...)
}

// Equal reports whether v and w hold the same events.
func (v Vector) Equal(w Vector) bool { return slices.Equal(v, w) }

// String renders the vector for logs and tables.
func (v Vector) String() string {
	parts := make([]string, len(v))
	for i, d := range v {
		parts[i] = d.String()
	}
	return "{" + strings.Join(parts, " ") + "}"
}
