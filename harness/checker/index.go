package checker

import (
	"errors"
	"slices"
	"time"

	"cartwheel/harness"
)

// cellsMax bounds the vectors of one key: 256 million entries, 1 GiB. Only very many
// writes without a context on one key come near it: each is a chain of its own.
const cellsMax = 256 << 20

var errTooWide = errors.New("too many concurrent writes to compare")

const none = -1 // instead of a position

// doubtful stands for a sibling that may be one of several writes.
const doubtful = -2

// An index is a history sorted out: what each write superseded, what each answer shows.
// It is read-only once it is built, and apart from h it keeps no line of the history,
// only numbers and the values of carts: a few hundred bytes an operation.
type index struct {
	h      []harness.Op    // to tell stories from; nil if the history went by as a stream
	times  []time.Duration // of the lines
	keys   []*keyIndex     // sorted by key
	faults []window
	lost   []lostDisk
	audits []harness.Op // completions
	unrest string       // why the cluster said that it was not quiet; empty if it did not
	served *service     // how long replicas took
	claims Claims       // of the check that looks
	buried *buried      // the keys of a store that collects tombstones, once somebody has asked
}

// A keyIndex is all that happened to one key. Writes are known by their position in
// writes, answers by theirs in answers. All int32 that are called inv or done are lines.
type keyIndex struct {
	key     string
	h       []harness.Op
	times   []time.Duration
	writes  []write  // in call order
	answers []answer // in order of completion
	rounds  [][]copyRead

	chains  [][]int32 // the writes of each chain
	cells   int
	lost    []lostDisk
	holders *holders // by number, see write
	strange int      // contexts that no earlier answer gave
	hidden  bool     // deletes took effect, but no answer ever showed a tombstone
	buries  bool     // what deletes covered, and they themselves, may have been forgotten: answers admit to it

	sights  []int32 // writes shown, answer by answer
	names   []string
	deletes []int32         // writes that are tombstones
	byWrite map[string]int  // tombstones by the name of the write
	carts   map[int32]entry // what writes with an Action did
	sorting *sorting        // while lines come in
}

// outcome is the kind of a completion, in a byte.
type outcome uint8

const (
	undecided outcome = iota // nobody knows
	acknowledged
	failed
)

// A write is a put or a delete.
type write struct {
	inv, done  int32 // done may be none
	process    int32
	from       int32 // answer whose context it carried; none for a blind or unknown one
	chain, pos int32
	held       int32 // number of the copies that its acknowledgement counted; 0: not known
	outcome    outcome
	tombstone  bool
	open       bool   // some of its past is not known
	named      bool   // it is a delete, and known which tombstones are its own
	down       vector // itself and its past
}

// An answer is what a completion showed.
type answer struct {
	inv, done int32
	process   int32
	own       int32 // the write that it answers, or none
	first     int32 // its part of sights
	shown     int32
	token     int32  // number of its context among the key's; 0 without one
	set       uint64 // fingerprint of its siblings, whatever their order
	live      int32  // siblings that are no tombstones
	replica   bool   // one node's own copy, not a client's view
	open      bool   // some of what it admits to is not known
	down      vector
}

// An entry is what a write meant to a cart.
type entry struct{ action, element, value string }

// A copyRead is one node's copy of a key, read in the final phase.
type copyRead struct {
	node      harness.NodeID
	inv, done int32
	answer    int32  // none: it could not be read
	state     string // name of the copy: equal copies have equal names
	siblings  []harness.Sibling
}

// holds reports whether the answer shows or supersedes w, as far as is known.
func (a *answer) holds(w *write) bool { return w.in(a.down) }

// client reports whether the answer is what a get showed to a client.
func (a *answer) client() bool { return a.own == none && !a.replica }

// past reports whether u is in the past of w, as far as is known.
func (w *write) past(u *write) bool { return w != u && u.in(w.down) }

// in reports whether a set holds the write.
func (w *write) in(v vector) bool { return v.at(w.chain) >= w.pos }

// acked and effective: see harness.Kind. An effective write may have taken effect.
func (w *write) acked() bool     { return w.outcome == acknowledged }
func (w *write) effective() bool { return w.outcome != failed }

// seen lists the writes that an answer shows, or none or doubtful instead.
func (k *keyIndex) seen(a *answer) []int32 { return k.sights[a.first : a.first+a.shown] }

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
	return !slices.ContainsFunc(k.last(), func(c copyRead) bool {
		return c.answer == none || first[c.node] != c.state
	})
}
