package harness

import (
	"math/rand/v2"
	"time"
)

// A Generator is a pure value that decides which operation comes next. One goroutine
// asks it; it may keep state only in the Generator that it returns.
type Generator interface {
	// Next offers the next operation for one of the free processes.
	Next(c GenContext) (Draw, Generator)
	// Update tells of an invocation or a completion.
	Update(c GenContext, op Op) Generator
}

// A GenContext is what a generator may know.
type GenContext struct {
	Time time.Duration // since the load began
	Free []int         // processes without an operation, ascending; never empty in Next
	All  []int         // current processes of all threads; thread i's is All[i]
	Rand *rand.Rand    // owned by the caller of Next
	Only []int         // threads that this generator is confined to, ascending; nil: all of them
}

// Thread returns the thread that runs a process: processes of one thread follow each other.
func (c GenContext) Thread(process int) int { return process % len(c.All) }

// A Draw is a generator's answer.
type Draw struct {
	State DrawState
	Op    Op            // Ready: Process is one of Free; Time is ignored
	At    time.Duration // Ready: not before this time; Pending: ask again then, if set
}

// DrawState says what a Draw means.
type DrawState uint8

// States of a draw.
const (
	Done    DrawState = iota // there will be no more operations
	Pending                  // none now; ask again after the next completion, or at Draw.At
	Ready                    // here is one
)
