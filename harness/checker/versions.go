package checker

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// A versioned register is a key of which every get showed one write, or nothing: its
// operations by number instead of by value. Write 0 is the initial value.
type versioned struct {
	writes []stretch
	reads  []sight // in order of their calls
}

// A stretch is a write's interval. It ends no later than the first read of the write,
// since that read could not have seen it before it took effect.
type stretch struct {
	write     int32 // position among the key's; none for the initial value
	call, ret time.Duration
}

// A sight is a read that showed write number of.
type sight struct {
	answer    int32 // position among the key's
	of        int32
	call, ret time.Duration
}

// versioned takes the key as a register; why tells what keeps it from being one. Writes
// that certainly failed are left out, and those of unknown outcome that nobody read.
func (k *keyIndex) versioned() (v *versioned, why string) {
	if k.hidden || k.buries && slices.ContainsFunc(k.deletes, func(d int32) bool { return k.writes[d].effective() }) {
		return nil, "its deletes leave nothing that reads could show"
	}
	first := make([]time.Duration, len(k.writes)) // end of a write's first read
	for i := range first {
		first[i] = forever
	}
	v = &versioned{writes: []stretch{{none, beginning, beginning}}}
	for i := range k.answers {
		a := &k.answers[i]
		if !a.client() {
			continue
		}
		seen := k.seen(a)
		if len(seen) > 1 {
			return nil, "a read showed siblings"
		}
		r := sight{answer: int32(i), of: none, call: k.times[a.inv], ret: k.times[a.done]}
		if len(seen) == 1 {
			r.of = seen[0]
			if r.of < 0 || !k.writes[r.of].effective() || k.writes[r.of].inv > a.done {
				return nil, "a read showed what was not written before"
			}
			first[r.of] = min(first[r.of], r.ret)
		}
		v.reads = append(v.reads, r)
	}
	number := make([]int32, len(k.writes))
	for i := range k.writes {
		w := &k.writes[i]
		s := stretch{write: int32(i), call: k.times[w.inv], ret: first[i]}
		if w.acked() {
			s.ret = min(s.ret, k.times[w.done])
		}
		if number[i] = none; w.effective() && s.ret < forever {
			number[i] = int32(len(v.writes))
			v.writes = append(v.writes, s)
		}
	}
	for i := range v.reads {
		if of := v.reads[i].of; of == none {
			v.reads[i].of = 0
		} else {
			v.reads[i].of = number[of]
		}
	}
	slices.SortStableFunc(v.reads, func(a, b sight) int { return cmp.Compare(a.call, b.call) })
	return v, ""
}

// delta is the least time by which all reads must be thought to have begun earlier for
// the register to be linearizable (the Delta of Golab, Li and Shah, PODC 2011), gamma
// the one by which values are out of order, whoever is to blame (Golab and others, ICDCS
// 2014). Both are 0 if it is linearizable as it is.
func (v *versioned) delta() (delta, gamma time.Duration) {
	type zone struct {
		f       time.Duration // first end
		written time.Duration // call of the write
		read    time.Duration // last call of a read; beginning if there was none
	}
	zones := make([]zone, len(v.writes))
	for i, w := range v.writes {
		zones[i] = zone{w.ret, w.call, beginning}
	}
	for _, r := range v.reads {
		zones[r.of].read = max(zones[r.of].read, r.call)
	}
	slices.SortStableFunc(zones, func(a, b zone) int { return cmp.Compare(a.f, b.f) })
	f, s := make([]time.Duration, len(zones)), make([]time.Duration, len(zones))
	for i, z := range zones {
		f[i] = z.f
	}
	least := func(last func(zone, time.Duration) time.Duration) time.Duration {
		return leastTime(func(shift time.Duration) bool {
			for i, z := range zones {
				s[i] = last(z, shift)
			}
			orderly := true
			collisions(f, s, func(int, int) bool { orderly = false; return false })
			return orderly
		})
	}
	delta = least(func(z zone, shift time.Duration) time.Duration { return max(z.written, z.read-shift) })
	if delta == 0 {
		return 0, 0
	}
	return delta, least(func(z zone, shift time.Duration) time.Duration { return max(z.written, z.read) - shift })
}

// leastTime finds the shortest time that is enough, if whatever is longer is, too.
func leastTime(enough func(time.Duration) bool) time.Duration {
	if enough(0) {
		return 0
	}
	long := time.Duration(1)
	for !enough(long) {
		long *= 2
	}
	return time.Duration(sort.Search(int(long), func(d int) bool { return enough(time.Duration(d)) }))
}

// lagMax bounds the versions that are counted for one read.
const lagMax = 1000

// lags tells for each read how many writes certainly took effect between the one that it
// showed and its call, up to [lagMax], and for how long the first of them had been done.
func (v *versioned) lags(tell func(versions int, age time.Duration)) {
	writes := slices.Clone(v.writes)
	slices.SortStableFunc(writes, func(a, b stretch) int { return cmp.Compare(a.call, b.call) })
	first := make([]time.Duration, len(writes)+1) // earliest end of a write from here on
	first[len(writes)] = forever
	for i := len(writes) - 1; i >= 0; i-- {
		first[i] = min(first[i+1], writes[i].ret)
	}
	for _, r := range v.reads {
		end := v.writes[r.of].ret
		next := sort.Search(len(writes), func(i int) bool { return writes[i].call > end })
		if first[next] >= r.call {
			tell(0, 0)
			continue
		}
		n := 0
		for i := next; i < len(writes) && writes[i].call < r.call && n < lagMax; i++ {
			if writes[i].ret < r.call {
				n++
			}
		}
		tell(n, r.call-first[next])
	}
}
