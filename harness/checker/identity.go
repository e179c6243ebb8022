package checker

import "slices"

// identify finds the write behind every sibling of every answer. Values are unique, so
// they name puts. A delete has no value: its tombstone is known by the name of the
// write, which the delete's client chose, or else the store.
func (k *keyIndex) identify() {
	for _, e := range k.sorting.early {
		if w, ok := k.sorting.byValue[e.value]; ok {
			k.sights[e.sight] = w
		}
	}
	k.hidden = len(k.names) == 0 && slices.ContainsFunc(k.deletes, func(d int32) bool { return k.writes[d].effective() })
	if len(k.names) == 0 {
		return
	}
	k.nameTombstones()
	for _, d := range k.byWrite {
		if d >= 0 {
			k.writes[d].named = true
		}
	}
	for i, s := range k.sights {
		if s >= doubtful {
			continue
		}
		k.sights[i] = none
		if w, ok := k.byWrite[k.nameOf(s)]; ok {
			k.sights[i] = int32(w)
		}
	}
}

// nameOf decodes what sightName encoded.
func (k *keyIndex) nameOf(sight int32) string { return k.names[doubtful-1-sight] }

// tombs is what is known of a key's tombstones while they are being named.
type tombs struct {
	deletes []int
	taken   map[int]bool
	own     map[int][]string // of an acknowledged delete: names in its answer
	first   map[string]int32 // line that first shows a name
}

// nameTombstones attributes the names of tombstones to deletes. A delete's own answer
// shows its tombstone, perhaps beside others; a tombstone that was seen before a
// delete was called is another's. What stays ambiguous is doubtful.
func (k *keyIndex) nameTombstones() {
	t := tombs{taken: make(map[int]bool), own: make(map[int][]string), first: make(map[string]int32)}
	for _, d := range k.byWrite { // what the client has named itself
		t.taken[d] = true
	}
	for i := range k.answers {
		a := &k.answers[i]
		for _, s := range k.seen(a) {
			if s >= doubtful {
				continue
			}
			name := k.nameOf(s)
			if _, ok := t.first[name]; !ok {
				t.first[name] = a.done
			}
			if a.own != none && k.writes[a.own].tombstone {
				t.own[int(a.own)] = append(t.own[int(a.own)], name)
			}
		}
	}
	for _, d := range k.deletes {
		t.deletes = append(t.deletes, int(d))
	}
	for _, d := range t.deletes { // the usual case: its answer shows one tombstone that is new
		fresh := slices.DeleteFunc(slices.Clone(t.own[d]), func(n string) bool { return t.first[n] < k.writes[d].inv })
		if _, known := k.byWrite[append(fresh, "")[0]]; len(fresh) == 1 && fresh[0] != "" && !known && !t.taken[d] {
			k.byWrite[fresh[0]] = d
			t.taken[d] = true
		}
	}
	for again := true; again; {
		again = false
		for _, name := range k.names {
			if _, ok := k.byWrite[name]; ok {
				continue
			}
			if d := k.only(name, t); d != none {
				k.byWrite[name] = d
				t.taken[d] = true
				again = true
			}
		}
	}
	for _, name := range k.names {
		if _, ok := k.byWrite[name]; !ok && len(k.candidates(name, t, nil)) > 0 {
			k.byWrite[name] = doubtful
		}
	}
}

// only returns the one delete that a tombstone's name can belong to: the delete whose
// own answer leaves no other choice, or else the last candidate there is.
func (k *keyIndex) only(name string, t tombs) int {
	if name == "" && len(t.deletes) > 1 {
		return none // a store that names no writes; one delete would explain it
	}
	for _, d := range t.deletes {
		if t.taken[d] || t.first[name] < k.writes[d].inv {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(t.own[d]), func(n string) bool {
			_, known := k.byWrite[n]
			return known || t.first[n] < k.writes[d].inv
		})
		slices.Sort(left)
		if left = slices.Compact(left); len(left) == 1 && left[0] == name {
			return d
		}
	}
	if c := k.candidates(name, t, t.own); len(c) == 1 {
		return c[0]
	}
	return none
}

// candidates are the deletes that may have made a tombstone; failed ones only where
// nothing else explains it. A delete whose own answer shows tombstones, but not this
// one, is none.
func (k *keyIndex) candidates(name string, t tombs, own map[int][]string) []int {
	var effective, failed []int
	for _, d := range t.deletes {
		w := &k.writes[d]
		if t.taken[d] || t.first[name] < w.inv || len(own[d]) > 0 && !slices.Contains(own[d], name) {
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
