package checker

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/anishathalye/porcupine"

	"cartwheel/harness"
)

// A Search is a question to Porcupine as data, so that another process can answer it: are
// these operations those of a linearizable register?
type Search struct {
	Steps  []SearchStep  `json:"steps"`
	Time   time.Duration `json:"time"`   // budget in nanoseconds
	Memory int64         `json:"memory"` // budget in bytes
}

// A SearchStep is an operation on a register.
type SearchStep struct {
	Process int           `json:"process"`
	F       string        `json:"f"`                 // get, put or cas
	Old     string        `json:"old,omitempty"`     // cas: the value that it expects
	Value   string        `json:"value,omitempty"`   // read, written, or set by a cas; empty is the initial value
	Missed  bool          `json:"missed,omitempty"`  // cas: the value was another
	Unknown bool          `json:"unknown,omitempty"` // cas: nobody knows what the value was
	Call    time.Duration `json:"call"`
	Return  time.Duration `json:"return"`
}

// step is the register: what an operation does to a value, and whether it can happen there.
func (o SearchStep) step(value string) (bool, string) {
	switch {
	case o.F == harness.Get:
		return o.Value == value, value
	case o.F == harness.Put:
		return true, o.Value
	case o.Unknown: // it may have found another value
		if value == o.Old {
			return true, o.Value
		}
		return true, value
	case o.Missed:
		return value != o.Old, value
	}
	return value == o.Old, o.Value
}

// An Answer says whether the operations can be ordered, or in Doubt why that is not known.
type Answer struct {
	Legal bool   `json:"legal"`
	Doubt string `json:"doubt,omitempty"`

	spent bool // the doubt is that memory ran out
}

// A Searcher answers a search somewhere else. It keeps to the budget, and may be asked
// from several goroutines at once.
type Searcher func(context.Context, Search) Answer

type searcherKey struct{}

// WithSearcher has searches that [Linearizable] cannot finish in a little memory made by s.
// Without it they are made in this process to the end of their budget, by an estimate of what
// they keep; a process of its own can be held to it by the operating system.
func WithSearcher(ctx context.Context, s Searcher) context.Context {
	return context.WithValue(ctx, searcherKey{}, s)
}

// Answer makes the search in this process, until its budget or ctx is over.
func (s Search) Answer(ctx context.Context) Answer {
	m := newMeter(ctx, len(s.Steps), s.Memory)
	ops := make([]porcupine.Operation, len(s.Steps))
	lanes := lanes{}
	for i, o := range s.Steps {
		ops[i] = porcupine.Operation{ClientId: lanes.of(o.Process), Input: o, Call: int64(o.Call), Return: int64(o.Return)}
	}
	model := porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, input, _ any) (bool, any) {
			ok, next := input.(SearchStep).step(state.(string))
			return ok && m.afford(), next
		},
		Equal: func(a, b any) bool { return a.(string) == b.(string) },
		Hash:  func(state any) uint64 { return maphash.String(registerSeed, state.(string)) },
	}
	result := porcupine.CheckOperationsTimeout(model, ops, s.Time)
	switch reason := m.reason.Load(); {
	case reason != nil:
		return Answer{Doubt: *reason, spent: m.left.Load() < 0}
	case result == porcupine.Unknown:
		return Answer{Doubt: fmt.Sprintf("the search of %d operations ran out of its time of %v", len(ops), s.Time.Round(time.Millisecond))}
	}
	return Answer{Legal: result == porcupine.Ok}
}

// hereMemory is what a search may keep, in bytes, before it goes to a process of its own.
// Nearly all end far below.
const hereMemory = 32 << 20

// anywhere begins the search here and, if that does not get far, has it made elsewhere
// from the start.
func (s Search) anywhere(ctx context.Context) Answer {
	elsewhere, ok := ctx.Value(searcherKey{}).(Searcher)
	if !ok || s.Memory <= hereMemory {
		return s.Answer(ctx)
	}
	little := s
	little.Memory = hereMemory
	if a := little.Answer(ctx); !a.spent {
		return a
	}
	return elsewhere(ctx, s)
}

// search asks Porcupine within what is left of the budget. A doubt says why there is no answer.
func (l linearizable) search(ctx context.Context, steps []SearchStep) (legal bool, doubt string) {
	n := len(steps)
	if n > l.budget.Ops {
		return false, fmt.Sprintf("%d operations, a search is made for %d at most", n, l.budget.Ops)
	}
	// Every operation that fits clones a bit for each: n*n/8, and three times that with
	// what the collector has not yet taken back.
	if need := int64(n) * int64(n) / 8 * 3; need > l.budget.Memory {
		return false, fmt.Sprintf("%d operations need about %d MiB, the budget is %d MiB", n, need>>20, l.budget.Memory>>20)
	}
	limit := l.budget.Time
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(min(limit, time.Until(deadline)), time.Millisecond)
	}
	a := Search{Steps: steps, Time: limit, Memory: l.budget.Memory}.anywhere(ctx)
	return a.Legal, a.Doubt
}
