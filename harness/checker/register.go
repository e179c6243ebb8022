package checker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// A register is one key taken as a register: a single value, at first none.
type register struct {
	key string
	ops []registerOp // in call order
	// What keeps the key from being a register.
	broken []harness.Anomaly
	doubt  string // why it cannot be judged
}

// A registerOp is a write or a read of a register. Its interval is closed.
type registerOp struct {
	process   int
	write     bool
	value     string // written or read; empty is the initial value
	call      time.Duration
	ret       time.Duration // forever for a write that may take effect at any later time
	inv, done int           // numbers of its lines; done may be none
	title     string
}

// registers takes every key that clients used as a register, sorted by key. Writes that
// certainly failed and reads without an answer are left out.
func registers(ctx context.Context, h []harness.Op) ([]*register, error) {
	keys := make(map[string]*register)
	written := make(map[string]map[string]int)
	for i, p := range history.Pairs(h) {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		inv := h[p.Invoke]
		if inv.Process < 0 || inv.F != harness.Get && !inv.IsWrite() {
			continue
		}
		r := keys[inv.Key]
		if r == nil {
			r = &register{key: inv.Key}
			keys[inv.Key] = r
			written[inv.Key] = make(map[string]int)
		}
		done := harness.Op{Kind: harness.Info, Time: forever, Index: none}
		if p.Completion >= 0 {
			done = h[p.Completion]
		}
		o := registerOp{process: inv.Process, call: inv.Time, ret: done.Time, inv: inv.Index, done: done.Index, title: title(inv)}
		switch {
		case done.Kind == harness.Fail, inv.F == harness.Get && done.Kind != harness.OK:
			continue
		case inv.F == harness.Delete:
			r.doubt = fmt.Sprintf("op %d is a delete, whose value is not unique", inv.Index)
			continue
		case inv.F == harness.Put:
			if other, ok := written[inv.Key][inv.Value]; ok {
				r.doubt = fmt.Sprintf("ops %d and %d both wrote %s", other, inv.Index, label(inv.Value))
			} else if inv.Value == "" {
				r.doubt = fmt.Sprintf("op %d wrote the empty value, which means that nothing was written", inv.Index)
			}
			written[inv.Key][inv.Value] = inv.Index
			o.write, o.value = true, inv.Value
			if done.Kind == harness.Info {
				o.ret = forever
			}
		default:
			shown := live(done.Siblings)
			if len(shown) > 1 {
				r.broken = append(r.broken, siblingsIn(inv, done))
				continue
			}
			if len(shown) == 1 {
				o.value = shown[0].Value
			}
		}
		r.ops = append(r.ops, o)
	}
	out := make([]*register, 0, len(keys))
	for _, key := range sortedKeys(keys) {
		out = append(out, keys[key])
	}
	return out, nil
}

func siblingsIn(inv, done harness.Op) harness.Anomaly {
	return harness.Anomaly{
		Kind: SiblingsInRegister, Key: inv.Key, Ops: []int{inv.Index, done.Index},
		Story: []string{fmt.Sprintf("%s of key %s showed %s at %s: a register has one value at a time.",
			capital(said(inv)), inv.Key, showing(done.Siblings), instant(done.Time))},
	}
}

// validate returns why the operations of a register do not make a history. Porcupine
// does not look: it would give such a history a verdict, and perhaps a wrong one.
func (r *register) validate() error {
	busy := make(map[int]registerOp)
	for i, o := range r.ops {
		if o.ret < o.call {
			return fmt.Errorf("op %d ended before it began", o.inv)
		}
		if i > 0 && o.call < r.ops[i-1].call {
			return fmt.Errorf("op %d is out of order", o.inv)
		}
		if before, ok := busy[o.process]; ok && (before.ret == forever || before.ret > o.call) {
			return fmt.Errorf("process %d began op %d during op %d", o.process, o.inv, before.inv)
		}
		busy[o.process] = o
	}
	return nil
}

// settled shortens writes of unknown outcome: one whose value nobody read is left out,
// since it can be thought to come last, and one that was read took effect before the
// first such read ended. This changes no verdict for registers with unique values and
// blind writes, and saves the search from trying them everywhere.
func settled(ops []registerOp) []registerOp {
	first := make(map[string]time.Duration)
	for _, o := range ops {
		if end, ok := first[o.value]; !o.write && (!ok || o.ret < end) {
			first[o.value] = o.ret
		}
	}
	out := slices.Clone(ops)
	out = slices.DeleteFunc(out, func(o registerOp) bool {
		_, read := first[o.value]
		return o.write && o.ret == forever && !read
	})
	for i := range out {
		if out[i].write && out[i].ret == forever {
			// A read that ended before the write began stays a contradiction.
			out[i].ret = max(out[i].call, first[out[i].value])
		}
	}
	return out
}
