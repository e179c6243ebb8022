package core

import (
	"context"
	"slices"
	"strings"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// triesMax bounds how often the checker is asked.
const triesMax = 400

// Of returns the indices of the operations that an anomaly of c's finding needs, invocations and completions, in
// their order; nil where no part of the history shows it by itself and nothing of another kind, or ctx
// was over before one was found. Taking any one of them away, with what only it explains, makes the
// anomaly another or none, unless ctx or the number of tries ended the search. h must be
// valid; it is not changed.
func Of(ctx context.Context, c harness.Checker, h []harness.Op, f harness.Finding, a harness.Anomaly) []int {
	s := newSearch(h, a)
	s.found = f.Counts
	shows := func(chosen []int) bool {
		s.tries++
		return s.among(c.Check(ctx, s.history(chosen)))
	}
	var left []int
	for _, first := range [][]int{s.proof, s.near, s.all} {
		if len(first) > 0 && ctx.Err() == nil && shows(first) {
			left = first
			break
		}
	}
	if left == nil {
		return nil
	}
	for size := (len(left) + 1) / 2; size > 0 && len(left) > 1; {
		smaller := false
		for from := 0; from < len(left) && s.tries < triesMax && ctx.Err() == nil; {
			rest := slices.Concat(left[:from], left[min(from+size, len(left)):])
			if len(rest) > 0 && shows(rest) {
				left, smaller = rest, true
			} else {
				from += size
			}
		}
		if s.tries >= triesMax || ctx.Err() != nil {
			break
		}
		if size == 1 && !smaller {
			break
		}
		size = max(size/2, 1)
	}
	var out []int
	for _, op := range s.history(left) {
		if !s.frame(op) {
			out = append(out, op.Index)
		}
	}
	return out
}

// A value of a key, or a context.
type value struct{ key, text string }

// A search knows a history as pairs of invocation and completion.
type search struct {
	h       []harness.Op
	anomaly harness.Anomaly
	found   map[string]int // anomalies in the whole history, by kind
	pairs   []history.Pair
	at      map[int]int     // index of an operation -> its pair
	proof   []int           // pairs that the anomaly names
	near    []int           // pairs of its key
	all     []int           // pairs of clients and of the final phase
	wrote   map[value][]int // the pairs that wrote it
	gave    map[value]int   // of a context: the pair that received it first
	tries   int
}

func newSearch(h []harness.Op, a harness.Anomaly) *search {
	s := &search{h: h, anomaly: a, pairs: history.Pairs(h), at: make(map[int]int), wrote: make(map[value][]int), gave: make(map[value]int)}
	for i, p := range s.pairs {
		s.at[h[p.Invoke].Index] = i
		if p.Completion >= 0 {
			s.at[h[p.Completion].Index] = i
		}
	}
	for i, p := range s.pairs {
		inv := h[p.Invoke]
		if inv.Process == harness.NemesisProcess || s.frame(inv) {
			continue
		}
		s.note(i)
		s.all = append(s.all, i)
		if inv.Key == a.Key {
			s.near = append(s.near, i)
		}
	}
	for _, index := range a.Ops {
		if i, ok := s.at[index]; ok && slices.Contains(s.all, i) && !slices.Contains(s.proof, i) {
			s.proof = append(s.proof, i)
		}
	}
	slices.Sort(s.proof)
	return s
}

// note takes down what a pair wrote and which context it gave.
func (s *search) note(i int) {
	p := s.pairs[i]
	inv := s.h[p.Invoke]
	written := inv.Value
	switch inv.F {
	case harness.Add, harness.Append:
		written = inv.Element
	case harness.Delete:
		written = tombstone(inv.Write)
	}
	if inv.IsWrite() || slices.Contains([]string{harness.CAS, harness.Add, harness.Append}, inv.F) {
		s.wrote[value{inv.Key, written}] = append(s.wrote[value{inv.Key, written}], i)
	}
	if p.Completion < 0 {
		return
	}
	if token := string(s.h[p.Completion].Token); token != "" {
		if _, known := s.gave[value{inv.Key, token}]; !known {
			s.gave[value{inv.Key, token}] = i
		}
	}
}

func tombstone(write string) string { return "\x00" + write }

// frame are the lines that say how far a run went. They stay, and are no part of what is found.
func (s *search) frame(op harness.Op) bool {
	return op.Process == harness.FinalProcess && op.F != harness.ReplicaRead && op.F != harness.Audit
}

// among reports whether a finding has the anomaly, and none of a kind that the whole history does not
// show: that would be for what was left out.
func (s *search) among(f harness.Finding) bool {
	for kind, n := range f.Counts {
		if n > 0 && s.found[kind] == 0 {
			return false
		}
	}
	return f.Verdict == harness.Invalid && slices.ContainsFunc(f.Anomalies, func(b harness.Anomaly) bool {
		a := s.anomaly
		return a.Kind == b.Kind && a.Key == b.Key && a.Element == b.Element && (len(a.Ops) == 0 || slices.Contains(b.Ops, a.Ops[0]))
	})
}

// history is what is left of the history: the pairs chosen, what explains them, and the frame.
func (s *search) history(chosen []int) []harness.Op {
	keep := make(map[int]bool, 2*len(chosen))
	for _, i := range chosen {
		keep[i] = true
	}
	for _, i := range chosen {
		for _, w := range s.shown(i) {
			keep[w] = true
		}
	}
	for i := range s.pairs {
		if !keep[i] {
			continue
		}
		if inv := s.h[s.pairs[i].Invoke]; inv.IsWrite() {
			if from, ok := s.gave[value{inv.Key, string(inv.Context)}]; ok && len(inv.Context) > 0 {
				keep[from] = true
			}
		}
	}
	var positions []int
	for i, p := range s.pairs {
		if keep[i] || s.frame(s.h[p.Invoke]) {
			positions = append(positions, p.Invoke)
			if p.Completion >= 0 {
				positions = append(positions, p.Completion)
			}
		}
	}
	slices.Sort(positions)
	out := make([]harness.Op, 0, len(positions))
	for _, p := range positions {
		out = append(out, s.h[p])
	}
	return out
}

// shown are the writes of what a read shows. Of several of the same value it is
// the last that had begun.
func (s *search) shown(i int) (out []int) {
	p := s.pairs[i]
	if p.Completion < 0 || s.h[p.Invoke].IsWrite() {
		return nil
	}
	key := s.h[p.Invoke].Key
	for _, sibling := range s.h[p.Completion].Siblings {
		name := sibling.Value
		if sibling.Tombstone {
			name = tombstone(sibling.Write)
		}
		names := []string{name}
		if len(s.wrote[value{key, name}]) == 0 { // a list of what was added
			names = strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("[]{}(),\" ", r) })
		}
		for _, n := range names {
			if w := s.last(value{key, n}, p.Completion); w >= 0 {
				out = append(out, w)
			}
		}
	}
	return out
}

// last is the last write of a value that began before a position; -1 if there is none.
func (s *search) last(v value, before int) int {
	last := -1
	for _, w := range s.wrote[v] {
		if s.pairs[w].Invoke < before {
			last = w
		}
	}
	return last
}
