package checker

import (
	"context"
	"fmt"
	"slices"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// Register judges each key as a linearizable register whose values may repeat and that may
// be compared and set. Where values are unique and nothing is compared it is
// [Linearizable]; else only a search can tell, which Porcupine makes within a budget.
//
// A compare-and-set that failed without an error says that the value was another; one
// that failed with an error says nothing.
func Register() harness.Checker { return casCheck{Linearizable(Budget{}).(linearizable)} }

type casCheck struct{ linearizable }

func (casCheck) Name() string { return "register" }

func (c casCheck) Check(ctx context.Context, h []harness.Op) harness.Finding {
	f := c.judge(ctx, h)
	f.Checker = c.Name()
	return f
}

func (c casCheck) judge(ctx context.Context, h []harness.Op) harness.Finding {
	keys, plain := casOps(h)
	if plain {
		return c.linearizable.check(ctx, h)
	}
	found := collect(Claims{Mode: WriteBack}, NotLinearizable)
	var doubts []string
	total := 0
	for _, key := range sortedKeys(keys) {
		ops := keys[key]
		total += len(ops)
		legal, doubt := c.search(ctx, stepsOf(ops))
		switch {
		case doubt != "":
			doubts = append(doubts, fmt.Sprintf("key %s: %s", key, doubt))
		case !legal:
			found.add(NotLinearizable, len(ops), func() harness.Anomaly { return c.tellCAS(ctx, key, ops) })
		}
	}
	if total == 0 {
		doubts = append(doubts, "no operation to judge")
	}
	return found.finding(fmt.Sprintf("%s on %s", count(total, "operation", "operations"), count(len(keys), "key", "keys")), doubts,
		map[string]float64{"operations": float64(total), "keys": float64(len(keys))})
}

// A casOp is an operation on a register, with its lines.
type casOp struct {
	SearchStep
	inv  harness.Op
	done int // index of its completion, or none
}

// casOps sorts out the operations on every register. plain: values are unique, no key is
// compared, so the fast method will do.
func casOps(h []harness.Op) (keys map[string][]casOp, plain bool) {
	keys, plain = make(map[string][]casOp), true
	type put struct{ key, value string }
	written := make(map[put]bool)
	for _, p := range history.Pairs(h) {
		inv := h[p.Invoke]
		if inv.Process < 0 {
			continue
		}
		o := casOp{SearchStep{Process: inv.Process, F: inv.F, Old: inv.Element, Value: inv.Value, Unknown: true, Call: inv.Time, Return: forever}, inv, none}
		kind, done := harness.Info, harness.Op{}
		if p.Completion >= 0 {
			done = h[p.Completion]
			kind, o.done = done.Kind, done.Index
		}
		if kind != harness.Info {
			o.Unknown, o.Return = false, done.Time
		}
		switch {
		case inv.F == harness.Get && kind == harness.OK:
			o.Value = ""
			if shown := live(done.Siblings); len(shown) == 1 {
				o.Value = shown[0].Value
			} else if len(shown) > 1 {
				return map[string][]casOp{}, true // the fast method tells of siblings
			}
		case inv.F == harness.Put && kind != harness.Fail:
			plain = plain && !written[put{inv.Key, inv.Value}] && inv.Value != ""
			written[put{inv.Key, inv.Value}] = true
		case inv.F == harness.CAS && (kind != harness.Fail || done.Error == ""):
			plain, o.Missed = false, kind == harness.Fail
		default:
			continue // it did nothing, or nobody knows what it saw
		}
		keys[inv.Key] = append(keys[inv.Key], o)
	}
	return keys, plain
}

func stepsOf(ops []casOp) []SearchStep {
	steps := make([]SearchStep, len(ops))
	for i, o := range ops {
		steps[i] = o.SearchStep
	}
	return steps
}

// tellCAS cuts a history that cannot be ordered down to the operations that matter: the
// shortest beginning that fails, without every operation that it fails without, too.
func (l linearizable) tellCAS(ctx context.Context, key string, ops []casOp) harness.Anomaly {
	fails := func(some []casOp) bool {
		legal, doubt := l.search(ctx, stepsOf(some))
		return doubt == "" && !legal
	}
	few := ops
	if n, ok := shortest(len(ops), func(n int) bool { return fails(before(ops, n)) }); ok {
		few = before(ops, n)
	}
	for i := len(few) - 1; i >= 0 && len(few) <= 400 && ctx.Err() == nil; i-- {
		// A write may not go that something read: the rest would fail for want of it.
		if few[i].F != harness.Get && slices.ContainsFunc(few, func(o casOp) bool {
			return o.F == harness.Get && o.Value == few[i].Value || o.F == harness.CAS && !o.Missed && o.Old == few[i].Value
		}) {
			continue
		}
		if less := slices.Delete(slices.Clone(few), i, i+1); fails(less) {
			few = less
		}
	}
	a := harness.Anomaly{Kind: NotLinearizable, Key: key}
	where := ""
	if key != "" {
		where = " on key " + key
	}
	a.Story = append(a.Story, fmt.Sprintf("No order of the operations%s explains what they saw; these %d of %d are enough to show it.", where, len(few), len(ops)))
	for _, o := range few {
		a.Ops = append(a.Ops, o.inv.Index)
		if o.done != none {
			a.Ops = append(a.Ops, o.done)
		}
		a.Story = append(a.Story, o.told())
	}
	return a
}

// before is the first n operations; those that ended after the last of them began have
// an unknown end, as if the history had been cut there.
func before(ops []casOp, n int) []casOp {
	cut := slices.Clone(ops[:n])
	if n == len(ops) {
		return cut
	}
	end := ops[n].Call
	out := cut[:0]
	for _, o := range cut {
		if o.Return >= end {
			if o.F == harness.Get || o.F == harness.CAS && o.Missed {
				continue
			}
			o.Return, o.Unknown, o.Missed = forever, true, false
		}
		out = append(out, o)
	}
	return out
}

// shortest is the least n up to limit for which fails holds, if it holds for any and, once
// it does, for all that are greater.
func shortest(limit int, fails func(int) bool) (int, bool) {
	if !fails(limit) {
		return limit, false
	}
	lo, hi := 0, limit
	for lo < hi {
		if mid := (lo + hi) / 2; fails(mid) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo, true
}

func (o casOp) told() string {
	what := map[bool]string{false: "", true: ", outcome unknown"}[o.Unknown]
	span := fmt.Sprintf("from %s to %s", instant(o.Call), instant(o.Return))
	if o.Return == forever {
		span = "from " + instant(o.Call)
	}
	switch {
	case o.F == harness.Get:
		seen := label(o.Value)
		if o.Value == "" {
			seen = "nothing"
		}
		return fmt.Sprintf("Process %d read %s (op %d, %s).", o.Process, seen, o.inv.Index, span)
	case o.F == harness.Put:
		return fmt.Sprintf("Process %d wrote %s (op %d, %s%s).", o.Process, label(o.Value), o.inv.Index, span, what)
	case o.Missed:
		return fmt.Sprintf("Process %d found another value than %s and did not write %s (op %d, %s).", o.Process, label(o.Old), label(o.Value), o.inv.Index, span)
	}
	return fmt.Sprintf("Process %d changed %s to %s (op %d, %s%s).", o.Process, label(o.Old), label(o.Value), o.inv.Index, span, what)
}
