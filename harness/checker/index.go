package checker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// cellsMax bounds the vectors of one key: 64 million entries, 256 MiB. Only very many
// writes without a context on one key come near it.
const cellsMax = 64 << 20

var errTooWide = errors.New("too many concurrent writes to compare")

const none = -1 // instead of a position

// An index is a history sorted out: what each write superseded, what each answer shows.
// It is read-only once it is built.
type index struct {
	h      []harness.Op
	keys   []*keyIndex // sorted by key
	faults []window
	unrest string // why the cluster said that it was not quiet; empty if it did not
}

// A keyIndex is all that happened to one key. Writes are known by their position in
// writes, answers by theirs in answers.
type keyIndex struct {
	key     string
	h       []harness.Op
	writes  []write  // in call order
	answers []answer // in order of completion
	rounds  [][]copyRead

	chains  []int // last write of each chain
	cells   int
	strange int  // contexts that no earlier answer gave
	hidden  bool // deletes took effect, but no answer ever showed a tombstone

	byValue map[string]int
	byToken map[string][]int
	byWrite map[string]int // tombstones by the store's name for the write
}

// A write is a put or a delete.
type write struct {
	inv, done  int // lines of the history; done may be none
	outcome    harness.Kind
	tombstone  bool
	from       int  // answer whose context it carried; none for a blind or unknown one
	open       bool // some of its past is not known
	chain, pos int32
	down       vector // itself and its past
}

// An answer is what a completion showed.
type answer struct {
	inv, done int
	own       int   // the write that it answers, or none
	replica   bool  // one node's own copy, not a client's view
	seen      []int // writes shown, or none, or doubtful
	open      bool  // some of what it admits to is not known
	down      vector
}

// doubtful stands for a sibling that may be one of several writes.
const doubtful = -2

// A copyRead is one node's copy of a key, read in the final phase.
type copyRead struct {
	node      harness.NodeID
	inv, done int
	answer    int // none: it could not be read
	state     string
}

// holds reports whether the answer shows or supersedes w, as far as is known.
func (a answer) holds(w *write) bool { return w.in(a.down) }

// past reports whether u is in the past of w, as far as is known.
func (w *write) past(u *write) bool { return w != u && u.in(w.down) }

// in reports whether a set holds the write.
func (w *write) in(v vector) bool { return v.at(w.chain) >= w.pos }

// acked and effective: see harness.Kind. An effective write may have taken effect.
func (w *write) acked() bool     { return w.outcome == harness.OK }
func (w *write) effective() bool { return w.outcome != harness.Fail }

