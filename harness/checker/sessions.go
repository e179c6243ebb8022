package checker

import (
	"context"
	"fmt"

	"cartwheel/harness"
)

// Kinds of anomalies that [Sessions] finds.
const (
	OwnWriteUnread = "own-write-unread" // a get lacks an acknowledged write of its own session
	ReadWentBack   = "read-went-back"   // a get lacks what an earlier get of its session showed
	WriteOvertaken = "write-overtaken"  // a get shows a write, but not an acknowledged one before it of that session
	ReadOvertaken  = "read-overtaken"   // a get shows a write, but not what its session had read before
)

// Sessions judges the four guarantees of sessions of Terry and others (PDIS 1994), on
// each key by itself: read your writes, monotonic reads, monotonic writes, writes follow
// reads. A session is one process: its operations follow each other, whichever nodes
// they ask. A process that ends in an unknown outcome ends its session.
func Sessions() harness.Checker { return newCheck("sessions", sessions) }

// A session is what a process knows of one key: sets of writes, never changed once made.
type session struct {
	own, seen         vector
	lastWrite, lastTo int32 // the acknowledged write and the get that were last to add something
}

// A breach is a get that shows less than a session's order demands.
type breach struct {
	kind    string
	answer  int32
	lacks   vector
	because int32 // the write that the get shows and that should have brought the rest along; or none
	before  int32 // the answer in which the session saw what is lacking; or none
}

func sessions(ctx context.Context, x *index) harness.Finding {
	c := x.collect(OwnWriteUnread, ReadWentBack, ReadOvertaken, WriteOvertaken)
	reads, open := 0, 0
	for _, k := range x.keys {
		if ctx.Err() != nil {
			break
		}
		n, skipped := k.sessions(func(b breach) {
			c.add(b.kind, 0, func() harness.Anomaly { return k.tellBreach(x, b) })
		})
		reads, open = reads+n, open+skipped
	}
	if reads == 0 {
		return unknown("no get whose past is known")
	}
	figures := map[string]float64{"reads": float64(reads), "unjudged": float64(open)}
	return c.finding(count(reads, "get", "gets")+" of "+count(len(x.keys), "key", "keys"), nil, figures)
}

// sessions sweeps a key in the order of its lines.
func (k *keyIndex) sessions(found func(breach)) (judged, open int) {
	if k.hidden {
		return 0, 0
	}
	state := make(map[int32]session) // by process
	begun := make([]session, len(k.writes))
	next := 0
	for i := range k.answers {
		a := &k.answers[i]
		for ; next < len(k.writes) && k.writes[next].inv < a.done; next++ {
			s, ok := state[k.writes[next].process]
			if !ok {
				s.lastWrite, s.lastTo = none, none
			}
			begun[next] = s
		}
		if a.replica {
			continue
		}
		s, ok := state[a.process]
		if !ok {
			s.lastWrite, s.lastTo = none, none
		}
		switch {
		case a.own != none:
			s.own, s.lastWrite = s.own.union(k.writes[a.own].down), a.own
		case a.open:
			open++
			continue
		default:
			judged++
			k.judgeRead(int32(i), s, begun, found)
			s.seen, s.lastTo = s.seen.union(a.down), int32(i)
		}
		state[a.process] = s
	}
	return judged, open
}

func (k *keyIndex) judgeRead(i int32, s session, begun []session, found func(breach)) {
	a := &k.answers[i]
	if !a.down.covers(s.own) {
		found(breach{OwnWriteUnread, i, s.own, none, none})
	}
	if !a.down.covers(s.seen) {
		found(breach{ReadWentBack, i, s.seen, none, s.lastTo})
	}
	for _, w := range k.seen(a) {
		if w < 0 || k.writes[w].inv > a.done {
			continue
		}
		if b := begun[w]; !a.down.covers(b.own) {
			found(breach{WriteOvertaken, i, b.own, w, none})
		}
		if b := begun[w]; !a.down.covers(b.seen) {
			found(breach{ReadOvertaken, i, b.seen, w, b.lastTo})
		}
	}
}

// lacking returns a write of a set that an answer lacks: the first that was called.
func (k *keyIndex) lacking(a *answer, all vector) *write {
	first := int32(none)
	for c, n := range all {
		if pos := a.down.at(int32(c)); pos < n {
			if i := k.chains[c][pos]; first == none || i < first {
				first = i
			}
		}
	}
	return &k.writes[first]
}

func (k *keyIndex) tellBreach(x *index, b breach) harness.Anomaly {
	a := &k.answers[b.answer]
	w := k.lacking(a, b.lacks)
	get, put := k.h[a.inv], k.h[w.inv]
	out := harness.Anomaly{Key: k.key, Element: element(put), Ops: []int{put.Index, get.Index, k.h[a.done].Index}}
	switch b.kind {
	case OwnWriteUnread:
		out.Story = append(out.Story, fmt.Sprintf("Process %d does not see its own write: %s was acknowledged to it, or superseded by one that was, before %s.",
			get.Process, said(put), said(get)))
	case ReadWentBack:
		seen := &k.answers[b.before]
		out.Ops = append(out.Ops, k.h[seen.done].Index)
		out.Story = append(out.Story, fmt.Sprintf("Process %d goes back in time: it has been shown %s, which %s does not know of any more.", get.Process, said(put), said(get)),
			k.told(seen)+".")
	default:
		by := k.h[k.writes[b.because].inv]
		out.Ops = append(out.Ops, by.Index)
		what := "written"
		if b.kind == ReadOvertaken {
			what = "read"
			out.Ops = append(out.Ops, k.h[k.answers[b.before].done].Index)
		}
		out.Story = append(out.Story, fmt.Sprintf("%s shows %s, but not %s, which process %d had %s before.",
			capital(said(get)), said(by), said(put), by.Process, what))
	}
	out.Story = append(out.Story, k.told(a)+".")
	out.Story = append(out.Story, k.duringFaults(x, put.Time, k.h[a.done].Time)...)
	return out
}
