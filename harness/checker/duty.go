package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/history"
)

// A request is one operation of a client.
type request struct {
	inv, done harness.Op // done is indeterminate, given up and at the end of time if there is none
}

func newRequest(h []harness.Op, p history.Pair) request {
	r := request{inv: h[p.Invoke], done: harness.Op{Kind: harness.Info, Time: forever, GivenUp: true}}
	if p.Completion >= 0 {
		r.done = h[p.Completion]
	}
	return r
}

// A duty is what a store owes to the clients of one run.
type duty struct {
	plan    harness.Plan
	weather *weather
	owners  map[string][]harness.NodeID // by key; of none where members have changed
	issued  map[string]issue            // by context: how it was issued last so far, as the history is gone through
	found   map[string]time.Duration    // by fault of a disk: when the first write failed that may have found it out
	calm    map[harness.NodeID]*calm

	seen, owed, unserved int
}

// An issue is how a client came by a context.
type issue struct {
	key  string
	node harness.NodeID
	from time.Duration // when the request was called that it answered
	till time.Duration // and when it was answered
}

// A calm is what a node did while all was well.
type calm struct{ outcomes }

func newDuty(p harness.Plan, h []harness.Op) *duty {
	nodes := p.Nodes
	if len(nodes) == 0 {
		nodes = asked(h)
	}
	d := &duty{
		plan: p, weather: newWeather(nodes, h), owners: map[string][]harness.NodeID{}, issued: map[string]issue{},
		found: map[string]time.Duration{}, calm: map[harness.NodeID]*calm{},
	}
	for _, op := range h {
		switch {
		case op.Kind == harness.Invoke:
		case op.F == harness.ReplicaRead && !slices.Contains(d.owners[op.Key], op.Node):
			d.owners[op.Key] = append(d.owners[op.Key], op.Node)
		}
		d.findOut(op)
	}
	if slices.ContainsFunc(d.weather.windows, func(w window) bool { return w.fault.Kind == "membership" }) {
		d.owners = nil // those of the end need not be those of the time
	}
	return d
}

// findOut notes a write that failed first while a disk took none: nobody can know before.
func (d *duty) findOut(op harness.Op) {
	if !op.IsWrite() || op.Process < 0 || op.Kind == harness.Invoke || op.Kind == harness.OK {
		return
	}
	for _, w := range d.weather.windows {
		if w.fault.Disk == nil || op.Time < w.from {
			continue
		}
		if at, ok := d.found[w.fault.ID]; !ok || op.Time < at {
			d.found[w.fault.ID] = op.Time
		}
	}
}

// need is how many nodes a request asks for, and whether only owners count; 0: that is left to the store, or more is asked for
// than this.
func (d *duty) need(op harness.Op) (need int, strict bool) {
	r, w := d.plan.Read, d.plan.Write
	if op.IsWrite() {
		if w.N != 0 || w.PW != 0 || w.DW != 0 || w.NodeConfirms != 0 || d.plan.Store.HintBytes != 0 {
			return 0, w.Strict
		}
		return w.W, w.Strict
	}
	if r.N != 0 || r.PR != 0 || r.NodeConfirms != 0 || r.Repair == "blocking" || r.NotFound != "" {
		return 0, r.Strict
	}
	return r.R, r.Strict
}

// look judges one request.
func (d *duty) look(r request, c *collector) {
	d.seen++
	if r.done.GivenUp {
		return
	}
	defer d.learn(r)
	need, strict := d.need(r.inv)
	at := d.weather.during(r.inv.Time, r.done.Time)
	if d.misrouted(r) {
		c.add(Misrouted, r.inv.Index, func() harness.Anomaly { return d.tellMisrouted(r) })
	}
	if d.plan.Store.Routed && at != d.weather.clear {
		return // it need not have asked the node that it names
	}
	if owners := d.owners[r.inv.Key]; strict && r.done.Kind == harness.OK && need > 0 && len(owners) > 0 {
		if most := at.owners(r.inv.Node, owners); most < need {
			c.add(AckedShort, most-need, func() harness.Anomaly { return d.tellShort(r, owners, most, need) })
		}
	}
	if at.strange || !d.judged(r, at) {
		return
	}
	if at == d.weather.clear {
		d.note(r)
	} else if strict || need == 0 || !at.serves(r.inv.Node, need, r.inv.IsWrite()) {
		return
	}
	d.owed++
	if r.done.Kind == harness.OK || d.excused(r, at) {
		return
	}
	d.unserved++
	if simulated(d.plan) {
		c.add(Unavailable, r.inv.Index, func() harness.Anomaly { return d.tellUnserved(r, at) })
	}
}

// learnsLayout is how long a client that routes may go by an old layout: it fetches it anew every ten seconds (section 6.4 of the paper).
const learnsLayout = 12 * time.Second

// misrouted reports whether a client that routes has asked a node that was not to coordinate its write, though it had the time to learn who
// is, and nothing has kept it from the right one.
func (d *duty) misrouted(r request) bool {
	return d.plan.Store.Routed && r.done.Meta != nil && r.done.Meta.Forwarded && r.inv.Time >= learnsLayout &&
		d.weather.quiet(r.inv.Time-learnsLayout, r.done.Time)
}

