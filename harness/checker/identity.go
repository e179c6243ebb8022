package checker

import (
	"slices"

	"cartwheel/harness"
)

// identify finds the write behind every sibling of every answer. Values are unique, so
// they name puts. A delete has no value: its tombstone is known by the store's own name
// for the write.
func (k *keyIndex) identify() {
	k.nameTombstones()
	shown := false
	for i := range k.answers {
		a := &k.answers[i]
		siblings := k.h[a.done].Siblings
		if a.own != none && len(siblings) == 0 && len(k.h[a.done].Token) > 0 && !k.writes[a.own].tombstone {
			// The store says nothing of what the context covers beyond the write itself.
			a.seen, a.open = []int{a.own}, true
			continue
		}
		for _, s := range siblings {
			w := k.behind(s)
			a.seen = append(a.seen, w)
			a.open = a.open || w < 0
			shown = shown || s.Tombstone
		}
	}
	k.hidden = !shown && slices.ContainsFunc(k.writes, func(w write) bool { return w.tombstone && w.effective() })
}

func (k *keyIndex) behind(s harness.Sibling) int {
	if !s.Tombstone {
		if w, ok := k.byValue[s.Value]; ok {
			return w
		}
		return none
	}
	if w, ok := k.byWrite[s.Write]; ok {
		return w
	}
	return none
}

// nameTombstones attributes the names of tombstones to deletes. A delete's own answer
// shows its tombstone, perhaps beside others; a tombstone that was seen before a
// delete was called is another's. What stays ambiguous is doubtful.
func (k *keyIndex) nameTombstones() {
	first := make(map[string]int) // line that first shows a name
	var names []string
	own := make(map[int][]string) // of an acknowledged delete: names in its answer
	for _, a := range k.answers {
		for _, s := range k.h[a.done].Siblings {
			if !s.Tombstone {
				continue
			}
			if _, ok := first[s.Write]; !ok {
				first[s.Write] = a.done
				names = append(names, s.Write)
			}
			if a.own != none && k.writes[a.own].tombstone {
				own[a.own] = append(own[a.own], s.Write)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	var deletes []int
	for i := range k.writes {
		if k.writes[i].tombstone {
			deletes = append(deletes, i)
		}
	}
	taken := make(map[int]bool)
	for again := true; again; {
		again = false
		for _, name := range names {
			if _, ok := k.byWrite[name]; ok {
				continue
			}
			if d := k.only(name, deletes, taken, own, first); d != none {
				k.byWrite[name] = d
				taken[d] = true
				again = true
			}
		}
	}
	for _, name := range names {
		if _, ok := k.byWrite[name]; !ok && len(k.candidates(name, deletes, taken, nil, first)) > 0 {
			k.byWrite[name] = doubtful
		}
	}
}

// only returns the one delete that a tombstone's name can belong to: the delete whose
// own answer leaves no other choice, or else the last candidate there is.
func (k *keyIndex) only(name string, deletes []int, taken map[int]bool, own map[int][]string, first map[string]int) int {
	if name == "" && len(deletes) > 1 {
		return none // a store that names no writes; one delete would explain it
	}
	for _, d := range deletes {
		if taken[d] || first[name] < k.writes[d].inv {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(own[d]), func(n string) bool {
			_, known := k.byWrite[n]
			return known || first[n] < k.writes[d].inv
		})
		slices.Sort(left)
		if left = slices.Compact(left); len(left) == 1 && left[0] == name {
			return d
		}
	}
	if c := k.candidates(name, deletes, taken, own, first); len(c) == 1 {
		return c[0]
	}
	return none
}

// candidates are the deletes that may have made a tombstone; failed ones only where
// nothing else explains it. A delete whose own answer shows tombstones, but not this
// one, is none.
func (k *keyIndex) candidates(name string, deletes []int, taken map[int]bool, own map[int][]string, first map[string]int) []int {
	var effective, failed []int
	for _, d := range deletes {
		w := &k.writes[d]
		if taken[d] || first[name] < w.inv || len(own[d]) > 0 && !slices.Contains(own[d], name) {
			continue
		}
		if w.effective() {
			effective = append(effective, d)
		} else {
			failed = append(failed, d)
		}
	}
	if len(effective) > 0 {
		return effective
	}
	return failed
}
