package checker

import (
	"context"
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"
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
	Write   bool          `json:"write,omitempty"`
	Value   string        `json:"value,omitempty"` // written or read; empty is the initial value
	Call    time.Duration `json:"call"`
	Return  time.Duration `json:"return"`
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
	ops := make([]registerOp, len(s.Steps))
	for i, o := range s.Steps {
		ops[i] = registerOp{process: o.Process, write: o.Write, value: o.Value, call: o.Call, ret: o.Return}
	}
	return searchHere(ctx, ops, s.Time, s.Memory)
}

func searchHere(ctx context.Context, ops []registerOp, limit time.Duration, memory int64) Answer {
	m := newMeter(ctx, len(ops), memory)
	result := porcupine.CheckOperationsTimeout(registerModel(m), operations(ops), limit)
	switch reason := m.reason.Load(); {
	case reason != nil:
		return Answer{Doubt: *reason, spent: m.left.Load() < 0}
	case result == porcupine.Unknown:
		return Answer{Doubt: fmt.Sprintf("the search of %d operations ran out of its time of %v", len(ops), limit.Round(time.Millisecond))}
	}
	return Answer{Legal: result == porcupine.Ok}
}

// hereMemory is what a search may keep, in bytes, before it goes to a process of its own.
// Nearly all end far below.
const hereMemory = 32 << 20

// searchAnywhere begins a search here and, if that does not get far, has it made elsewhere
// from the start.
func searchAnywhere(ctx context.Context, ops []registerOp, limit time.Duration, memory int64) Answer {
	elsewhere, ok := ctx.Value(searcherKey{}).(Searcher)
	if !ok || memory <= hereMemory {
		return searchHere(ctx, ops, limit, memory)
	}
	if a := searchHere(ctx, ops, limit, hereMemory); !a.spent {
		return a
	}
	s := Search{Steps: make([]SearchStep, len(ops)), Time: limit, Memory: memory}
	for i, o := range ops {
		s.Steps[i] = SearchStep{Process: o.process, Write: o.write, Value: o.value, Call: o.call, Return: o.ret}
	}
	return elsewhere(ctx, s)
}
