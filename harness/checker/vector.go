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

// join adds all of u to v and returns the result, which may share v's memory.
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

// with adds the write at a position of a chain; its past is there already.
func (v vector) with(chain, pos int32) vector {
	if int(chain) >= len(v) {
		grown := make(vector, chain+1)
		copy(grown, v)
		v = grown
	}
	v[chain] = max(v[chain], pos)
	return v
}

// covers reports whether u is a subset of v.
func (v vector) covers(u vector) bool {
	for c, n := range u {
		if v.at(int32(c)) < n {
			return false
		}
	}
	return true
}
