package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"cartwheel/harness"
)

// randomSiblings makes a small history of one or two keys on two replicas that exchange
// their states now and then. A context lists the siblings that it covers, so that the
// reference needs no look back for it. Half of the histories get two reads exchanged.
func randomSiblings(r *rand.Rand, n int) []harness.Op {
	type version struct {
		id   string
		past map[string]bool
	}
	type pendingOp struct {
		op     harness.Op
		answer *harness.Op
	}
	replicas := [2]map[string][]version{{}, {}}
	apply := func(at int, key string, v version) {
		have := slices.DeleteFunc(slices.Clone(replicas[at][key]), func(o version) bool { return v.past[o.id] || o.id == v.id })
		if !slices.ContainsFunc(replicas[at][key], func(o version) bool { return o.past[v.id] }) {
			have = append(have, v)
		}
		replicas[at][key] = have
	}
	together := r.IntN(3) > 0 // an atomic store, or one whose replicas are apart
	pasts := make(map[string]map[string]bool)
	var h []harness.Op
	var now time.Duration
	add := func(op harness.Op) harness.Op {
		now += time.Duration(r.IntN(3))
		op.Index, op.Time, op.Phase = len(h), now, harness.Load
		h = append(h, op)
		return op
	}
	processes := []int{0, 1, 2}
	open := make(map[int]*pendingOp)
	tokens := make(map[string][]string) // by key: contexts given so far
	for writes := 0; n > 0 || len(open) > 0; {
		lane := r.IntN(len(processes))
		p := processes[lane]
		key := []string{"x", "y"}[r.IntN(5)/4]
		switch pend := open[p]; {
		case pend == nil && n > 0:
			n--
			op := harness.Op{Process: p, Kind: harness.Invoke, F: harness.Get, Key: key}
			if r.IntN(2) == 0 {
				writes++
				op.F, op.Value = harness.Put, fmt.Sprintf("v%d", writes)
				if t := tokens[key]; len(t) > 0 && r.IntN(4) > 0 {
					op.Context = []byte(t[len(t)-1-r.IntN(min(len(t), 2))])
				}
			}
			open[p] = &pendingOp{op: add(op)}
		case pend == nil:
		case pend.answer == nil:
			op := pend.op
			at := r.IntN(2)
			if op.F == harness.Put {
				v := version{op.Value, make(map[string]bool)}
				for _, s := range strings.Fields(string(op.Context)) {
					v.past[s] = true
					for u := range pasts[s] {
						v.past[u] = true
					}
				}
				pasts[op.Value] = v.past
				for i := range replicas {
					if i == at || together || r.IntN(2) == 0 {
						apply(i, op.Key, v)
					}
				}
			} else {
				for _, v := range replicas[at][op.Key] {
					op.Siblings = append(op.Siblings, harness.Sibling{Value: v.id})
				}
			}
			pend.answer = &op
		default:
			op := *pend.answer
			op.Kind = harness.OK
			if op.F == harness.Put && r.IntN(6) == 0 {
				op.Kind, op.Error = harness.Info, "lost"
				processes[lane] += 3
			}
			if op.F == harness.Get {
				op.Token = tokenOf(op.Siblings)
				if len(op.Token) > 0 {
					tokens[op.Key] = append(tokens[op.Key], string(op.Token))
				}
			}
			add(op)
			delete(open, p)
		}
	}
	if r.IntN(2) == 0 {
		exchange(r, h)
	}
	return h
}

func tokenOf(siblings []harness.Sibling) []byte {
	var ids []string
	for _, s := range siblings {
		ids = append(ids, s.Value)
	}
	slices.Sort(ids)
	return []byte(strings.Join(ids, " "))
}

// exchange swaps what two gets of a key showed.
func exchange(r *rand.Rand, h []harness.Op) {
	var gets []int
	for i, op := range h {
		if op.F == harness.Get && op.Kind == harness.OK && op.Key == "x" {
			gets = append(gets, i)
		}
	}
	if len(gets) < 2 {
		return
	}
	r.Shuffle(len(gets), func(i, j int) { gets[i], gets[j] = gets[j], gets[i] })
	a, b := &h[gets[0]], &h[gets[1]]
	a.Siblings, b.Siblings = b.Siblings, a.Siblings
	a.Token, b.Token = b.Token, a.Token
}

// A reference judges a history by explicit sets, one definition after the other.
type reference struct {
	h    []harness.Op
	done []int // of an invocation: its completion, or none
	past map[string]map[string]bool
	by   map[string]int // invocation by value
}

func newReference(h []harness.Op) *reference {
	ref := &reference{h: h, done: make([]int, len(h)), past: make(map[string]map[string]bool), by: make(map[string]int)}
	open := make(map[int]int)
	for i, op := range h {
		ref.done[i] = none
		if op.Kind != harness.Invoke {
			ref.done[open[op.Process]] = i
			continue
		}
		open[op.Process] = i
		if op.F == harness.Put {
			ref.by[op.Value] = i
			past := make(map[string]bool)
			for _, s := range strings.Fields(string(op.Context)) {
				past[s] = true
				for u := range ref.past[s] {
					past[u] = true
				}
			}
			ref.past[op.Value] = past
		}
	}
	return ref
}

// admits is D of a get.
func (ref *reference) admits(get int) map[string]bool {
	d := make(map[string]bool)
	for _, s := range ref.h[ref.done[get]].Siblings {
		d[s.Value] = true
		for u := range ref.past[s.Value] {
			d[u] = true
		}
	}
	return d
}

func (ref *reference) acked(i int) bool {
	return ref.h[i].F == harness.Put && ref.done[i] != none && ref.h[ref.done[i]].Kind == harness.OK
}

