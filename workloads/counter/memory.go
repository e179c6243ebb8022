package counter

import (
	"fmt"
	"maps"

	"cartwheel/harness"
	"cartwheel/harness/checker"
	"cartwheel/harness/generator"
)

// memory is what the sessions know: what each has last read of a counter and not yet
// written to, and what it has counted itself. It is a value: maps are copied before they
// change.
type memory struct {
	seen   map[place]glance
	own    map[place]account
	broken map[int]int // by thread: sessions that ended in an unknown outcome
}

// A place is a counter as one thread's session knows it.
type place struct {
	thread int
	key    string
}

// A glance is what a get showed.
type glance struct {
	sums  Sums
	token []byte
}

// An account is what a session has counted on one counter.
type account struct{ up, down int }

func (a account) after(action string) account {
	if action == checker.Decrement {
		a.down++
	} else {
		a.up++
	}
	return a
}

// session names the one that a thread is in.
func (m memory) session(thread int) string {
	if n := m.broken[thread]; n > 0 {
		return fmt.Sprintf("s%d.%d", thread, n)
	}
	return fmt.Sprintf("s%d", thread)
}

// Fill makes a step an operation: a put takes up what its thread has read of the counter
// since it last wrote there, and is blind if that is nothing.
func (m memory) Fill(thread int, s harness.Step) (harness.Op, bool) {
	op := harness.Op{F: s.F, Key: s.Key, Action: s.Action, Element: s.Element}
	if s.F == harness.Get {
		return op, true
	}
	at := place{thread, s.Key}
	seen, own := m.seen[at], m.own[at].after(s.Action)
	sums := seen.sums.join(Sums{})
	for _, side := range []struct {
		of map[string]int
		n  int
	}{{sums.Up, own.up}, {sums.Down, own.down}} {
		if side.n > 0 {
			side.of[m.session(thread)] = side.n
		}
	}
	op.Context = seen.token
	op.Value = Value{ID: fmt.Sprintf("v%d", s.Put), Sums: sums}.Encode()
	return op, true
}

// Saw takes note of what a get showed and of what was counted. What certainly failed was
// not; after an unknown outcome the thread begins a session that has counted nothing.
func (m memory) Saw(thread int, op harness.Op) generator.Memory { return m.saw(thread, op) }

func (m memory) saw(thread int, op harness.Op) memory {
	if op.Kind == harness.Invoke {
		return m
	}
	at := place{thread, op.Key}
	m.seen = maps.Clone(m.seen)
	if m.seen == nil {
		m.seen = map[place]glance{}
	}
	delete(m.seen, at)
	switch {
	case op.F == harness.Get && op.Kind == harness.OK:
		m.seen[at] = glance{Merge(op.Siblings), op.Token}
	case op.F == harness.Put && op.Kind == harness.OK:
		m.own = maps.Clone(m.own)
		if m.own == nil {
			m.own = map[place]account{}
		}
		m.own[at] = m.own[at].after(op.Action)
	case op.Kind == harness.Info:
		m.own, m.broken = maps.Clone(m.own), maps.Clone(m.broken)
		if m.broken == nil {
			m.broken = map[int]int{}
		}
		m.broken[thread]++
		maps.DeleteFunc(m.own, func(p place, _ account) bool { return p.thread == thread })
	}
	return m
}

// Replay does the steps of an earlier run again, each with what its thread knows in this one.
func Replay(s harness.Setup, steps []harness.Step) harness.Generator {
	return generator.Replay(steps, s.Time, memory{})
}
