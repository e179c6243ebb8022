package checker

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"cartwheel/harness"
)

// CausalityBroken is the kind of anomaly that [Causal] finds.
const CausalityBroken = "causality-broken"

// causalCellsMax bounds the clocks of a history: operations times sessions, 512 MiB.
const causalCellsMax = 128 << 20

var errTooManySessions = errors.New("too many sessions and operations to follow what each could know of")

// Causal judges visibility over all keys at once: whoever sees a write also sees what its
// writer could know of when it wrote: its own acknowledged writes, what it had read, and
// so on back through those it had read from (Ahamad and others, 1995). A context handed
// from one client to another counts as read. Writes of unknown outcome are demanded only
// once somebody has read them. It holds wherever all four guarantees of [Sessions] do and
// no client talks past the store; Dynamo does not promise it.
func Causal() harness.Checker { return newCheck("causal", causal) }

func causal(ctx context.Context, x *index) harness.Finding {
	s := newSweep(x)
	c := x.collect(CausalityBroken)
	err := s.run(ctx, func(m missed) {
		c.add(CausalityBroken, 0, func() harness.Anomaly { return m.tell(x) })
	})
	if err != nil {
		return unknown("%v", err)
	}
	if s.judged == 0 {
		return unknown("no get whose past is known")
	}
	figures := map[string]float64{"reads": float64(s.judged), "unjudged": float64(s.open), "sessions": float64(len(s.sessions))}
	return c.finding(count(s.judged, "get", "gets")+" of "+count(len(s.sessions), "session", "sessions"), nil, figures)
}

// A sweep goes through a history in the order of its lines. A clock counts, by session,
// the operations that somebody could know of.
type sweep struct {
	x            *index
	at           []happening // by line
	sessions     map[int32]int32
	now          []vector                // by session: its clock
	known        []map[int32][]knowledge // by key and session
	writes       [][]vector              // by key and write: its clock
	answers      []map[int32]vector
	cells        int
	judged, open int
}

// A happening is a write that is called or an answer that is given.
type happening struct {
	key    int32
	number int32 // of the write, or of the answer
	kind   int8  // 0: nothing of a client's
}

const (
	wrote int8 = iota + 1
	answered
)

// knowledge is what a session knew of a key from one of its operations on.
type knowledge struct {
	seq  int32
	line int32
	set  vector
}

// missed is a get that lacks what it should know of.
type missed struct {
	k      *keyIndex
	answer int32
	write  *write
	line   int32 // of the answer in which somebody learnt of it
}

func newSweep(x *index) *sweep {
	s := &sweep{x: x, at: make([]happening, len(x.times)), sessions: make(map[int32]int32)}
	for i, k := range x.keys {
		s.writes = append(s.writes, make([]vector, len(k.writes)))
		s.known = append(s.known, make(map[int32][]knowledge))
		foreign := make(map[int32]vector) // answers whose context another process used
		for j := range k.writes {
			w := &k.writes[j]
			s.at[w.inv] = happening{int32(i), int32(j), wrote}
			if w.from != none && k.answers[w.from].process != w.process {
				foreign[w.from] = nil
			}
		}
		s.answers = append(s.answers, foreign)
		for j := range k.answers {
			if a := &k.answers[j]; !a.replica {
				s.at[a.done] = happening{int32(i), int32(j), answered}
			}
		}
	}
	return s
}

func (s *sweep) session(process int32) int32 {
	n, ok := s.sessions[process]
	if !ok {
		n = int32(len(s.sessions))
		s.sessions[process] = n
		s.now = append(s.now, nil)
	}
	return n
}

func (s *sweep) run(ctx context.Context, found func(missed)) error {
	for line, h := range s.at {
		if line%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		k := s.x.keys[h.key]
		switch h.kind {
		case wrote:
			w := &k.writes[h.number]
			q := s.session(w.process)
			clock := s.now[q]
			if w.from != none && k.answers[w.from].process != w.process {
				clock = clock.union(s.answers[h.key][w.from])
			}
			clock = clock.with(q, clock.at(q)+1)
			s.now[q], s.writes[h.key][h.number] = clock, clock
			s.cells += len(clock)
		case answered:
			s.answer(h, k, int32(line), found)
		}
		if s.cells > causalCellsMax {
			return errTooManySessions
		}
	}
	return nil
}

func (s *sweep) answer(h happening, k *keyIndex, line int32, found func(missed)) {
	a := &k.answers[h.number]
	q := s.session(a.process)
	clock := s.now[q]
	set := a.down
	if a.own != none {
		set = k.writes[a.own].down
	} else {
		for _, w := range k.seen(a) {
			if w >= 0 {
				clock = clock.union(s.writes[h.key][w])
			}
		}
		switch {
		case a.open || k.hidden:
			s.open++
		default:
			s.judged++
			s.judge(h, k, clock, found)
		}
		clock = clock.with(q, clock.at(q)+1)
	}
	s.now[q] = clock
	if _, foreign := s.answers[h.key][h.number]; foreign {
		s.answers[h.key][h.number] = clock
		s.cells += len(clock)
	}
	of := s.known[h.key]
	list := of[q]
	if n := len(list); n > 0 {
		set = list[n-1].set.union(set)
	}
	of[q] = append(list, knowledge{clock.at(q), line, set})
}

// judge demands of a get all that its clock says it could know of on its key.
func (s *sweep) judge(h happening, k *keyIndex, clock vector, found func(missed)) {
	a := &k.answers[h.number]
	of := s.known[h.key]
	worst := missed{}
	for q, list := range of {
		n := clock.at(q)
		j := sort.Search(len(list), func(j int) bool { return list[j].seq > n })
		if j == 0 || a.down.covers(list[j-1].set) {
			continue
		}
		w := k.lacking(a, list[j-1].set)
		if worst.write == nil || w.inv < worst.write.inv || w == worst.write && list[j-1].line < worst.line {
			worst = missed{k, h.number, w, list[j-1].line}
		}
	}
	if worst.write != nil {
		found(worst)
	}
}

func (m missed) tell(x *index) harness.Anomaly {
	k, a := m.k, &m.k.answers[m.answer]
	put, get, learnt := k.h[m.write.inv], k.h[a.inv], k.h[m.line]
	return harness.Anomaly{
		Key: k.key, Element: element(put), Ops: []int{put.Index, learnt.Index, get.Index, k.h[a.done].Index},
		Story: append([]string{
			fmt.Sprintf("%s of key %s does not know of %s, but could have heard of it: process %d knew at %s (op %d), and what it did since has reached process %d.",
				capital(said(get)), k.key, said(put), learnt.Process, instant(learnt.Time), learnt.Index, get.Process),
			k.told(a) + ".",
		}, k.duringFaults(x, put.Time, k.h[a.done].Time)...),
	}
}
