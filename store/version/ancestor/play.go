package ancestor

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// copies is how many nodes hold the key (N); a read asks two of them, and a write is in two when it is acknowledged.
const copies = 3

// A Rule is how a key remembers what its values have seen.
type Rule int

// The rules, oldest first.
const (
	Literal Rule = iota // the paper at its word: the coordinator's pair of the context plus one; equal clocks are one version
	Raised              // the same, but no lower than any counter the coordinator has given
	Shared              // one vector for all siblings of a key
	Dotted              // a dot for each sibling: package version
)

// Rules lists them all.
var Rules = []Rule{Literal, Raised, Shared, Dotted}

// String returns a name of few words.
func (r Rule) String() string {
	return [...]string{"paper's vector clock", "counters always rise", "one vector a key", "dotted"}[r]
}

func (r Rule) empty() replicated {
	switch r {
	case Shared:
		return shared{}
	case Dotted:
		return dotted{}
	}
	return versions{raised: r == Raised}
}

// Options of an experiment. All but Limit are required.
type Options struct {
	Rule         Rule
	Clients      int        // that read, add an item and write, again and again
	Coordinators int        // nodes that take writes: owners first, and then nodes that stand in for them and keep nothing
	Adds         int        // of each client
	Limit        int        // pairs of a clock, for Literal and Raised; 0: no limit
	Rand         *rand.Rand // owned by the experiment
}

// An Outcome is what became of the items.
type Outcome struct {
	Added    int // acknowledged
	Lost     int // of those, in no copy in the end
	Siblings int // most that a read has shown
	Reads    int
	False    int // reads that showed a version beside one that supersedes it
	Entries  int // of the longest clock
}

// LossRate is the part of the acknowledged adds that was lost, 0 to 1.
func (o Outcome) LossRate() float64 { return float64(o.Lost) / float64(o.Added) }

// FalseRate is the part of the reads that showed what had been superseded, 0 to 1.
func (o Outcome) FalseRate() float64 { return float64(o.False) / float64(o.Reads) }

// Add returns the sum of two experiments.
func (o Outcome) Add(p Outcome) Outcome {
	return Outcome{
		Added: o.Added + p.Added, Lost: o.Lost + p.Lost, Reads: o.Reads + p.Reads, False: o.False + p.False,
		Siblings: max(o.Siblings, p.Siblings), Entries: max(o.Entries, p.Entries),
	}
}

// A world is an experiment under way. Item and write have the same number: each write adds one.
type world struct {
	Options
	copies  []replicated
	pending []message
	clients []client
	items   []items // of each write: what its value holds, itself included
	outcome Outcome
	step    uint64
}

// A message is a state on its way to a copy.
type message struct {
	to    int
	state replicated
}

// A client reads and then writes; between the two, others do.
type client struct {
	left  int
	read  bool
	past  past
	holds items // what it has read
}

// Items are a set of writes, a bit each.
type items []uint64

func (s items) has(w write) bool { return int(w)/64 < len(s) && s[w/64]>>(w%64)&1 == 1 }

func (s items) with(w write) items {
	out := append(slices.Clone(s), make(items, max(0, int(w)/64+1-len(s)))...)
	out[w/64] |= 1 << (w % 64)
	return out
}

func (s items) union(t items) items {
	if len(s) < len(t) {
		s, t = t, s
	}
	out := slices.Clone(s)
	for i, word := range t {
		out[i] |= word
	}
	return out
}

func (s items) len() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// Play makes one experiment. A write reaches the copy that does not count for its acknowledgement a little later. A node that stands in
// has nothing to compare with; it hands on what it is given and forgets it.
func Play(o Options) Outcome {
	w := &world{Options: o, copies: make([]replicated, copies), clients: make([]client, o.Clients)}
	for i := range w.copies {
		w.copies[i] = o.Rule.empty()
	}
	for i := range w.clients {
		w.clients[i].left = o.Adds
	}
	for {
		var able []int
		for i, c := range w.clients {
			if c.left > 0 {
				able = append(able, i)
			}
		}
		if len(able) == 0 {
			return w.end()
		}
		w.step++
		w.act(&w.clients[able[o.Rand.IntN(len(able))]])
		w.deliver()
	}
}

// act makes a client read, or write what it has read and one item more.
func (w *world) act(c *client) {
	if !c.read {
		c.past, c.holds = w.read()
		c.read = true
		return
	}
	id := write(len(w.items))
	w.items = append(w.items, c.holds.with(id))
	at := w.Rand.IntN(w.Coordinators)
	e := event{node: at, epoch: 1, step: w.step, past: c.past, write: id, limit: w.Limit}
	order := w.Rand.Perm(copies)
	var state replicated
	if at < copies {
		state = w.copies[at].put(e)
		order = append([]int{at}, slices.DeleteFunc(order, func(i int) bool { return i == at })...)
	} else {
		e.epoch = w.step // its tenure of the key begins with each write
		state = w.Rule.empty().put(e)
	}
	w.outcome.Entries = max(w.outcome.Entries, state.entries())
	for i, to := range order {
		if i < copies-1 {
			w.copies[to] = w.copies[to].merge(state)
		} else {
			w.pending = append(w.pending, message{to, state})
		}
	}
	w.outcome.Added++
	c.read, c.left = false, c.left-1
}

// read merges two copies, and looks for versions that should be gone.
func (w *world) read() (past, items) {
	a := w.Rand.IntN(copies)
	b := (a + 1 + w.Rand.IntN(copies-1)) % copies
	state := w.copies[a].merge(w.copies[b])
	shown := state.writes()
	var holds items
	superseded := false
	for _, s := range shown {
		holds = holds.union(w.items[s])
		superseded = superseded || slices.ContainsFunc(shown, func(other write) bool { return other != s && w.items[other].has(s) })
	}
	w.outcome.Reads++
	w.outcome.Siblings = max(w.outcome.Siblings, len(shown))
	if superseded {
		w.outcome.False++
	}
	return state.past(), holds
}

// deliver hands over a message that waits.
func (w *world) deliver() {
	if len(w.pending) == 0 {
		return
	}
	i := w.Rand.IntN(len(w.pending))
	m := w.pending[i]
	w.pending[i] = w.pending[len(w.pending)-1]
	w.pending = w.pending[:len(w.pending)-1]
	w.copies[m.to] = w.copies[m.to].merge(m.state)
}

// end lets all copies meet, and counts what is left.
func (w *world) end() Outcome {
	for len(w.pending) > 0 {
		w.deliver()
	}
	all := w.copies[0]
	for _, c := range w.copies[1:] {
		all = all.merge(c)
	}
	var kept items
	for _, s := range all.writes() {
		kept = kept.union(w.items[s])
	}
	w.outcome.Lost = w.outcome.Added - kept.len()
	return w.outcome
}
