package cart

import (
	"fmt"
	"maps"
	"slices"

	"cartwheel/harness"
	"cartwheel/harness/generator"
)

// Replay does the steps of an earlier run again. As in [Generator], a put takes up what
// its thread has read of the cart since it last wrote there, and is blind if that is nothing.
func Replay(s harness.Setup, steps []harness.Step) harness.Generator {
	return generator.Replay(steps, s.Time, memory{})
}

// looks are a thread's at a cart.
type looks struct {
	thread int
	key    string
}

// A glance is what a get showed.
type glance struct {
	items []string
	token []byte
}

// memory is what the shoppers have looked at and not yet acted upon. It is a value: the
// map is copied before it changes.
type memory map[looks]glance

// Fill leaves out what makes no sense with what its thread sees: the removal of what is
// not in the cart, and a check-out of nothing.
func (m memory) Fill(thread int, s harness.Step) (harness.Op, bool) {
	op := harness.Op{F: s.F, Key: s.Key, Action: s.Action, Element: s.Element}
	if s.F == harness.Get {
		return op, true
	}
	seen := m[looks{thread, s.Key}]
	if s.F == harness.Delete {
		op.Context = seen.token
		return op, len(seen.items) > 0
	}
	items := slices.Clone(seen.items)
	if s.Action == "remove" {
		i := slices.Index(items, s.Element)
		if i < 0 {
			return op, false
		}
		items = slices.Delete(items, i, i+1)
	} else {
		items = append(items, s.Element)
	}
	op.Context = seen.token
	op.Value = Value{ID: fmt.Sprintf("v%d", s.Put), Items: items}.Encode()
	return op, true
}

// Saw forgets what was seen once an operation is done: it is over with a write, and
// a get that failed showed nothing.
func (m memory) Saw(thread int, op harness.Op) generator.Memory {
	if op.Kind == harness.Invoke {
		return m
	}
	m = maps.Clone(m)
	at := looks{thread, op.Key}
	delete(m, at)
	if op.F == harness.Get && op.Kind == harness.OK {
		m[at] = glance{Merge(op.Siblings), op.Token}
	}
	return m
}
