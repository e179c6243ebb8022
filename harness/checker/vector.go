package checker

// A vector is a set of a key's writes that holds the past of each of its members. The
// writes of a key are dealt into chains, each totally ordered by "supersedes", so that
// such a set is a prefix of every chain: v[c] is its length in chain c, and chains
// beyond the vector's end have none.
type vector []int32

func (v vector) at(chain int32) int32 {
	if int(chain) < len(v) {
		return v[chain]
	}
	return 0
}

// join adds all of u to v, in v's own memory where that suffices. It never takes u's.
func (v vector) join(u vector) vector {
	if len(v) < len(u) {
		grown := make(vector, len(u))
		copy(grown, v)
		v = grown
	}
	for c, n := range u {
		v[c] = max(v[c], n)
	}
	return v
}

// union returns v with all of u and changes neither: it is one of them where that
// suffices. Most answers show what an earlier one showed, so most vectors are shared.
func (v vector) union(u vector) vector {
	switch {
	case v.covers(u):
		return v
	case u.covers(v):
		return u
	}
	joined := make(vector, max(len(v), len(u)))
	copy(joined, v)
	return joined.join(u)
}

// with returns v with the write at a position of a chain, whose past v holds already.
func (v vector) with(chain, pos int32) vector {
	grown := make(vector, max(len(v), int(chain)+1))
	copy(grown, v)
	grown[chain] = max(grown[chain], pos)
	return grown
}

// covers reports whether u is a subset of v.
func (v vector) covers(u vector) bool {
	if len(u) == 0 || len(v) >= len(u) && &v[0] == &u[0] {
		return true
	}
	for c, n := range u {
		if v.at(int32(c)) < n {
			return false
		}
	}
	return true
}
