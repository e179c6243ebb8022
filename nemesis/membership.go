package nemesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/schedule"
)

// MembershipKind is the kind of a [Membership]'s faults.
const MembershipKind = "membership"

// A Membership changes who is a member while the store serves and other faults strike:
// join (a machine is added and becomes a member), leave (a member hands over what it
// holds) and replace (a member dies with its disk, and an added machine takes its place).
// The zero value makes all three, one at a time. The heal undoes the change, takes added machines
// away, and waits until nothing is left to be moved.
//
// Others have to be asked for. A tour is changes on top of each other: two machines join, and go again;
// then a member leaves, and of the others one is replaced. So five nodes become seven and then four. A
// late-leave begins when a partition has just ended; an amid-leave when one has just begun, which lasts as long as the change,
// and takes out a node that hears the fewest of the others (see [Compose]). In a rebuild a member loses its disk, and the node that
// begins anew on the same machine takes its place, for good: nothing is undone that would copy the data once more.
// A zombie is a member that is replaced while it is dead, and then comes back with its disk and asks for its place.
//
// A rewind, for the asking as well, gives a member the disk that it had when the fault began, lets it run for a while, and
// then replaces it: what it brings back it should have kept to itself.
//
// Most nodes must know of each change before it is undone, and all of them afterwards. A
// node that another fault holds, or cuts off, hears late, hence not all at all times.
type Membership struct {
	Names  []string        // of memberships; default join, leave and replace
	Timing schedule.Timing // its rhythm; default a change of 8 to 12 seconds, and 15 to 25 between two: to undo one takes as long

	store harness.MemberChanger     // nil: the target has none
	turn  lock                      // held while a change is made or undone, and by one that is not of a tour in between
	begun []harness.Fault           // changes in force; guarded by the ward's lock
	lost  map[string]harness.NodeID // by rebuild: the node that has lost its disk; guarded by the ward's lock
	patient
}

var memberships = tableOf(MembershipKind,
	target{name: "join", nodes: 1, count: func(*rand.Rand, int) int { return 0 }},
	atLeast(4, one.called("leave", nil)), // so that three are left, which is what replication takes
	atLeast(4, one.called("replace", nil)),
	onlyAsked(atLeast(5, all.called(tour, nil))),
	onlyAsked(atLeast(4, one.called(amid+"leave", nil))),
	onlyAsked(atLeast(4, one.called(late+"leave", nil))),
	onlyAsked(atLeast(4, one.called(rebuild, nil))),
	onlyAsked(atLeast(4, one.called(late+rebuild, nil))),
	onlyAsked(atLeast(4, one.called(zombie, nil))),
	onlyAsked(atLeast(4, one.called(rewind, nil))),
)

func atLeast(nodes int, t target) target {
	t.nodes = nodes
	return t
}

// Name returns "membership", with the names that it is limited to.
func (m *Membership) Name() string { return title(MembershipKind, m.Names) }

func (m *Membership) kinds() []string { return []string{MembershipKind} }

// Meet notes the store whose members change.
func (m *Membership) Meet(t harness.Target) { m.store, _ = t.(harness.MemberChanger) }

// Check wants a cluster that can have more machines and whose nodes can be killed, a
// target whose members can change, and known names.
func (m *Membership) Check(c harness.Cluster) error {
	_, grows := c.(harness.Resizer)
	_, kills := c.(harness.Killer)
	err := memberships.check(MembershipKind, c, grows && kills, "add machines and kill nodes", m.Names)
	if len(m.Names) > 1 && slices.Contains(m.Names, tour) {
		err = errors.Join(err, fmt.Errorf("nemesis %s: a tour makes every change: name it alone", MembershipKind))
	}
	if _, rewinds := c.(harness.Rewinder); slices.Contains(m.Names, rewind) && !rewinds {
		err = errors.Join(err, fmt.Errorf("nemesis %s: the cluster keeps no images of disks", MembershipKind))
	}
	if m.store == nil {
		err = errors.Join(err, fmt.Errorf("nemesis %s: the target's members cannot change", MembershipKind))
	}
	return err
}