// newIndex sorts out a history. It fails when its context is over or when the history
// cannot be decided by values.
func newIndex(ctx context.Context, h []harness.Op) (*index, error) {
	x := &index{h: h, faults: windows(h)}
	keys := make(map[string]*keyIndex)
	of := func(op harness.Op) *keyIndex {
		k := keys[op.Key]
		if k == nil {
			k = &keyIndex{
				key: op.Key, h: h,
				byValue: make(map[string]int), byToken: make(map[string][]int), byWrite: make(map[string]int),
			}
			keys[op.Key] = k
		}
		return k
	}
	for _, p := range history.Pairs(h) {
		op := h[p.Invoke]
		var err error
		switch {
		case op.F == harness.ReplicaRead:
			of(op).copyRead(p)
		case op.Process < 0:
			x.unrest = unrestOf(h, p, x.unrest)
		case op.IsWrite():
			err = of(op).write(p)
		case op.F == harness.Get:
			of(op).answered(p, none)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if err := keys[key].link(ctx); err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		x.keys = append(x.keys, keys[key])
	}
	return x, nil
}

// unrestOf returns what a settle line says, or what was known before.
func unrestOf(h []harness.Op, p history.Pair, before string) string {
	if h[p.Invoke].F != "settle" {
		return before
	}
	if p.Completion >= 0 && h[p.Completion].Kind == harness.Info {
		return h[p.Completion].Error
	}
	return ""
}

func (k *keyIndex) write(p history.Pair) error {
	op := k.h[p.Invoke]
	w := write{inv: p.Invoke, done: p.Completion, outcome: harness.Info, tombstone: op.F == harness.Delete, from: none}
	if p.Completion >= 0 {
		w.outcome = k.h[p.Completion].Kind
	}
	n := len(k.writes)
	if !w.tombstone {
		if other, ok := k.byValue[op.Value]; ok {
			return fmt.Errorf("key %q: ops %d and %d both wrote %q, so answers do not tell which they show",
				k.key, k.h[k.writes[other].inv].Index, op.Index, op.Value)
		}
		k.byValue[op.Value] = n
	}
	k.writes = append(k.writes, w)
	if w.acked() {
		k.answered(p, n)
	}
	return nil
}

func (k *keyIndex) answered(p history.Pair, own int) {
	if p.Completion < 0 || k.h[p.Completion].Kind != harness.OK {
		return
	}
	k.answers = append(k.answers, answer{inv: p.Invoke, done: p.Completion, own: own})
}

// copyRead files a replica read. A node that is read again begins a new round.
func (k *keyIndex) copyRead(p history.Pair) {
	op := k.h[p.Invoke]
	c := copyRead{node: op.Node, inv: p.Invoke, done: p.Completion, answer: none}
	if p.Completion >= 0 && k.h[p.Completion].Kind == harness.OK {
		c.answer, c.state = p.Completion, k.h[p.Completion].CopyState() // the position follows in link
		k.answers = append(k.answers, answer{inv: p.Invoke, done: p.Completion, own: none, replica: true})
	}
	last := len(k.rounds) - 1
	if last < 0 || slices.ContainsFunc(k.rounds[last], func(o copyRead) bool { return o.node == c.node }) {
		k.rounds = append(k.rounds, nil)
		last++
	}
	k.rounds[last] = append(k.rounds[last], c)
}

// link finds out what every answer shows, what every write supersedes, and lays the
// writes out in chains.
func (k *keyIndex) link(ctx context.Context) error {
	slices.SortStableFunc(k.answers, func(a, b answer) int { return a.done - b.done })
	at := make(map[int]int, len(k.answers))
	for i, a := range k.answers {
		at[a.done] = i
		if token := k.h[a.done].Token; len(token) > 0 {
			k.byToken[string(token)] = append(k.byToken[string(token)], i)
		}
	}
	for _, round := range k.rounds {
		for i := range round {
			if round[i].answer != none {
				round[i].answer = at[round[i].done]
			}
		}
	}
	k.identify()
	for i := range k.writes {
		if i%256 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := k.chain(i); err != nil {
			return err
		}
	}
	for i := range k.answers {
		if i%256 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		a := &k.answers[i]
		for _, s := range a.seen {
			if s >= 0 {
				a.down = a.down.join(k.writes[s].down)
				a.open = a.open || k.writes[s].open
			}
		}
		if k.cells += len(a.down); k.cells > cellsMax {
			return errTooWide
		}
	}
	return nil
}

// chain gives write i its past and its place.
func (k *keyIndex) chain(i int) error {
	w := &k.writes[i]
	var direct []int
	if token := k.h[w.inv].Context; len(token) > 0 {
		w.from = k.source(w, string(token))
		if w.from == none {
			w.open = true
			k.strange++
		} else {
			direct = k.answers[w.from].seen
			w.open = k.answers[w.from].open
		}
	}
	for _, s := range direct {
		switch {
		case s < 0: // nobody knows what that one superseded
		case s >= i:
			w.open = true // shown before it was written; its past is not laid out yet
		default:
			w.down = w.down.join(k.writes[s].down)
			w.open = w.open || k.writes[s].open
		}
	}
	w.chain = none
	for _, s := range direct {
		if s >= 0 && s < i && k.chains[k.writes[s].chain] == s {
			w.chain = k.writes[s].chain
			break
		}
	}
	for c := 0; w.chain == none && c < len(k.chains); c++ {
		if tail := &k.writes[k.chains[c]]; w.down.at(tail.chain) >= tail.pos {
			w.chain = int32(c)
		}
	}
	if w.chain == none {
		w.chain = int32(len(k.chains))
		k.chains = append(k.chains, i)
		w.pos = 1
	} else {
		w.pos = k.writes[k.chains[w.chain]].pos + 1
		k.chains[w.chain] = i
	}
	w.down = w.down.with(w.chain, w.pos)
	if k.cells += len(w.down); k.cells > cellsMax {
		return errTooWide
	}
	return nil
}

// source finds the answer whose context a write carried: the last one that its own
// process was given before, or else anybody was.
func (k *keyIndex) source(w *write, token string) int {
	found := none
	for _, a := range slices.Backward(k.byToken[token]) {
		if k.answers[a].done > w.inv {
			continue
		}
		if k.h[k.answers[a].inv].Process == k.h[w.inv].Process {
			return a
		}
		if found == none {
			found = a
		}
	}
	return found
}

// last is the last round of the final reads.
func (k *keyIndex) last() []copyRead {
	if len(k.rounds) == 0 {
		return nil
	}
	return k.rounds[len(k.rounds)-1]
}

// stuck reports whether the copies stayed as they were over several rounds of final
// reads: what they lack then is not merely late.
func (k *keyIndex) stuck() bool {
	if len(k.rounds) < 2 {
		return false
	}
	first := make(map[harness.NodeID]string)
	for _, c := range k.rounds[0] {
		first[c.node] = c.state
	}
	for _, c := range k.last() {
		if c.answer == none || first[c.node] != c.state {
			return false
		}
	}
	return true
}
