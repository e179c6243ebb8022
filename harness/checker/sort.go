package checker

import (
	"fmt"
	"hash/maphash"
	"slices"

	"cartwheel/harness"
)

// A fingerprint stands for a value or a context, so that these need not be kept: two
// that differ are told apart but for one chance in 10^38. The seeds decide nothing else.
type fingerprint [2]uint64

var fingerprintSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func fingerprintOf(s string) fingerprint {
	return fingerprint{maphash.String(fingerprintSeeds[0], s), maphash.String(fingerprintSeeds[1], s)}
}

func fingerprintOfBytes(b []byte) fingerprint {
	return fingerprint{maphash.Bytes(fingerprintSeeds[0], b), maphash.Bytes(fingerprintSeeds[1], b)}
}

// sorting is what a key needs only while its lines come in.
type sorting struct {
	byValue map[fingerprint]int32
	byToken map[fingerprint]int32 // number of a context
	latest  []int32               // answer by number of context
	before  []int32               // answer by answer: the one before it with the same context
	early   []early
	name    map[string]int32
	open    []pending // one a process

	// What was met last is mostly what is met next; a look at it saves one into a map.
	recentToken  fingerprint
	recentNumber int32
	recentValue  fingerprint
	recentWrite  int32
}

// An early sighting is of a value that nobody had written yet.
type early struct {
	sight int32
	value fingerprint
}

// sightName encodes a tombstone among the sights until it is known whose it is.
func sightName(name int32) int32 { return doubtful - 1 - name }

func newKey(key string) *keyIndex {
	return &keyIndex{
		key: key, byWrite: make(map[string]int),
		sorting: &sorting{byValue: make(map[fingerprint]int32), byToken: make(map[fingerprint]int32), latest: []int32{none}, recentWrite: none},
	}
}

// A shard sorts the lines of some of the keys. Those of one key must come in order.
type shard struct {
	keys    map[string]*keyIndex
	recent  *keyIndex // of the line before
	final   map[copyName]pending
	served  service
	holders *holders
	err     error // the first line that keeps the history from being judged
	errLine int32
	deal    deal
}

// fail notes what keeps the history from being judged.
func (s *shard) fail(line int32, err error) {
	if err != nil && (s.err == nil || line < s.errLine) {
		s.err, s.errLine = err, line
	}
}

type copyName struct {
	node harness.NodeID
	key  string
}

// pending is an operation that has not completed.
type pending struct {
	k       *keyIndex
	inv     int32
	process int
	write   int32 // none: a get
	round   int   // of a replica read
}

func newShard() *shard {
	return &shard{keys: make(map[string]*keyIndex), final: make(map[copyName]pending), holders: newHolders()}
}

func (s *shard) key(name string) *keyIndex {
	if s.recent != nil && s.recent.key == name {
		return s.recent
	}
	k := s.keys[name]
	if k == nil {
		k = newKey(name)
		k.holders = s.holders
		s.keys[name] = k
	}
	s.recent = k
	return k
}

// line takes a line of one of the shard's keys.
func (s *shard) line(line int32, op *harness.Op) {
	switch {
	case op.F == harness.ReplicaRead:
		s.replica(line, op)
	case op.Process < 0 || op.F != harness.Get && !op.IsWrite():
	case op.Kind == harness.Invoke:
		k := s.key(op.Key)
		p := pending{k: k, inv: line, process: op.Process, write: none}
		if op.IsWrite() {
			p.write = int32(len(k.writes))
			s.fail(line, k.invoked(line, op))
		}
		k.sorting.open = append(k.sorting.open, p)
	default:
		if p, ok := s.key(op.Key).completed(op.Process); ok {
			s.completion(line, op, p)
		}
	}
}

// completed takes a process's operation out of those that are open.
func (k *keyIndex) completed(process int) (p pending, ok bool) {
	open := k.sorting.open
	i := slices.IndexFunc(open, func(p pending) bool { return p.process == process })
	if i < 0 {
		return p, false
	}
	p = open[i]
	open[i] = open[len(open)-1]
	k.sorting.open = open[:len(open)-1]
	return p, true
}

func (s *shard) completion(line int32, op *harness.Op, p pending) {
	if p.write != none {
		w := &p.k.writes[p.write]
		w.done = line
		switch op.Kind {
		case harness.OK:
			w.outcome, w.held = acknowledged, s.holders.of(op.Meta)
		case harness.Fail:
			w.outcome = failed
		}
	}
	if op.Kind == harness.OK {
		s.served.add(op)
		p.k.answered(answer{inv: p.inv, done: line, process: int32(op.Process), own: p.write}, op)
	}
	if p.write != none && op.Write != "" && op.F == harness.Delete {
		s.fail(line, p.k.named(p.write, op.Write))
	}
}

// invoked files a put or delete. What its context is was answered before.
func (k *keyIndex) invoked(line int32, op *harness.Op) error {
	n := int32(len(k.writes))
	w := write{inv: line, done: none, process: int32(op.Process), from: none, tombstone: op.F == harness.Delete}
	if len(op.Context) > 0 {
		if w.from = k.source(op); w.from == none {
			w.open = true
			k.strange++
		}
	}
	k.writes = append(k.writes, w)
	if op.Action != "" {
		if k.carts == nil {
			k.carts = make(map[int32]entry)
		}
		k.carts[n] = entry{op.Action, op.Element, op.Value}
	}
	if w.tombstone {
		k.deletes = append(k.deletes, n)
		return nil
	}
	value := fingerprintOf(op.Value)
	if other, ok := k.sorting.byValue[value]; ok {
		return fmt.Errorf("key %q: lines %d and %d both wrote %q, so answers do not tell which they show",
			k.key, k.writes[other].inv+1, line+1, op.Value)
	}
	k.sorting.byValue[value] = n
	return nil
}

