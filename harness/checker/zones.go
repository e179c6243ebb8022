package checker

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"cartwheel/harness"
)

// Kinds of anomalies that [Linearizable] and [Zones] find.
const (
	NotLinearizable    = "not-linearizable"     // no order of the operations explains the reads
	SiblingsInRegister = "siblings-in-register" // a read showed two values
)

// beginning is when the initial value was written.
const beginning = time.Duration(-1 << 62)

// Zones judges each key as a linearizable register by the zones of its values alone. It
// takes O(n log n) where [Linearizable] searches, for histories too long to search, and
// wants unique values.
func Zones() harness.Checker { return zoneCheck{} }

type zoneCheck struct{}

func (zoneCheck) Name() string { return "zones" }

func (zoneCheck) Check(ctx context.Context, h []harness.Op) harness.Finding {
	f := judgeZones(ctx, h)
	f.Checker = "zones"
	return f
}

func judgeZones(ctx context.Context, h []harness.Op) harness.Finding {
	rs, err := registers(ctx, h)
	if err != nil {
		return unknown("the history was not judged: %v", err)
	}
	rulings := ruleAll(rs, func(r *register) ruling {
		if ctx.Err() != nil {
			return ruling{doubt: fmt.Sprintf("the check was cut short: %v", context.Cause(ctx))}
		}
		if r.doubt == "" {
			if err := r.validate(); err != nil {
				return ruling{doubt: err.Error()}
			}
			return ruling{conflict: zones(r.ops)}
		}
		return ruling{doubt: r.doubt}
	})
	return registersFinding(rs, rulings)
}

// registersFinding sums up what is known of every register. The figure gamma_seconds_max
// is the Gamma of Golab and others (ICDCS 2014): by how much time the worst pair of values
// is out of order, 0 for linearizable histories.
func registersFinding(rs []*register, rulings []ruling) harness.Finding {
	c := collect(Claims{Mode: WriteBack}, SiblingsInRegister, NotLinearizable)
	ops, doubts, gamma := 0, []string{}, time.Duration(0)
	for i, r := range rs {
		ops += len(r.ops)
		r.addBroken(c)
		if rulings[i].doubt != "" {
			doubts = append(doubts, fmt.Sprintf("key %s: %s", r.key, rulings[i].doubt))
		}
		if con := rulings[i].conflict; con != nil {
			gamma = max(gamma, con.gap)
			c.add(NotLinearizable, len(con.ops()), func() harness.Anomaly { return con.anomaly(r.key) })
		}
	}
	if ops == 0 && c.total() == 0 {
		doubts = append(doubts, "no operation to judge")
	}
	if len(doubts) > 3 {
		doubts = append(doubts[:3], fmt.Sprintf("and %d keys more", len(doubts)-3))
	}
	return c.finding(fmt.Sprintf("%s on %s", count(ops, "operation", "operations"), count(len(rs), "key", "keys")), doubts,
		map[string]float64{"operations": float64(ops), "keys": float64(len(rs)), "gamma_seconds_max": gamma.Seconds()})
}

func (r *register) addBroken(c *collector) {
	for _, a := range r.broken {
		c.add(a.Kind, 0, func() harness.Anomaly { return a })
	}
}

// A cluster is a value's write with all reads of it. Every such operation lies around
// one stretch of time in which the register must have held the value: some of it before
// the first end, some after the last call.
type cluster struct {
	value string
	write *registerOp // nil: the initial value
	first *registerOp // the one that ended first
	last  *registerOp // the one that was called last
	f, s  time.Duration
}

// A conflict proves that a register is not linearizable, with the fewest operations.
type conflict struct {
	read *registerOp   // of a value that was not written before it ended; alone or with its write
	a, b *cluster      // or two values, each of which must come before the other
	gap  time.Duration // by how much they are out of order
}

// zones returns nil if the operations are linearizable: no read returns a value that
// was not written, and no two clusters each have an operation that ended before one of
// the other's began. (If clusters are ordered by such pairs of operations, then on any
// cycle the one whose first end is earliest reaches every other in one step; so where
// there is a cycle there is one of two.)
func zones(ops []registerOp) *conflict {
	clusters, con := clustered(ops)
	if con != nil {
		return con
	}
	sort.SliceStable(clusters, func(i, j int) bool { return clusters[i].f < clusters[j].f })
	f, s := make([]time.Duration, len(clusters)), make([]time.Duration, len(clusters))
	for i, c := range clusters {
		f[i], s[i] = c.f, c.s
	}
	var worst *conflict
	collisions(f, s, func(i, j int) bool {
		// Of all pairs tell the one that is wrong by the most time.
		a, b := clusters[i], clusters[j]
		if gap := min(b.s-a.f, a.s-b.f); worst == nil || gap > worst.gap {
			worst = &conflict{a: a, b: b, gap: gap}
		}
		return true
	})
	return worst
}

