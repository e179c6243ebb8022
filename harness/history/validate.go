package history

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"cartwheel/harness"
)

// problemsMax bounds a report: the first few problems explain the rest.
const problemsMax = 10

// Validate returns nil for a well formed history: indices ascend and times do not go
// back, phases follow each other, a process does one operation at a time and none
// after an Info, a completion repeats its invocation, and no two puts of a key write
// the same value. Otherwise it says what is wrong in which lines, counted from 1.
func Validate(ops []harness.Op) error { return validate(ops, true) }

// WellFormed is Validate without the last: values may repeat, as in histories of other
// tools.
func WellFormed(ops []harness.Op) error { return validate(ops, false) }

func validate(ops []harness.Op, unique bool) error {
	v := validator{
		unique: unique,
		open:   make(map[lane]int),
		gone:   make(map[int]int),
		values: make(map[put]int),
	}
	for i := range ops {
		if err := v.line(ops, i); err != nil {
			v.problems = append(v.problems, fmt.Errorf("line %d: %w", i+1, err))
		}
		if len(v.problems) == problemsMax {
			v.problems = append(v.problems, errors.New("and perhaps more"))
			break
		}
	}
	return errors.Join(v.problems...)
}

type put struct{ key, value string }

type validator struct {
	unique   bool         // values must be
	open     map[lane]int // invocations without completion, by position
	gone     map[int]int  // client processes that ended in an Info, by position
	values   map[put]int  // puts, by position
	phase    int
	problems []error
}

func (v *validator) line(ops []harness.Op, i int) error {
	op := ops[i]
	if err := v.order(ops, i); err != nil {
		return err
	}
	if op.F == "" {
		return errors.New("no function")
	}
	switch {
	case op.Process < harness.FinalProcess:
		return fmt.Errorf("process %d is none of ours", op.Process)
	case op.Process == harness.NemesisProcess && (op.Fault == nil || op.Fault.ID == ""):
		return errors.New("a nemesis line without its fault")
	}
	switch op.Kind {
	case harness.Invoke:
		return v.invoke(op, i)
	case harness.OK, harness.Fail, harness.Info:
		return v.complete(ops, i)
	default:
		return fmt.Errorf("kind %q is none of invoke, ok, fail, info", op.Kind)
	}
}

// order checks a line against the one before it.
func (v *validator) order(ops []harness.Op, i int) error {
	op := ops[i]
	if op.Time < 0 {
		return fmt.Errorf("time %d is before the run began", op.Time)
	}
	rank, ok := map[harness.Phase]int{"": v.phase, harness.Load: 0, harness.Settle: 1, harness.Final: 2}[op.Phase]
	switch {
	case !ok:
		return fmt.Errorf("phase %q is none of load, settle, final", op.Phase)
	case rank < v.phase:
		return fmt.Errorf("phase %q comes too late", op.Phase)
	}
	v.phase = rank
	if i == 0 {
		return nil
	}
	before := ops[i-1]
	switch {
	case op.Index <= before.Index:
		return fmt.Errorf("index %d does not follow %d", op.Index, before.Index)
	case op.Time < before.Time:
		return fmt.Errorf("time %d is before %d of the line above", op.Time, before.Time)
	}
	return nil
}

func (v *validator) invoke(op harness.Op, i int) error {
	l := laneOf(op)
	if j, ok := v.open[l]; ok {
		return fmt.Errorf("process %d invokes again, but its operation of line %d has not completed", op.Process, j+1)
	}
	if j, ok := v.gone[op.Process]; ok && op.Process >= 0 {
		return fmt.Errorf("process %d goes on after its info of line %d", op.Process, j+1)
	}
	v.open[l] = i
	if op.F != harness.Put || !v.unique {
		return nil
	}
	p := put{op.Key, op.Value}
	if j, ok := v.values[p]; ok {
		return fmt.Errorf("put of %q to key %q repeats line %d: values must be unique", op.Value, op.Key, j+1)
	}
	v.values[p] = i
	return nil
}

func (v *validator) complete(ops []harness.Op, i int) error {
	op := ops[i]
	l := laneOf(op)
	j, ok := v.open[l]
	if !ok {
		return fmt.Errorf("process %d completes what it never invoked", op.Process)
	}
	delete(v.open, l)
	if op.Kind == harness.Info && op.Process >= 0 {
		v.gone[op.Process] = i
	}
	if diff := Differences(ops[j], op); len(diff) > 0 {
		return fmt.Errorf("completion does not repeat its invocation of line %d: %s", j+1, strings.Join(diff, ", "))
	}
	return nil
}

// Differences names the fields in which a completion does not repeat what its
// invocation said; none of a proper pair. Siblings, tokens and the like belong to the
// completion alone.
func Differences(invoke, completion harness.Op) []string {
	var diff []string
	field := func(name, was, is string) {
		if was != is {
			diff = append(diff, fmt.Sprintf("%s was %q and is %q", name, was, is))
		}
	}
	if invoke.Process != completion.Process {
		diff = append(diff, fmt.Sprintf("process was %d and is %d", invoke.Process, completion.Process))
	}
	field("f", invoke.F, completion.F)
	field("key", invoke.Key, completion.Key)
	field("node", string(invoke.Node), string(completion.Node))
	field("value", invoke.Value, completion.Value)
	field("action", invoke.Action, completion.Action)
	field("element", invoke.Element, completion.Element)
	if !bytes.Equal(invoke.Context, completion.Context) {
		diff = append(diff, "context differs")
	}
	return diff
}
