package checker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
)

const (
	storyFaultsMax     = 4 // faults told in a story
	expectedMax        = 8 // writes named that should be there
	storySuccessorsMax = 2 // versions told that took a lost write's place
)

// tellLoss proves a loss in the order in which a reader needs it: the sentence; who
// acknowledged it; what every replica holds at the end; why that is wrong; when it was
// last seen and first missed; which faults lay between.
func (k *keyIndex) tellLoss(x *index, l loss) harness.Anomaly {
	w := &k.writes[l.w]
	inv, done := k.h[w.inv], k.h[w.done]
	a := harness.Anomaly{Key: k.key, Element: element(inv), Ops: []int{inv.Index, done.Index}}
	last := k.last()
	where := fmt.Sprintf("none of the %d replicas shows it", len(last))
	if len(last) == 1 {
		where = "the one replica does not show it"
	}
	if len(l.absent) < len(last) {
		where = fmt.Sprintf("%d of %d replicas do not show it", len(l.absent), len(last))
	}
	a.Story = append(a.Story, fmt.Sprintf("%s of key %s by process %d was acknowledged at %s, yet at the end %s or anything that supersedes it.",
		capital(said(inv)), k.key, inv.Process, instant(done.Time), where))
	if l.back != none {
		back := k.h[k.writes[l.back].inv]
		a.Ops = append(a.Ops, back.Index)
		a.Story[0] = fmt.Sprintf("%s of key %s was acknowledged at %s and removed %s, which is there again at the end.",
			capital(said(inv)), k.key, instant(done.Time), said(back))
	}
	if s := served(done.Meta); s != "" {
		a.Story = append(a.Story, "Who stored it, by the store's own account: "+s+".")
	}
	for _, r := range last {
		a.Ops = append(a.Ops, k.h[r.inv].Index)
		if r.answer == none {
			a.Story = append(a.Story, fmt.Sprintf("%s could not be read at the end (op %d).", r.node, k.h[r.inv].Index))
			continue
		}
		a.Ops = append(a.Ops, k.h[r.done].Index)
		a.Story = append(a.Story, fmt.Sprintf("%s holds %s at the end (op %d).", r.node, showing(k.h[r.done].Siblings), k.h[r.inv].Index))
	}
	k.tellSuccessors(&a, l)
	k.tellLastSeen(&a, x, l)
	return a
}

// tellSuccessors follows the contexts: what is there instead was written by somebody who
// had not seen the lost write, so it should stand beside it.
func (k *keyIndex) tellSuccessors(a *harness.Anomaly, l loss) {
	lost := &k.writes[l.w]
	shown := k.seen(&k.answers[l.absent[0].answer])
	told, unseen := 0, k.name(lost)
	if lost.tombstone { // the answers may show others
		unseen = "the lost tombstone"
	}
	for _, s := range shown {
		if s < 0 || told == storySuccessorsMax || int(s) == l.back {
			continue
		}
		told++
		w := &k.writes[s]
		inv := k.h[w.inv]
		a.Ops = append(a.Ops, inv.Index)
		if w.from == none {
			a.Story = append(a.Story, fmt.Sprintf("%s was written without a context: it supersedes nothing.", capital(said(inv))))
			continue
		}
		from := &k.answers[w.from]
		a.Ops = append(a.Ops, k.h[from.done].Index)
		a.Story = append(a.Story, fmt.Sprintf("%s carried the context of %s, which showed %s and not %s.",
			capital(said(inv)), said(k.h[from.inv]), showing(k.h[from.done].Siblings), unseen))
	}
	if l.back != none {
		return
	}
	a.Story = append(a.Story, fmt.Sprintf("Expected at the end: {%s}.", strings.Join(k.expected(), ", ")))
}

// expected names the writes that should be there at the end: those acknowledged, or
// shown by anybody, that no other such write supersedes.
func (k *keyIndex) expected() []string {
	must := make(map[int]bool)
	for i := range k.writes {
		if k.writes[i].acked() {
			must[i] = true
		}
	}
	for _, s := range k.sights {
		if s >= 0 && k.writes[s].effective() {
			must[int(s)] = true
		}
	}
	all := sortedKeys(must)
	older := k.superseded(all)
	var out []string
	for _, i := range all {
		if !k.writes[i].in(older) {
			out = append(out, k.name(&k.writes[i]))
		}
	}
	if len(out) > expectedMax {
		out = append(out[:expectedMax], fmt.Sprintf("and %d more", len(out)-expectedMax))
	}
	return out
}

func (k *keyIndex) name(w *write) string {
	if w.tombstone {
		return "a tombstone"
	}
	return label(k.h[w.inv].Value)
}

// tellLastSeen narrows the loss down to the time between the last answer that held the
// write and the next one that did not, and names the faults of that time.
func (k *keyIndex) tellLastSeen(a *harness.Anomaly, x *index, l loss) {
	w := &k.writes[l.w]
	from, to := k.h[w.inv].Time, k.h[l.absent[0].done].Time
	lastSeen, missed := none, none
	for i := range k.answers {
		if k.answers[i].holds(w) && !k.answers[i].replica {
			lastSeen = i
		}
	}
	after := w.done
	if lastSeen != none {
		seen := &k.answers[lastSeen]
		from, after = k.h[seen.inv].Time, max(after, seen.done)
		a.Ops = append(a.Ops, k.h[seen.done].Index)
		if int(seen.own) == l.w {
			a.Story = append(a.Story, "Only its own answer ever held it.")
		} else {
			a.Story = append(a.Story, fmt.Sprintf("It was last held by the answer of %s, at %s.", said(k.h[seen.inv]), instant(k.h[seen.done].Time)))
		}
	} else {
		a.Story = append(a.Story, "No answer ever held it.")
	}
	for i := range k.answers {
		r := &k.answers[i]
		if r.inv > after && !r.holds(w) && !r.open && (!r.replica || k.lacks(l, r)) {
			missed = i
			break
		}
	}
	if missed != none {
		r := &k.answers[missed]
		to = k.h[r.done].Time
		a.Ops = append(a.Ops, k.h[r.inv].Index, k.h[r.done].Index)
		a.Story = append(a.Story, fmt.Sprintf("The first answer after that to lack it was that of %s, at %s: %s.",
			said(k.h[r.inv]), instant(to), showing(k.h[r.done].Siblings)))
	}
	a.Story = append(a.Story, k.tellFaults(x, w, from, to)...)
}

// tellFaults names the faults during a write, and those of the time in which it vanished.
func (k *keyIndex) tellFaults(x *index, w *write, from, to time.Duration) []string {
	var out []string
	told := 0
	for _, f := range x.faults {
		var when string
		switch {
		case f.overlaps(k.h[w.inv].Time, k.h[w.done].Time):
			when = "While it was written there was"
		case f.overlaps(from, to):
			when = fmt.Sprintf("Between %s and %s, when it vanished, there was", instant(from), instant(to))
		default:
			continue
		}
		if told++; told <= storyFaultsMax {
			out = append(out, fmt.Sprintf("%s %s.", when, f))
		}
	}
	if told == 0 {
		out = append(out, fmt.Sprintf("There was no fault while it was written, nor between %s and %s, when it vanished.", instant(from), instant(to)))
	}
	return out
}

// lacks reports whether an answer is one of the copies that prove a loss.
func (k *keyIndex) lacks(l loss, a *answer) bool {
	return slices.ContainsFunc(l.absent, func(r copyRead) bool { return r.done == a.done })
}
