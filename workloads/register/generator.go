package register

import (
	"cmp"
	"fmt"
	"slices"

	"cartwheel/harness"
	"cartwheel/harness/generator"
)

const (
	perKey      = 5   // clients of one key at most: the search is exponential in them
	opsMax      = 100 // on a key before its writer goes on to a fresh one
	opsFew      = 4   // the same where there are to be many keys
	defaultRate = 150 // operations a second, all clients together
	ownReads    = 5   // one operation in so many of a writer is a get
	lookBack    = 8   // one get in so many looks at the group's key before this one
	doubtOps    = 40  // operations on a key after one that was left, of whose gets half look back
)

// Generator deals the threads out to groups of up to five, one writer and its readers,
// with a key of their own at a time.
func Generator(s harness.Setup) harness.Generator { return staggered(s, crowd{}) }

// ownersGenerator is the same in the bucket of [Owners].
func ownersGenerator(s harness.Setup) harness.Generator {
	return staggered(s, crowd{prefix: "owners/"})
}

// lastGenerator is the same in the bucket of [LastWrite].
func lastGenerator(s harness.Setup) harness.Generator { return staggered(s, crowd{prefix: "lww/"}) }

// oneGenerator is the same for [One]: half of the readers' gets are of any earlier key.
func oneGenerator(s harness.Setup) harness.Generator { return staggered(s, crowd{keeps: true}) }

// manyGenerator is the same with many keys, to most of which nobody comes back before somebody looks
// at what an earlier fault has left of them.
func manyGenerator(s harness.Setup) harness.Generator {
	return staggered(s, crowd{keeps: true, most: opsFew})
}

// weakGenerator is the same with writers that continue their own puts only: a weak read
// may show less than its writer has written, and its context would branch the versions.
func weakGenerator(s harness.Setup) harness.Generator { return staggered(s, crowd{putsOnly: true}) }

func staggered(s harness.Setup, g crowd) harness.Generator {
	return generator.Stagger(cmp.Or(s.Rate, defaultRate), s.Seed, g)
}

// A crowd is the state of all groups. It is a value: the slice is copied before it
// changes. Thread t belongs to group t mod len(groups), and the first thread of each
// group writes, so that a group's clients talk to different nodes.
type crowd struct {
	groups []group
	keys   int // begun so far; names the next
	values int // puts so far

	prefix   string // of all keys
	putsOnly bool   // writers take no context from their gets
	most     int    // operations on a key before its writer goes on; default opsMax
	keeps    bool   // every second get is of any key that its group has had, or, with many keys, one in lookBack
}

// A group shares a key.
type group struct {
	key    string
	before string   // the key before; nobody writes to it any more
	doubt  bool     // and it was left: its replicas are likely to differ
	past   []string // all keys before
	ops    int      // on key
	left   bool     // a put of unknown outcome: the writer begins a fresh key
	token  []byte   // of the writer's last successful operation on key
}

// every is how many gets there are for each that looks back. Where a put was left open reads
// have the most to repair, so there more of them look.
func (g group) every() int {
	if g.doubt && g.ops < doubtOps {
		return 2
	}
	return lookBack
}

// back is how many gets of a crowd that keeps its keys there are for each of an earlier one. A read repairs what it
// finds, so where there are many keys it is to find what was left a while ago.
func (g crowd) back() int {
	if g.most > 0 {
		return lookBack
	}
	return 2
}

// ready is the crowd with as many groups as the threads need, the first time it is asked.
func (g crowd) ready(c harness.GenContext) crowd {
	g.groups = slices.Clone(g.groups)
	for len(g.groups) < (len(c.All)+perKey-1)/perKey {
		g.keys++
		g.groups = append(g.groups, group{key: g.key(g.keys)})
	}
	return g
}

func (g crowd) key(n int) string { return fmt.Sprintf("%sreg%d", g.prefix, n) }

func (g crowd) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	g = g.ready(c)
	process := c.Free[c.Rand.IntN(len(c.Free))]
	thread := c.Thread(process)
	at := thread % len(g.groups)
	own := g.groups[at]
	writer := thread < len(g.groups)
	if writer && (own.left || own.ops >= cmp.Or(g.most, opsMax)) {
		g.keys++
		own = group{key: g.key(g.keys), before: own.key, doubt: own.left, past: append(slices.Clip(own.past), own.key)}
	}
	op := harness.Op{Process: process, F: harness.Get, Key: own.key}
	switch {
	case writer && c.Rand.IntN(ownReads) > 0:
		g.values++
		op.F, op.Value, op.Context = harness.Put, fmt.Sprintf("v%d", g.values), own.token
	case g.keeps && len(own.past) > 0 && c.Rand.IntN(g.back()) == 0:
		op.Key = own.past[c.Rand.IntN(len(own.past))]
	case own.before != "" && c.Rand.IntN(own.every()) == 0:
		op.Key = own.before
	}
	if op.Key == own.key {
		own.ops++
	}
	g.groups[at] = own
	return harness.Draw{State: harness.Ready, Op: op, At: c.Time}, g
}

// Update follows the writers: their tokens, and puts of which nobody knows what became.
func (g crowd) Update(c harness.GenContext, op harness.Op) harness.Generator {
	if op.Process < 0 || op.Kind == harness.Invoke {
		return g
	}
	g = g.ready(c)
	at := c.Thread(op.Process)
	if at >= len(g.groups) || g.groups[at].key != op.Key {
		return g
	}
	switch {
	case op.Kind == harness.OK && (op.IsWrite() || !g.putsOnly):
		g.groups[at].token = op.Token
	case op.Kind == harness.Info && op.IsWrite():
		g.groups[at].left = true
	}
	return g
}