// judged reports whether what became of a request tells of the store: nothing has changed that nodes had to find out, nor may
// the request be refused for what it says.
func (d *duty) judged(r request, at *reach) bool {
	if len(r.inv.Context) == 0 {
		return d.weather.settled(r.inv.Time, r.done.Time)
	}
	of, known := d.issued[string(r.inv.Context)]
	switch {
	case !known || of.key != r.inv.Key:
		return false
	case r.inv.IsWrite():
		return d.weather.settled(r.inv.Time, r.done.Time)
	}
	return d.satisfiable(r, of, at)
}

// satisfiable reports whether nodes that a session's read reaches must be able to show what the session has seen. They are those
// that its answer came from, as owners or as stand-ins, if they hear each other and nobody else, and have since before that
// answer was asked for: whatever one of them holds or passes on stays among them. Such a read asks whoever may answer, so
// nobody has to find out first who is silent.
func (d *duty) satisfiable(r request, of issue, at *reach) bool {
	return d.owners != nil && len(at.full) == 0 && of.till <= r.inv.Time &&
		d.weather.still(of.from, r.done.Time, 0) && at.secluded(r.inv.Node) && at.hear(r.inv.Node, of.node)
}

// learn notes what a client may go by from here on.
func (d *duty) learn(r request) {
	if r.done.Kind == harness.OK && len(r.done.Token) > 0 {
		d.issued[string(r.done.Token)] = issue{r.inv.Key, r.inv.Node, r.inv.Time, r.done.Time}
	}
}

// excused reports whether a write may have been the one by which a disk was found to take none.
func (d *duty) excused(r request, at *reach) bool {
	return r.inv.IsWrite() && len(at.full) > 0 && slices.ContainsFunc(d.weather.windows, func(w window) bool {
		first, ok := d.found[w.fault.ID]
		return ok && w.fault.Disk != nil && w.from <= r.inv.Time && r.inv.Time <= first
	})
}

// note counts what a node did while all was well.
func (d *duty) note(r request) {
	it := d.calm[r.inv.Node]
	if it == nil {
		it = new(calm)
		d.calm[r.inv.Node] = it
	}
	it.add(r.done.Kind)
}

// A node that serves nothing is one of which so many requests failed, while of the others' at least half succeeded.
const (
	silentMin = 20
	servesMin = 0.5
)

// silent looks for nodes that serve nothing while all is well and their peers serve.
func (d *duty) silent(c *collector) {
	for _, n := range sortedKeys(d.calm) {
		var others outcomes
		for m, it := range d.calm {
			if m != n {
				others.ok, others.fail, others.info = others.ok+it.ok, others.fail+it.fail, others.info+it.info
			}
		}
		it := d.calm[n]
		if it.ok > 0 || it.total() < silentMin || others.total() < silentMin || others.share() < servesMin {
			continue
		}
		c.add(OutOfService, -it.total(), func() harness.Anomaly {
			return harness.Anomaly{Element: string(n), Ops: []int{}, Story: []string{fmt.Sprintf(
				"While all was well %s failed each of %d requests, of which the other nodes served %d of %d.", n, it.total(), others.ok, others.total())}}
		})
	}
}

func (d *duty) tellUnserved(r request, at *reach) harness.Anomaly {
	why := "All was well"
	if in := d.weather.inForce(r.inv.Time); at != d.weather.clear {
		why = fmt.Sprintf("In force was %s, which left %s in reach", strings.Join(in, ", "), nodes(at.with(r.inv.Node)))
	}
	out := d.anomaly(r)
	out.Story = []string{
		fmt.Sprintf("%s of key %s was called at %s and ended at %s: %s.", capital(said(r.inv)), r.inv.Key, instant(r.inv.Time), ended(r.done.Time), cmp.Or(r.done.Error, string(r.done.Kind))),
		why + ", and nothing had changed for some seconds: it had to be served.",
	}
	if s := served(r.done.Meta); s != "" {
		out.Story = append(out.Story, "The store says: "+s+".")
	}
	return out
}

func (d *duty) tellMisrouted(r request) harness.Anomaly {
	out := d.anomaly(r)
	out.Story = []string{
		fmt.Sprintf("%s of key %s, called at %s, was sent to a node that forwarded it to %s.", capital(said(r.inv)), r.inv.Key, instant(r.inv.Time), r.done.Meta.Coordinator),
		fmt.Sprintf("Its client routes by itself, and for %v there was no fault and no change: it goes by an outdated layout.", learnsLayout),
	}
	return out
}

func (d *duty) tellShort(r request, owners []harness.NodeID, most, need int) harness.Anomaly {
	out := d.anomaly(r)
	out.Story = []string{
		fmt.Sprintf("%s of key %s, called at %s, was acknowledged at %s as a strict quorum of %d.", capital(said(r.inv)), r.inv.Key, instant(r.inv.Time), instant(r.done.Time), need),
		fmt.Sprintf("Owners are %s, of which %d at most could be reached: in force was %s.", nodes(owners), most, strings.Join(d.weather.inForce(r.inv.Time), ", ")),
	}
	return out
}

func (d *duty) anomaly(r request) harness.Anomaly {
	a := harness.Anomaly{Key: r.inv.Key, Element: element(r.inv), Ops: []int{r.inv.Index}}
	if r.done.Time < forever {
		a.Ops = append(a.Ops, r.done.Index)
	}
	return a
}

// ended tells when something ended.
func ended(at time.Duration) string {
	if at == forever {
		return "no time"
	}
	return instant(at)
}
