package checker

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"cartwheel/harness"
)

// A step of the search keeps a copy of the set of operations done, a bit each, and
// some bytes around it.
const stepOverhead = 160

// meter stops a search that is over its budget by letting no step succeed any more,
// which ends it at once; its result then means nothing. Porcupine has no such limit.
type meter struct {
	ctx    context.Context
	step   int64 // bytes that a successful step may keep
	left   atomic.Int64
	reason atomic.Pointer[string]
}

func newMeter(ctx context.Context, n int, memory int64) *meter {
	m := &meter{ctx: ctx, step: int64(n)/8 + stepOverhead}
	m.left.Store(memory)
	return m
}

func (m *meter) stop(reason string) bool {
	m.reason.CompareAndSwap(nil, &reason)
	return false
}

// afford reports whether one more successful step is within the budget.
func (m *meter) afford() bool {
	switch {
	case m.reason.Load() != nil:
		return false
	case m.ctx.Err() != nil:
		return m.stop(fmt.Sprintf("the search was cut short: %v", context.Cause(m.ctx)))
	case m.left.Add(-m.step) < 0:
		return m.stop("the search ran out of its memory budget")
	}
	return true
}

var registerSeed = maphash.MakeSeed() // of hashes that decide nothing

// registerModel is a register of unique values. Only in a search does it take a meter.
func registerModel(m *meter) porcupine.Model {
	step := func(_ context.Context, state, input, _ any) (bool, any) {
		o := input.(registerOp)
		if !o.write && o.value != state.(string) {
			return false, state
		}
		if m != nil && !m.afford() {
			return false, state
		}
		return true, o.value
	}
	return porcupine.Model{
		Init:        func() any { return "" },
		StepContext: step,
		Step:        func(state, input, output any) (bool, any) { return step(context.Background(), state, input, output) },
		Equal:       func(a, b any) bool { return a.(string) == b.(string) },
		Hash:        func(state any) uint64 { return maphash.String(registerSeed, state.(string)) },
		DescribeOperation: func(input, _ any) string {
			o := input.(registerOp)
			return o.told()
		},
		DescribeState: func(state any) string { return label(state.(string)) },
	}
}

// lanes number processes from 0, as Porcupine wants its clients.
type lanes map[int]int

func (l lanes) of(process int) int {
	if _, ok := l[process]; !ok {
		l[process] = len(l)
	}
	return l[process]
}

// operations hands a register's operations over, under clients numbered from 0.
func operations(ops []registerOp) []porcupine.Operation {
	out := make([]porcupine.Operation, len(ops))
	lanes := lanes{}
	for i, o := range ops {
		out[i] = porcupine.Operation{ClientId: lanes.of(o.process), Input: o, Call: int64(o.call), Output: o.value, Return: int64(o.ret)}
	}
	return out
}

// steps are a register's operations as a search takes them.
func (r *register) steps() []SearchStep {
	ops := settled(r.ops)
	out := make([]SearchStep, len(ops))
	for i, o := range ops {
		out[i] = SearchStep{Process: o.process, F: harness.Get, Value: o.value, Call: o.call, Return: o.ret}
		if o.write {
			out[i].F = harness.Put
		}
	}
	return out
}

// pictureTime bounds the longer search that a picture needs: it looks for all longest
// partial orders. What it has not found by then is left out of the picture.
const pictureTime = 3 * time.Second

// picture draws one register with the faults above it; nothing if that takes too much.
func (l linearizable) picture(ctx context.Context, r *register, faults []window) []byte {
	ops := settled(r.ops)
	if len(ops) == 0 || len(ops) > l.budget.Ops || ctx.Err() != nil {
		return nil
	}
	m := newMeter(ctx, 8*len(ops), l.budget.Memory) // a partial order takes a word an operation
	_, info := porcupine.CheckOperationsVerbose(registerModel(m), operations(ops), min(pictureTime, l.budget.Time))
	var notes []porcupine.Annotation
	end := ops[0].call
	for _, o := range ops {
		if o.ret < forever {
			end = max(end, o.ret)
		}
	}
	for _, f := range faults {
		if f.from > end {
			continue
		}
		notes = append(notes, porcupine.Annotation{
			Tag: "faults", Start: int64(f.from), End: int64(min(f.to, end)),
			Description: strings.TrimSpace(f.fault.Kind + " " + f.fault.Name), Details: f.String(),
		})
	}
	info.AddAnnotations(notes)
	var page bytes.Buffer
	if err := porcupine.Visualize(registerModel(nil), info, &page); err != nil {
		return nil // the verdict needs no picture
	}
	return page.Bytes()
}
