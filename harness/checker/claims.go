package checker

import "cartwheel/harness"

// A Mode is the terms on which clients ask a store of N copies a key.
type Mode string

// Modes, from those that promise most.
const (
	WriteBack Mode = "write-back" // strict quorums, and reads write back before they answer
	Strict    Mode = "strict"     // R+W > N, and only the key's owners count
	Weak      Mode = "weak"       // R+W <= N, only owners count
	Sloppy    Mode = "sloppy"     // stand-ins count (section 4.6 of the paper); the usual mode
	LWW       Mode = "lww"        // the last write wins: concurrent writes are thrown away
)

// Modes lists them in the order of the table.
var Modes = []Mode{WriteBack, Strict, Weak, Sloppy, LWW}

// Claims are what a workload, on a store in a mode, holds the store to. The zero Claims
// are those of sloppy quorums: what a Dynamo promises whatever it is asked.
type Claims struct {
	Mode     Mode
	Sessions bool // clients keep what they have seen and ask again until they see that much
	Repeats  bool // clients make a put again while its outcome is unknown
	// Uncompared says that nodes do not compare what they hold. A write whose coordinator failed in the middle may then
	// stay on some replicas: nobody else knows who lacks it, so nobody keeps a hint.
	Uncompared bool
	Collects   bool // tombstones are collected: a delete that all replicas have heard of may leave nothing

	all bool // every row of the table, promised or not: to see the stories
}

// ClaimsOf are the claims of requests to a store with so many copies of a key. Quorums
// that are left to the store count as sloppy, whether asked for as strict or not.
func ClaimsOf(read harness.ReadOptions, write harness.WriteOptions, copies int) Claims {
	switch {
	case !read.Strict || !write.Strict || read.R == 0 || write.W == 0:
		return Claims{Mode: Sloppy}
	case read.R+write.W <= copies:
		return Claims{Mode: Weak}
	case read.Repair == "blocking":
		return Claims{Mode: WriteBack}
	}
	return Claims{Mode: Strict}
}

// Promise reports whether an anomaly of a kind breaks what is claimed. Other kinds are
// measured: they are legal. A kind that the table does not know always counts.
func (c Claims) Promise(kind string) bool {
	if c.Mode == "" {
		c.Mode = Sloppy
	}
	for _, p := range promises {
		for _, k := range p.kinds {
			if k == kind {
				return c.all || !(c.Repeats && p.once) && (p.keep[c.Mode] || c.Sessions && p.session)
			}
		}
	}
	return true
}

// Under returns the checkers holding a store to claims: those of this package that the
// table names assert what is promised and measure the rest; others are left as they are.
func Under(c Claims, checkers ...harness.Checker) []harness.Checker {
	out := make([]harness.Checker, len(checkers))
	for i, it := range checkers {
		out[i] = it
		if own, ok := it.(claimant); ok {
			out[i] = own.under(c)
		}
	}
	return out
}

// A claimant asserts what is claimed.
type claimant interface{ under(Claims) harness.Checker }

func (c *check) under(claims Claims) harness.Checker {
	claimed := *c
	claimed.claims = claims
	return &claimed
}
