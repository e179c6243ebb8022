package checker

import "context"

// link finds out what every answer shows, what every write supersedes, and lays the
// writes out in chains.
func (k *keyIndex) link(ctx context.Context) error {
	k.identify()
	k.sorting = nil
	for i := range k.writes {
		if i%256 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := k.chain(int32(i)); err != nil {
			return err
		}
	}
	first := make(map[int32]int32) // answer by its context
	for i := range k.answers {
		if i%256 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		a := &k.answers[i]
		if same, ok := first[a.token]; a.token != 0 && ok && k.answers[same].set == a.set && k.answers[same].shown == a.shown {
			a.down, a.open = k.answers[same].down, a.open || k.answers[same].open
			continue
		}
		if a.token != 0 {
			first[a.token] = int32(i)
		}
		before := a.down
		k.admit(a, int32(len(k.writes)))
		if a.shown > 1 && before == nil {
			k.cells += len(a.down)
		}
		if k.cells > cellsMax {
			return errTooWide
		}
	}
	return nil
}

// admit computes what an answer admits to. It leaves out writes from limit on, whose
// past is not laid out yet, and reports whether it met one.
func (k *keyIndex) admit(a *answer, limit int32) (later bool) {
	var down vector
	for _, s := range k.seen(a) {
		switch {
		case s < 0: // nobody knows what that one superseded
			a.open = true
		case s >= limit:
			later = true
		default:
			down = down.union(k.writes[s].down)
			a.open = a.open || k.writes[s].open
		}
	}
	if !later {
		a.down = down
	}
	return later
}

// tail is the last write of a chain.
func (k *keyIndex) tail(chain int32) int32 { return k.chains[chain][len(k.chains[chain])-1] }

// chain gives write i its past and its place.
func (k *keyIndex) chain(i int32) error {
	w := &k.writes[i]
	var direct []int32
	if w.from != none {
		from := &k.answers[w.from]
		direct = k.seen(from)
		if from.down == nil && k.admit(from, i) {
			w.open = true // it showed what was not written yet
			for _, s := range direct {
				if s >= 0 && s < i {
					w.down = w.down.union(k.writes[s].down)
				}
			}
		} else {
			w.down = from.down
		}
		w.open = w.open || from.open
	}
	w.chain = none
	for _, s := range direct {
		if s >= 0 && s < i && k.tail(k.writes[s].chain) == s {
			w.chain = k.writes[s].chain
			break
		}
	}
	for c := 0; w.chain == none && c < len(w.down); c++ {
		if w.down[c] > 0 && int32(len(k.chains[c])) <= w.down[c] {
			w.chain = int32(c)
		}
	}
	if w.chain == none {
		w.chain = int32(len(k.chains))
		k.chains = append(k.chains, nil)
	}
	k.chains[w.chain] = append(k.chains[w.chain], i)
	w.pos = int32(len(k.chains[w.chain]))
	w.down = w.down.with(w.chain, w.pos)
	if k.cells += len(w.down); k.cells > cellsMax {
		return errTooWide
	}
	return nil
}