// Plan draws changes, one at a time. Each added machine has a name of its own.
func (m *Membership) Plan(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	t := m.Timing
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&t.FaultMin, 8 * time.Second}, {&t.FaultMax, 12 * time.Second}, {&t.GapMin, 15 * time.Second}, {&t.GapMax, 25 * time.Second}} {
		*d.field = cmp.Or(*d.field, d.value)
	}
	if slices.Contains(m.Names, tour) {
		return planTour(r, nodes, span)
	}
	if slices.ContainsFunc(m.Names, isAmid) { // most of what goes on in a change that cannot end comes of time
		t.FaultMin, t.FaultMax, t.Head = max(t.FaultMin, amidMin), max(t.FaultMax, amidMax), max(t.Head, 2*amidAhead)
	}
	plan := schedule.Draw(r, nodes, span, t, memberships.chosen(m.Names))
	added := len(nodes)
	for i := range plan {
		if grows(plan[i]) {
			added++
			plan[i].Spare = harness.NodeID(fmt.Sprintf("n%d", added))
		}
	}
	return plan
}

// changeEvery is how long a change that was refused waits to be asked for again: a store may have
// to compute a layout before it can refuse.
const changeEvery = time.Second

// A change is one fault at work: what it does, to whom.
type change struct {
	proof
	w       *ward
	fault   harness.Fault
	cluster harness.Cluster
	harness.Resizer
	harness.Killer
	store   harness.MemberChanger
	inForce []harness.Fault // the other changes
	lost    harness.NodeID  // of a rebuild: the node that has lost its disk
}

var errNoMembership = errors.New("the cluster has no more machines, or the target's members cannot change, or the fault names nobody")

func (m *Membership) change(c harness.Cluster, f harness.Fault, e *harness.Evidence, now func() time.Duration) (change, error) {
	machines, able := c.(harness.Resizer)
	kills, able2 := c.(harness.Killer)
	ch := change{proof{e, now}, m.ward(), f, c, machines, kills, m.store, nil, ""}
	sort := sortOf(f)
	known := slices.Contains([]string{"join", "leave", "replace", rebuild, zombie, rewind}, sort) && grows(f) == (f.Spare != "") && (sort == "join") == (len(f.Nodes) == 0) && len(f.Nodes) <= 1
	if !able || !able2 || m.store == nil || !known {
		return ch, errNoMembership
	}
	return ch, nil
}

// Inject makes the change, once no other of them is in force that is not of its tour. The proof: before,
// all nodes that serve know the members; then a node has taken the change on.
// Who has heard of it is asked at the heal.
func (m *Membership) Inject(ctx context.Context, c harness.Cluster, f harness.Fault, now func() time.Duration) (harness.Evidence, error) {
	ch, err := m.change(c, f, &harness.Evidence{}, now)
	if err != nil {
		ch.problem("%v", err)
		return *ch.Evidence, fmt.Errorf("inject %s: %w", f.ID, err)
	}
	if err := m.turn.hold(ctx, ch.proof, injecting, f); err != nil {
		return *ch.Evidence, err
	}
	if err := ch.w.hold(ctx, ch.proof, injecting, f); err != nil {
		m.turn.release()
		return *ch.Evidence, err
	}
	defer ch.w.release()
	ch.inForce = slices.Clone(m.begun)
	m.begun = append(m.begun, f)
	if ofTour(f) {
		defer m.turn.release()
	}
	if err := ch.known(ctx, before); err != nil && ofTour(f) {
		// What the change before still moves may need the very node that would be wiped.
		m.begun = ch.inForce
		return *ch.Evidence, fmt.Errorf("change members for %s: the change before has not settled: %w", f.ID, err)
	}
	if sortOf(f) == rebuild {
		if m.lost == nil {
			m.lost = map[string]harness.NodeID{}
		}
		m.lost[f.ID] = ch.nodeOn(ctx, f.Nodes[0])
	}
	if sortOf(f) == rewind {
		err := ch.keep(ctx)
		return *ch.Evidence, err
	}
	if err := ch.make(ctx); err != nil {
		ch.problem("the members were not changed: %v", err)
		return *ch.Evidence, fmt.Errorf("change members for %s: %w", f.ID, err)
	}
	ch.Injected = now()
	return *ch.Evidence, nil
}

// make adds, kills and wipes, and asks the store.
func (ch change) make(ctx context.Context) error {
	f := ch.fault
	if f.Spare != "" {
		if err := ch.Add(ctx, f.Spare); err != nil {
			return err
		}
	}
	switch sortOf(f) {
	case "replace":
		if err := ch.empty(ctx, f.Nodes[0]); err != nil {
			return err
		}
	case rebuild:
		return ch.rebuild(ctx)
	case zombie:
		return ch.raise(ctx)
	}
	return ch.ask(ctx, func() error {
		switch sortOf(f) {
		case "join":
			return ch.store.Join(ctx, ch.cluster, f.Spare)
		case "leave":
			return ch.store.Leave(ctx, ch.cluster, f.Nodes[0])
		}
		return ch.store.Replace(ctx, ch.cluster, f.Nodes[0], f.Spare)
	})
}

