package register

import (
	"fmt"
	"maps"

	"cartwheel/harness"
	"cartwheel/harness/generator"
)

// Replay does the steps of an earlier run again, each put with the token of its thread's
// last successful operation on the key. As in [Generator], a key is not written any more
// after a put of unknown outcome.
func Replay(s harness.Setup, steps []harness.Step) harness.Generator {
	return generator.Replay(steps, s.Time, memory{})
}

// weakReplay is the same with writers that continue their own puts only, as those of
// weakGenerator do.
func weakReplay(s harness.Setup, steps []harness.Step) harness.Generator {
	return generator.Replay(steps, s.Time, memory{putsOnly: true})
}

// memory is what the writers go by. It is a value: maps are copied before they change.
type memory struct {
	tokens   map[place][]byte
	left     map[string]bool // keys with a put of unknown outcome
	putsOnly bool            // no context is taken from gets
}

// A place is a key as one thread knows it.
type place struct {
	thread int
	key    string
}

// Fill leaves out puts to a key that was left.
func (m memory) Fill(thread int, s harness.Step) (harness.Op, bool) {
	op := harness.Op{F: s.F, Key: s.Key, Action: s.Action, Element: s.Element}
	if s.F == harness.Put {
		op.Value, op.Context = fmt.Sprintf("v%d", s.Put), m.tokens[place{thread, s.Key}]
	}
	return op, !op.IsWrite() || !m.left[s.Key]
}

// Saw follows the tokens, and puts of which nobody knows what became.
func (m memory) Saw(thread int, op harness.Op) generator.Memory {
	switch {
	case op.Kind == harness.OK && (op.IsWrite() || !m.putsOnly):
		m.tokens = with(m.tokens, place{thread, op.Key}, op.Token)
	case op.Kind == harness.Info && op.IsWrite():
		m.left = with(m.left, op.Key, true)
	}
	return m
}

// with returns a copy of a map with one more entry.
func with[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	m = maps.Clone(m)
	if m == nil {
		m = make(map[K]V)
	}
	m[k] = v
	return m
}