// named files the name that a delete's client gave it.
func (k *keyIndex) named(n int32, name string) error {
	if other, ok := k.byWrite[name]; ok {
		return fmt.Errorf("key %q: the deletes of lines %d and %d are both named %q, so answers do not tell which they show",
			k.key, k.writes[other].inv+1, k.writes[n].inv+1, name)
	}
	k.byWrite[name] = int(n)
	return nil
}

// sourcesMax bounds the look back for the answer that gave a context. All that gave it
// show the same, or a store is wrong in a way that is found elsewhere.
const sourcesMax = 1000

// source finds the answer whose context a write carries: the last one that its own
// process was given before, or else anybody was.
func (k *keyIndex) source(op *harness.Op) int32 {
	latest := k.sorting.latest[k.number(op.Context, false)]
	for a, n := latest, 0; a != none && n < sourcesMax; a, n = k.sorting.before[a], n+1 {
		if k.answers[a].process == int32(op.Process) {
			return a
		}
	}
	return latest
}

// number returns the number of a context among the key's: 0 for one that is not known
// and not to be made known.
func (k *keyIndex) number(token []byte, add bool) int32 {
	s := k.sorting
	f := fingerprintOfBytes(token)
	if f == s.recentToken && s.recentNumber != 0 {
		return s.recentNumber
	}
	n := s.byToken[f]
	if n == 0 && add {
		n = int32(len(s.latest))
		s.byToken[f] = n
		s.latest = append(s.latest, none)
	}
	if n != 0 {
		s.recentToken, s.recentNumber = f, n
	}
	return n
}

// answered files what a completion showed.
func (k *keyIndex) answered(a answer, op *harness.Op) int32 {
	n := int32(len(k.answers))
	before := int32(none)
	if len(op.Token) > 0 {
		a.token = k.number(op.Token, true)
		before = k.sorting.latest[a.token]
		k.sorting.latest[a.token] = n
	}
	k.sorting.before = append(k.sorting.before, before)
	a.first = int32(len(k.sights))
	if a.own != none && len(op.Siblings) == 0 && len(op.Token) > 0 && op.F == harness.Put {
		// The store says nothing of what the context covers beyond the write itself.
		k.sights, a.open = append(k.sights, a.own), true
	}
	for i := range op.Siblings {
		s := &op.Siblings[i]
		sight, value := k.sight(s)
		k.sights = append(k.sights, sight)
		a.set += value[0] ^ value[1]*3
		if s.Write != "" {
			a.set += maphash.String(fingerprintSeeds[0], s.Write) * (value[0] | 1)
		}
		if !s.Tombstone {
			a.live++
		}
	}
	a.shown = int32(len(k.sights)) - a.first
	k.answers = append(k.answers, a)
	return n
}

// sight finds the write behind a sibling, as far as that is known by now.
func (k *keyIndex) sight(s *harness.Sibling) (int32, fingerprint) {
	value := fingerprintOf(s.Value)
	if s.Tombstone {
		if k.sorting.name == nil {
			k.sorting.name = make(map[string]int32)
		}
		name, ok := k.sorting.name[s.Write]
		if !ok {
			name = int32(len(k.names))
			k.names = append(k.names, s.Write)
			k.sorting.name[s.Write] = name
		}
		value[1]++
		return sightName(name), value
	}
	if value == k.sorting.recentValue && k.sorting.recentWrite != none {
		return k.sorting.recentWrite, value
	}
	w, ok := k.sorting.byValue[value]
	if !ok {
		k.sorting.early = append(k.sorting.early, early{int32(len(k.sights)), value})
		return none, value
	}
	k.sorting.recentValue, k.sorting.recentWrite = value, w
	return w, value
}

// replica files a node's own copy. A node that is read again begins a new round.
func (s *shard) replica(line int32, op *harness.Op) {
	name := copyName{op.Node, op.Key}
	if op.Kind == harness.Invoke {
		k := s.key(op.Key)
		c := copyRead{node: op.Node, inv: line, done: none, answer: none}
		last := len(k.rounds) - 1
		if last < 0 || slices.ContainsFunc(k.rounds[last], func(o copyRead) bool { return o.node == c.node }) {
			k.rounds = append(k.rounds, nil)
			last++
		}
		k.rounds[last] = append(k.rounds[last], c)
		s.final[name] = pending{k: k, inv: line, round: last}
		return
	}
	p, ok := s.final[name]
	if !ok {
		return
	}
	delete(s.final, name)
	round := p.k.rounds[p.round]
	c := &round[slices.IndexFunc(round, func(o copyRead) bool { return o.node == op.Node })]
	c.done = line
	if op.Kind == harness.OK {
		c.state, c.siblings = op.CopyState(), op.Siblings
		c.answer = p.k.answered(answer{inv: p.inv, done: line, process: harness.FinalProcess, own: none, replica: true}, op)
	}
}