// gets lists the gets that were answered, wellFormed those that show no successor beside
// what it supersedes and nothing from the future.
func (ref *reference) gets() (all []int, wellFormed bool) {
	wellFormed = true
	for i, op := range ref.h {
		if op.Kind != harness.Invoke || op.F != harness.Get {
			continue
		}
		all = append(all, i)
		shown := ref.h[ref.done[i]].Siblings
		for _, s := range shown {
			if ref.by[s.Value] > ref.done[i] || slices.ContainsFunc(shown, func(o harness.Sibling) bool { return ref.past[o.Value][s.Value] }) {
				wellFormed = false
			}
		}
	}
	return all, wellFormed
}

// stale counts the gets that lack a write acknowledged before they were called.
func (ref *reference) stale() int {
	n := 0
	gets, _ := ref.gets()
	for _, g := range gets {
		d := ref.admits(g)
		for i, op := range ref.h {
			if op.Key == ref.h[g].Key && op.Kind == harness.Invoke && ref.acked(i) && ref.h[ref.done[i]].Time < ref.h[g].Time && !d[op.Value] {
				n++
				break
			}
		}
	}
	return n
}

// order is what a session had written, acknowledged, or read of a key before a line.
func (ref *reference) order(process int, key string, before int) (own, seen map[string]bool) {
	own, seen = make(map[string]bool), make(map[string]bool)
	for i, op := range ref.h[:before] {
		if op.Process != process || op.Key != key || op.Kind != harness.Invoke || ref.done[i] == none || ref.done[i] >= before {
			continue
		}
		if ref.acked(i) {
			own[op.Value] = true
			for u := range ref.past[op.Value] {
				own[u] = true
			}
		}
		if op.F == harness.Get {
			for u := range ref.admits(i) {
				seen[u] = true
			}
		}
	}
	return own, seen
}

// sessions counts the breaches of the four guarantees.
func (ref *reference) sessions() map[string]int {
	n := make(map[string]int)
	gets, _ := ref.gets()
	lacks := func(d, all map[string]bool) bool {
		for u := range all {
			if !d[u] {
				return true
			}
		}
		return false
	}
	for _, g := range gets {
		d, get := ref.admits(g), ref.h[g]
		count := func(kind string, all map[string]bool) {
			if lacks(d, all) {
				n[kind]++
			}
		}
		own, seen := ref.order(get.Process, get.Key, g)
		count(OwnWriteUnread, own)
		count(ReadWentBack, seen)
		for _, s := range ref.h[ref.done[g]].Siblings {
			w := ref.by[s.Value]
			own, seen := ref.order(ref.h[w].Process, get.Key, w)
			count(WriteOvertaken, own)
			count(ReadOvertaken, seen)
		}
	}
	return n
}

// causal counts the gets that lack what happened before them by the transitive closure
// of session order, reading and handing on of contexts.
func (ref *reference) causal() int {
	before := make(map[int]map[int]bool) // by invocation; closed
	under := func(i, j int) {            // j and all before it are before i
		before[i][j] = true
		for k := range before[j] {
			before[i][k] = true
		}
	}
	last := make(map[int]int)
	given := make(map[string]map[int]int) // by key and context: the last get of a process, or of any as -1
	n := 0
	for i, op := range ref.h {
		if op.Kind == harness.Invoke {
			before[i] = make(map[int]bool)
			if l, ok := last[op.Process]; ok {
				under(i, l)
			}
			last[op.Process] = i
			if by := given[op.Key+" "+string(op.Context)]; len(op.Context) > 0 && by != nil {
				if from, own := by[op.Process]; own {
					under(i, from)
				} else {
					under(i, by[-1])
				}
			}
			continue
		}
		if op.F != harness.Get {
			continue
		}
		g := slices.Index(ref.done, i)
		for _, s := range op.Siblings {
			under(g, ref.by[s.Value])
		}
		name := op.Key + " " + string(op.Token)
		if given[name] == nil {
			given[name] = make(map[int]int)
		}
		given[name][op.Process], given[name][-1] = g, g
		d, lacks := ref.admits(g), false
		for j := range before[g] {
			o := ref.h[j]
			if o.Key != op.Key || ref.done[j] == none || ref.done[j] > i {
				continue
			}
			if ref.acked(j) {
				lacks = lacks || !d[o.Value]
			}
			if o.F == harness.Get {
				for u := range ref.admits(j) {
					lacks = lacks || !d[u]
				}
			}
		}
		if lacks {
			n++
		}
	}
	return n
}

// mvrModel is a multi-value register for Porcupine: its state lists the siblings.
func mvrModel(past map[string]map[string]bool) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, input, output any) (bool, any) {
			op := input.(harness.Op)
			if op.F == harness.Get {
				return state.(string) == output.(string), state
			}
			siblings := slices.DeleteFunc(strings.Fields(state.(string)), func(s string) bool { return past[op.Value][s] })
			siblings = append(siblings, op.Value)
			slices.Sort(siblings)
			return true, strings.Join(siblings, " ")
		},
	}
}

// linearizable asks Porcupine about one key.
func (ref *reference) linearizable(key string) bool {
	var ops []porcupine.Operation
	for i, op := range ref.h {
		if op.Kind != harness.Invoke || op.Key != key {
			continue
		}
		o := porcupine.Operation{ClientId: op.Process, Input: op, Call: int64(op.Time), Return: int64(forever), Output: ""}
		if d := ref.done[i]; d != none && ref.h[d].Kind == harness.OK {
			o.Return, o.Output = int64(ref.h[d].Time), string(tokenOf(ref.h[d].Siblings))
		}
		ops = append(ops, o)
	}
	return porcupine.CheckOperations(mvrModel(ref.past), ops)
}
