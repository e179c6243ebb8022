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
	v := NewValidator()
	v.unique = unique
	for i := range ops {
		if !v.Add(ops[i]) {
			break
		}
	}
	return v.Err()
}

type put struct{ key, value string }

// A begun operation has not completed.
type begun struct {
	line int
	op   harness.Op
}

// A Validator is [WellFormed] for a history that goes by line by line: it holds the operations under way and a
// few bytes for each process that ended in an Info. It is not safe for concurrent use.
type Validator struct {
	unique   bool // values must be
	lines    int
	before   harness.Op     // the line before
	open     map[lane]begun // invocations without completion
	gone     map[int]int    // client processes that ended in an Info, by line
	values   map[put]int    // puts, by line
	phase    int
	problems []error
}

// NewValidator returns one that has seen nothing.
func NewValidator() *Validator {
	return &Validator{open: make(map[lane]begun), gone: make(map[int]int), values: make(map[put]int)}
}

// Add looks at the next line, and reports whether more are worth looking at.
func (v *Validator) Add(op harness.Op) bool {
	if len(v.problems) > problemsMax {
		return false
	}
	v.lines++
	if err := v.line(op); err != nil {
		v.problems = append(v.problems, fmt.Errorf("line %d: %w", v.lines, err))
	}
	v.before = op
	if len(v.problems) == problemsMax {
		v.problems = append(v.problems, errors.New("and perhaps more"))
		return false
	}
	return true
}

// Err says what is wrong in which lines, counted from 1; nil if nothing is.
func (v *Validator) Err() error { return errors.Join(v.problems...) }

func (v *Validator) line(op harness.Op) error {
	if err := v.order(op); err != nil {
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
		return v.invoke(op)
	case harness.OK, harness.Fail, harness.Info:
		return v.complete(op)
	default:
		return fmt.Errorf("kind %q is none of invoke, ok, fail, info", op.Kind)
	}
}

// order checks a line against the one before it.
func (v *Validator) order(op harness.Op) error {
	if op.Time < 0 {
		return fmt.Errorf("time %d is before the run began", op.Time)
	}
	var rank int
	switch op.Phase {
	case "":
		rank = v.phase
	case harness.Load:
	case harness.Settle:
		rank = 1
	case harness.Final:
		rank = 2
	default:
		return fmt.Errorf("phase %q is none of load, settle, final", op.Phase)
	}
	if rank < v.phase {
		return fmt.Errorf("phase %q comes too late", op.Phase)
	}
	v.phase = rank
	switch {
	case v.lines == 1:
	case op.Index <= v.before.Index:
		return fmt.Errorf("index %d does not follow %d", op.Index, v.before.Index)
	case op.Time < v.before.Time:
		return fmt.Errorf("time %d is before %d of the line above", op.Time, v.before.Time)
	}
	return nil
}

func (v *Validator) invoke(op harness.Op) error {
	l := laneOf(op)
	if b, ok := v.open[l]; ok {
		return fmt.Errorf("process %d invokes again, but its operation of line %d has not completed", op.Process, b.line)
	}
	if line, ok := v.gone[op.Process]; ok && op.Process >= 0 {
		return fmt.Errorf("process %d goes on after its info of line %d", op.Process, line)
	}
	v.open[l] = begun{v.lines, op}
	if op.F != harness.Put || !v.unique {
		return nil
	}
	p := put{op.Key, op.Value}
	if line, ok := v.values[p]; ok {
		return fmt.Errorf("put of %q to key %q repeats line %d: values must be unique", op.Value, op.Key, line)
	}
	v.values[p] = v.lines
	return nil
}

func (v *Validator) complete(op harness.Op) error {
	l := laneOf(op)
	b, ok := v.open[l]
	if !ok {
		return fmt.Errorf("process %d completes what it never invoked", op.Process)
	}
	delete(v.open, l)
	if op.Kind == harness.Info && op.Process >= 0 {
		v.gone[op.Process] = v.lines
	}
	if diff := Differences(b.op, op); len(diff) > 0 {
		return fmt.Errorf("completion does not repeat its invocation of line %d: %s", b.line, strings.Join(diff, ", "))
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