// ask asks the store until it has made a change. The node that is asked may be held or cut off by other faults,
// for a while.
func (ch change) ask(ctx context.Context, do func() error) error {
	return ch.w.persistEvery(ctx, changeEvery, func() error { return ch.w.aside(ctx, do) })
}

// empty kills a node and empties its disk. Whatever comes of it, it is to be started again.
func (ch change) empty(ctx context.Context, n harness.NodeID) error {
	ch.w.kill(n, ch.fault.ID)
	if err := ch.Kill(ctx, n); err != nil {
		return err
	}
	return ch.Wipe(ctx, n)
}

// base are the members that there have to be before the change and once it is undone.
func (ch change) base() []harness.NodeID { return changed(ch.cluster.Nodes(), ch.inForce...) }

// members are those that there have to be while the fault is in force.
func (ch change) members() []harness.NodeID { return changed(ch.base(), ch.fault) }

// changed are the members that changes make of others, sorted.
func changed(members []harness.NodeID, by ...harness.Fault) []harness.NodeID {
	members = slices.Clone(members)
	for _, f := range by {
		if !slices.Contains([]string{"join", rebuild}, sortOf(f)) {
			members = slices.DeleteFunc(members, func(n harness.NodeID) bool { return n == f.Nodes[0] })
		}
		if f.Spare != "" {
			members = append(members, f.Spare)
		}
	}
	slices.Sort(members)
	return members
}

// Heal undoes the change. The proof: just before, most nodes know the changed members; afterwards
// every node that serves knows those without the change and has nothing left to move. What could
// not be brought back is told.
func (m *Membership) Heal(ctx context.Context, c harness.Cluster, f harness.Fault, e *harness.Evidence, now func() time.Duration) error {
	ch, err := m.change(c, f, e, now)
	if err != nil {
		return fmt.Errorf("heal %s: %w", f.ID, err)
	}
	if ofTour(f) {
		if err := m.turn.hold(ctx, ch.proof, healing, f); err != nil {
			return err
		}
		defer m.turn.release()
	}
	if err := ch.w.hold(ctx, ch.proof, healing, f); err != nil {
		return err
	}
	defer ch.w.release()
	ch.inForce = slices.DeleteFunc(slices.Clone(m.begun), func(g harness.Fault) bool { return g.ID == f.ID })
	if len(ch.inForce) == len(m.begun) {
		return nil // it never began
	}
	defer func() {
		m.begun = slices.DeleteFunc(m.begun, func(g harness.Fault) bool { return g.ID == f.ID })
		if !ofTour(f) {
			m.turn.release()
		}
	}()
	ch.lost = m.lost[f.ID]
	if sortOf(f) == rewind {
		if ch, err = ch.rewind(ctx); err != nil {
			return err
		}
	}
	if e.Injected > 0 {
		ch.mostKnow(ctx)
	}
	if err := ch.undo(ctx); err != nil {
		ch.problem("the members are not those of before again: %v; added and left: %v", err, ch.Spares())
		return fmt.Errorf("undo %s: %w", f.ID, err)
	}
	e.Healed = now()
	_ = ch.known(ctx, after) // which is in the evidence
	return nil
}