// collisions looks for pairs of clusters each of which must come before the other, given
// the first end f and the last call s of each, in the order of f. For every cluster it
// finds one such pair if there is any, until found returns false.
func collisions(f, s []time.Duration, found func(i, j int) bool) {
	latest := make([]int, len(f)) // of clusters up to here, the one with the greatest s
	for j := range f {
		latest[j] = j
		if j > 0 && s[latest[j-1]] >= s[j] {
			latest[j] = latest[j-1]
		}
	}
	for j := range f {
		before := j // clusters that may have ended first
		if s[j] <= f[j] {
			before = sort.Search(len(f), func(i int) bool { return f[i] >= s[j] })
		}
		if before == 0 {
			continue
		}
		if i := latest[before-1]; i != j && f[i] < s[j] && f[j] < s[i] && !found(i, j) {
			return
		}
	}
}

// clustered sorts operations by value. A read of a value that was not written before the
// read ended is a conflict at once.
func clustered(ops []registerOp) ([]*cluster, *conflict) {
	by := map[string]*cluster{"": {f: beginning, s: beginning}}
	order := []*cluster{by[""]}
	for i := range ops {
		if o := &ops[i]; o.write {
			c := &cluster{value: o.value, write: o, first: o, last: o, f: o.ret, s: o.call}
			by[o.value] = c
			order = append(order, c)
		}
	}
	for i := range ops {
		o := &ops[i]
		if o.write {
			continue
		}
		c := by[o.value]
		if c == nil {
			return nil, &conflict{read: o}
		}
		if c.write != nil && o.ret < c.write.call {
			return nil, &conflict{read: o, a: c}
		}
		if o.ret < c.f {
			c.f, c.first = o.ret, o
		}
		if o.call > c.s || c.last == nil {
			c.s, c.last = o.call, o
		}
	}
	// Without reads, the initial value constrains nothing; a pending write that nobody
	// read neither.
	return slices.DeleteFunc(order, func(c *cluster) bool { return c.last == nil || c.f == forever }), nil
}

// ops lists the operations of the proof, by their lines' numbers.
func (c *conflict) ops() []int {
	var out []int
	for _, o := range c.operations() {
		if out = append(out, o.inv); o.done != none {
			out = append(out, o.done)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *conflict) operations() []*registerOp {
	var out []*registerOp
	if c.read != nil {
		out = append(out, c.read)
	}
	for _, cl := range []*cluster{c.a, c.b} {
		if cl == nil {
			continue
		}
		for _, o := range []*registerOp{cl.write, cl.first, cl.last} {
			if o != nil && !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

func (c *conflict) anomaly(key string) harness.Anomaly {
	a := harness.Anomaly{Kind: NotLinearizable, Key: key, Ops: c.ops()}
	switch {
	case c.read != nil && c.a == nil:
		a.Element = c.read.value
		a.Story = []string{fmt.Sprintf("%s showed %s, which was not written, or only by a put that failed for certain.", capital(c.read.told()), label(c.read.value))}
	case c.read != nil:
		a.Element = c.read.value
		a.Story = []string{fmt.Sprintf("%s showed %s and ended at %s, before %s began at %s.",
			capital(c.read.told()), label(c.read.value), instant(c.read.ret), c.a.write.told(), instant(c.a.write.call))}
	default:
		a.Element = c.b.value
		a.Story = []string{
			fmt.Sprintf("No order of the operations%s explains %s and %s.", onKey(key), c.a.name(), c.b.name()),
			c.a.before(c.b), c.b.before(c.a),
		}
	}
	return a
}

func (c *cluster) name() string {
	if c.write == nil {
		return "the initial value"
	}
	return label(c.value)
}

// before tells why the register held c's value before d's.
func (c *cluster) before(d *cluster) string {
	why := "The initial value was there from the beginning"
	if c.first != nil && c.f > beginning {
		why = fmt.Sprintf("%s ended at %s", capital(c.first.told()), instant(c.f))
	}
	return fmt.Sprintf("%s, before %s began at %s, so %s comes before %s.", why, d.last.told(), instant(d.s), c.name(), d.name())
}

// told names an operation with its effect.
func (o *registerOp) told() string {
	if o.write {
		return fmt.Sprintf("%s (op %d)", o.title, o.inv)
	}
	value := "nothing"
	if o.value != "" {
		value = label(o.value)
	}
	return fmt.Sprintf("get -> %s (op %d)", value, o.inv)
}

// onKey names a key in a sentence. A history from elsewhere may have one without a name.
func onKey(key string) string {
	if key == "" {
		return ""
	}
	return " on key " + key
}
