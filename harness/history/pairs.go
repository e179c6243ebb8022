package history

import "cartwheel/harness"

// A Pair is an operation as two positions in the history it was taken from.
type Pair struct {
	Invoke     int
	Completion int // -1: it never completed, which means what Info means
}

// lane is what can have one operation at a time. A client process is one lane. Faults
// may overlap in time, so each side of a fault is a lane of its own; the final phase
// is one lane for each copy that it reads.
type lane struct {
	process int
	a, b    string
}

func laneOf(op harness.Op) lane {
	switch {
	case op.Process == harness.NemesisProcess && op.Fault != nil:
		return lane{op.Process, op.Fault.ID, op.Action}
	case op.Process == harness.FinalProcess:
		return lane{op.Process, string(op.Node), op.Key}
	default:
		return lane{process: op.Process}
	}
}

// Pairs joins every invocation with its completion, in the order of the
// invocations. It expects a history that [Validate] accepts; a completion without an
// invocation is skipped.
func Pairs(ops []harness.Op) []Pair {
	pairs := make([]Pair, 0, len(ops)/2)
	open := make(map[lane]int)
	for i, op := range ops {
		l := laneOf(op)
		if op.Kind == harness.Invoke {
			open[l] = len(pairs)
			pairs = append(pairs, Pair{Invoke: i, Completion: -1})
			continue
		}
		if p, ok := open[l]; ok {
			pairs[p].Completion = i
			delete(open, l)
		}
	}
	return pairs
}