// undo is make backwards, also where that ended half way: what was not done is no error to
// be undone. The store must have moved all data before a machine goes.
func (ch change) undo(ctx context.Context) error {
	f := ch.fault
	if sortOf(f) == rebuild {
		return ch.rebuilt(ctx)
	}
	if sortOf(f) == zombie {
		if err := ch.empty(ctx, f.Nodes[0]); err != nil {
			return err
		}
	}
	// Half a replacement waits for a node whose disk is gone, and nothing else can be changed: it has to be made first.
	half := slices.Contains([]string{"replace", zombie}, sortOf(f)) && ch.Injected == 0 && slices.Contains(ch.w.dead[f.Nodes[0]], f.ID)
	if half {
		if err := ch.ask(ctx, func() error { return ch.store.Replace(ctx, ch.cluster, f.Nodes[0], f.Spare) }); err != nil {
			return err
		}
	}
	if ch.Injected > 0 || half {
		var goes []harness.NodeID
		if sortOf(f) == "leave" {
			goes = f.Nodes
		}
		if err := ch.settled(ctx, ch.members(), goes...); err != nil {
			return err
		}
	}
	if sortOf(f) == "leave" && ch.Injected > 0 { // it may come back, but not as the node that has left
		if err := ch.empty(ctx, f.Nodes[0]); err != nil {
			return err
		}
	}
	if sortOf(f) != "join" {
		if err := startAgain(ctx, ch.w, ch.Killer, f.Nodes[0], f.ID); err != nil {
			return fmt.Errorf("start %s: %w", f.Nodes[0], err)
		}
	}
	err := ch.ask(ctx, func() error {
		for _, n := range f.Nodes {
			if err := ch.store.Join(ctx, ch.cluster, n); err != nil {
				return err
			}
		}
		if slices.Contains(ch.Spares(), f.Spare) {
			return ch.store.Leave(ctx, ch.cluster, f.Spare)
		}
		return nil
	})
	if err == nil {
		err = ch.settled(ctx, ch.base(), ch.Spares()...)
	}
	if err != nil || f.Spare == "" {
		return err
	}
	return ch.w.persist(ctx, func() error { return ch.Remove(ctx, f.Spare) })
}

// settled waits until every machine that serves knows the members and has nothing to move, those
// apart that other changes have taken out: nobody tells them any more. Most have to serve, and so have those that
// are about to go: nobody else knows whether a machine may be emptied, and where all are dead nobody knows anything.
func (ch change) settled(ctx context.Context, members []harness.NodeID, going ...harness.NodeID) error {
	concerned := append(ch.base(), ch.members()...)
	return ch.w.persist(ctx, func() error {
		var who []harness.NodeID
		for _, n := range append(ch.cluster.Nodes(), ch.Spares()...) {
			switch {
			case !slices.Contains(concerned, n):
			case ch.w.serves(n):
				who = append(who, n)
			case slices.Contains(going, n):
				return fmt.Errorf("%s does not run, and cannot tell whether it may go", n)
			}
		}
		if 2*len(who) <= len(members) {
			return fmt.Errorf("only %v run of those that should know the members %v", who, members)
		}
		return ch.w.aside(ctx, func() error { return ch.agree(ctx, who, members) })
	})
}

// agree wants each of some nodes to know the members and to have nothing to move.
func (ch change) agree(ctx context.Context, who, members []harness.NodeID) error {
	for _, n := range who {
		v, err := ch.store.View(ctx, ch.cluster, n)
		switch {
		case err != nil:
			return fmt.Errorf("ask %s for the members: %w", n, err)
		case !slices.Equal(v.Members, members):
			return fmt.Errorf("%s knows the members %v, not %v", n, v.Members, members)
		case !v.Settled:
			return fmt.Errorf("%s has data to move", n)
		}
	}
	return nil
}

// mostKnow waits until most of the nodes know the changed members, and records who does.
func (ch change) mostKnow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	nodes, want := ch.base(), ch.members()
	var knows []string
	err := ch.w.persist(ctx, func() error {
		serving := slices.DeleteFunc(slices.Clone(nodes), func(n harness.NodeID) bool { return !ch.w.serves(n) })
		knows = knows[:0]
		_ = ch.w.aside(ctx, func() error {
			for _, n := range serving {
				if v, err := ch.store.View(ctx, ch.cluster, n); err == nil && slices.Equal(v.Members, want) && !slices.Contains(v.Nodes, ch.lost) {
					knows = append(knows, string(n))
				}
			}
			return nil
		})
		if 2*len(knows) <= len(nodes) {
			return fmt.Errorf("only %v know that the members are %v", knows, want)
		}
		return nil
	})
	what := fmt.Sprintf("members %v known to %s", want, strings.Join(knows, ", "))
	if ch.lost != "" {
		what += fmt.Sprintf(", %s none of their nodes", ch.lost)
	}
	ch.probe(during, what, true, err == nil)
	if err != nil {
		ch.problem("during: %v", err)
	}
}

// known wants all nodes that serve to know the members without the change, with a little patience:
// one may just have begun to serve. A change before it may still be on its way: a tour has more.
func (ch change) known(ctx context.Context, when string) error {
	patience := openLimit
	if ofTour(ch.fault) {
		patience *= 2
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := ch.settled(ctx, ch.base())
	ch.probe(when, fmt.Sprintf("members %v known to all, no data to move", ch.base()), true, err == nil)
	if err != nil {
		ch.problem("%s: %v", when, err)
	}
	return err
}
