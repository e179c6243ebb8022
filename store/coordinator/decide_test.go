package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/store"
	"cartwheel/store/quorum"
	"cartwheel/store/version"
)

// place is the preference list a b c | d e of a key with three owners.
var place = placed([][]store.NodeID{{"a", "b", "c", "d", "e"}}, 3)

// upBut returns a belief in which all nodes but those are up.
func upBut(down string) func(store.NodeID) bool {
	return func(n store.NodeID) bool { return !slices.Contains(strings.Fields(down), string(n)) }
}

func names(nodes []store.NodeID) string {
	var out []string
	for _, n := range nodes {
		out = append(out, string(n))
	}
	return strings.Join(out, " ")
}

func TestWhoCoordinates(t *testing.T) {
	for _, c := range []struct {
		name string
		self store.NodeID
		hint store.NodeID
		mode store.Mode
		down string
		want string
	}{
		{name: "an owner does it itself", self: "b", want: "b"},
		{name: "an owner does it itself, whatever the hint", self: "b", hint: "a", want: "b"},
		{name: "a fallback forwards to the owners in order", self: "d", want: "a b c"},
		{name: "the hint comes first", self: "d", hint: "c", want: "c a b"},
		{name: "a hint that is down does not", self: "d", hint: "a", down: "a", want: "d"},
		{name: "a hint that is no owner does not", self: "e", hint: "d", down: "a", want: "b c d"},
		{name: "sloppy: a fallback among the first three healthy", self: "d", down: "b", want: "d"},
		{name: "sloppy: one that is not forwards to those", self: "e", down: "b", want: "a c d"},
		{name: "sloppy: nobody else is left", self: "e", down: "a b c d", want: "e"},
		{name: "strict: a fallback never does", self: "d", mode: store.Strict, down: "b", want: "a c"},
		{name: "strict: nobody can", self: "d", mode: store.Strict, down: "a b c", want: ""},
		{name: "strict: an owner does", self: "c", mode: store.Strict, down: "a b", want: "c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := names(coordinators(place, c.self, c.hint, c.mode, upBut(c.down))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if names(place.list) != "a b c d e" {
		t.Error("the preference list was changed")
	}
}

func TestWhoStandsInForWhom(t *testing.T) {
	for _, c := range []struct {
		self store.NodeID
		down string
		want store.NodeID
	}{
		{"a", "b", ""},
		{"d", "b", "b"},
		{"d", "b c", "b"},
		{"d", "", "c"}, // it was handed the write by a node that sees an owner down
	} {
		if got := standsInFor(place, c.self, upBut(c.down)); got != c.want {
			t.Errorf("%s with %q down stands in for %q, want %q", c.self, c.down, got, c.want)
		}
	}
}

// What is asked for must be within reach in each version of the layout.
func TestConditionsAreMeasuredByTheNodesThatAreUp(t *testing.T) {
	changing := placed([][]store.NodeID{{"a", "b", "c", "d", "e"}, {"a", "b", "d", "e"}}, 3)
	for _, c := range []struct {
		place placement
		mode  store.Mode
		want  quorum.Conditions
		down  string
		unmet string
	}{
		{place: place, mode: store.Sloppy, want: quorum.Conditions{Acks: 3}, down: "a b", unmet: ""},
		{place: place, mode: store.Sloppy, want: quorum.Conditions{Acks: 3}, down: "a b c", unmet: "replicas 2 of 3"},
		{place: place, mode: store.Strict, want: quorum.Conditions{Acks: 2}, down: "a b d e", unmet: "replicas 1 of 2"},
		{place: place, mode: store.Sloppy, want: quorum.Conditions{Acks: 2, Owners: 2}, down: "a c", unmet: "owners 1 of 2"},
		{place: place, mode: store.Sloppy, want: quorum.Conditions{Acks: 1, Nodes: 3}, down: "a b c", unmet: "nodes 2 of 3"},
		{place: changing, mode: store.Strict, want: quorum.Conditions{Acks: 2}, down: "a", unmet: ""},
		{place: changing, mode: store.Strict, want: quorum.Conditions{Acks: 2}, down: "b d", unmet: "replicas 1 of 2"},
		{place: changing, mode: store.Strict, want: quorum.Conditions{Acks: 2}, down: "b c", unmet: "replicas 1 of 2"},
		{place: changing, mode: store.Sloppy, want: quorum.Conditions{Acks: 2, Owners: 2}, down: "b c", unmet: "owners 1 of 2"},
	} {
		got := ""
		if counted, have, need := unmet(c.want, c.place, c.mode, upBut(c.down)); need > 0 {
			got = fmt.Sprintf("%s %d of %d", counted, have, need)
		}
		if got != c.unmet {
			t.Errorf("%+v with %q down: got %q, want %q", c.want, c.down, got, c.unmet)
		}
	}
	if got := names(changing.owners()) + " | " + names(changing.fallbacks()); got != "a b c d | e" {
		t.Errorf("two versions joined: %s", got)
	}
}

// An owner that leaves is written to all the same, and a fallback that does is passed over.
func TestWhoLeavesIsToHoldNoHints(t *testing.T) {
	for _, c := range []struct{ leaves, want, leave string }{
		{leaves: "", want: "a b c | d e", leave: ""},
		{leaves: "c", want: "a b c | d e", leave: "c"},
		{leaves: "d", want: "a b c | e", leave: ""},
		{leaves: "a e", want: "a b c | d", leave: "a"},
	} {
		p := place.staying(upBut(c.leaves))
		if got := names(p.owners()) + " | " + names(p.fallbacks()); got != c.want || names(p.leave) != c.leave {
			t.Errorf("%q leave: got %q, of which %q leave, want %q and %q", c.leaves, got, names(p.leave), c.want, c.leave)
		}
	}
	if names(place.list) != "a b c d e" {
		t.Errorf("the placement itself has become %q", names(place.list))
	}
}

// TestTheRosterAsksEachNodeOnce walks a roster through failures and compares what it asks
// for, as node>owner.
func TestTheRosterAsksEachNodeOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		mode store.Mode
		last store.NodeID
		down string
		fail string // asks that fail, as "node>owner"; all others are settled
		want string

		leaves string // nodes that are about to leave
	}{
		{name: "all well", want: "a>a b>b c>c"},
		{name: "an owner is down", down: "b", want: "a>a d>b c>c"},
		{name: "two are down", down: "a b", want: "d>a e>b c>c"},
		{name: "three are down: one has nobody", down: "a b c", want: "d>a e>b"},
		{name: "three are down: the last resort", last: "a", down: "b c d", want: "a>a e>b a>c"},
		{name: "an owner fails", fail: "b>b", want: "a>a b>b c>c d>b"},
		{name: "its stand-in fails too", fail: "b>b d>b", want: "a>a b>b c>c d>b e>b"},
		{name: "everything fails for it", last: "a", fail: "b>b d>b e>b a>b", want: "a>a b>b c>c d>b e>b a>b c>b"},
		{name: "even who has stored it refuses", last: "a", fail: "b>b d>b e>b a>b c>b", want: "a>a b>b c>c d>b e>b a>b c>b"},
		{name: "a stand-in keeps a second hint", last: "a", down: "b c", fail: "e>c a>c", want: "a>a d>b e>c a>c d>c"},
		{name: "who stores it late keeps the hint", last: "a", down: "b d e", fail: "a>b", want: "a>a a>b c>c c>b"},
		{name: "who leaves has others keep the hint", last: "a", leaves: "a", down: "b d e", want: "a>a c>c c>b"},
		{name: "and keeps none beside its own copy", last: "c", leaves: "a", down: "b d e", fail: "c>b", want: "a>a c>b c>c"},
		{name: "none is left to keep it", last: "a", leaves: "a c d e", down: "b", want: "a>a c>c"},
		{name: "strict: who leaves has others keep it", mode: store.Strict, last: "a", leaves: "a", down: "b", want: "a>a c>c c>b"},
		{name: "strict has no stand-ins", mode: store.Strict, down: "b", fail: "c>c", want: "a>a c>c"},
		{name: "strict parks at the last resort", mode: store.Strict, last: "a", down: "b", fail: "c>c", want: "a>a a>b c>c a>c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoster(place.staying(upBut(c.leaves)), c.mode, c.last, upBut(c.down))
			var asked []string
			var line []ask
			push := func(a ask, ok bool) {
				if ok {
					line, asked = append(line, a), append(asked, string(a.node+">"+a.owner))
				}
			}
			for _, o := range place.owners() {
				push(r.begin(o))
			}
			for len(line) > 0 {
				a := line[0]
				line = line[1:]
				if slices.Contains(strings.Fields(c.fail), string(a.node+">"+a.owner)) {
					push(r.stalled(a))
				} else {
					r.settle(a.owner)
					for _, more := range r.took(a.node) {
						push(more, true)
					}
				}
			}
			if got := strings.Join(asked, " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestOnlyTheNewestAskHasASuccessor(t *testing.T) {
	r := newRoster(place, store.Sloppy, "", upBut(""))
	owner, _ := r.begin("b")
	standIn, ok := r.stalled(owner) // silent
	if !ok || standIn != (ask{"d", "b"}) {
		t.Fatalf("got %v, %v", standIn, ok)
	}
	if a, ok := r.stalled(owner); ok { // and then it failed as well
		t.Errorf("the owner's failure behind its silence asked %v", a)
	}
	r.settle("b")
	if a, ok := r.stalled(standIn); ok {
		t.Errorf("a settled owner asked %v", a)
	}
}

// knownEvents makes sets by name: "x" has the event x, "xy" both as siblings.
func knownEvents(events string) (s version.Set) {
	for _, e := range events {
		actor := version.Actor{Node: uint64(e), Epoch: 1}
		s = s.Put(nil, version.Version{Dot: version.Dot{Actor: actor, Counter: 1}, Value: []byte(string(e))})
	}
	return s
}

func TestWhoIsBehind(t *testing.T) {
	newer := knownEvents("x").Put(knownEvents("x").Vector, version.Version{Dot: version.Dot{Actor: version.Actor{Node: 9, Epoch: 1}, Counter: 1}})
	for _, c := range []struct {
		name            string
		answers         []shown
		holders, behind string
	}{
		{"nothing anywhere", []shown{{ask{"a", "a"}, version.Set{}}, {ask{"b", "b"}, version.Set{}}}, "a b", ""},
		{"one has nothing", []shown{{ask{"a", "a"}, knownEvents("x")}, {ask{"b", "b"}, version.Set{}}}, "a", "b"},
		{"each has something", []shown{{ask{"a", "a"}, knownEvents("x")}, {ask{"b", "b"}, knownEvents("y")}}, "", "a b"},
		{"one has it superseded", []shown{{ask{"a", "a"}, knownEvents("x")}, {ask{"b", "b"}, newer}}, "b", "a"},
		{"stand-ins are not mended", []shown{{ask{"a", "a"}, knownEvents("x")}, {ask{"d", "b"}, version.Set{}}}, "a", ""},
		{"stand-ins are believed", []shown{{ask{"a", "a"}, version.Set{}}, {ask{"d", "b"}, knownEvents("x")}}, "", "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := join(c.answers)
			if got := names(holders(place, c.answers, all)); got != c.holders {
				t.Errorf("holders: got %q, want %q", got, c.holders)
			}
			if got := names(behind(place, c.answers, all)); got != c.behind {
				t.Errorf("behind: got %q, want %q", got, c.behind)
			}
		})
	}
}

func TestTheFastestOwnerIsTheHint(t *testing.T) {
	replies := []store.Reply{
		{Node: "a", RTT: 3}, {Node: "b", RTT: 1, State: store.ReplicaFailed}, {Node: "c", RTT: 2, State: store.ReplicaStale}, {Node: "d", For: "b", RTT: 1},
	}
	if got := fastest(place, replies); got != "c" {
		t.Errorf("got %q, want c", got)
	}
	if got := fastest(place, nil); got != "" {
		t.Errorf("got %q, want nobody", got)
	}
}

func TestRepliesAreReportedInPreferenceOrder(t *testing.T) {
	r := report{place: place, sent: 4, now: func() time.Duration { return 0 }}
	r.add(answer{ask: ask{"d", "b"}}, store.ReplicaOK)
	r.add(answer{ask: ask{"c", "c"}, err: store.ErrDown}, store.ReplicaOK)
	r.add(answer{ask: ask{"a", "a"}, err: store.ErrCorrupt}, store.ReplicaOK)
	r.skipped("b")
	got := ""
	for _, reply := range r.snapshot().Replies {
		got += fmt.Sprintf("%s/%s:%s ", reply.Node, reply.For, reply.State)
	}
	if want := "a/:failed b/:skipped c/:skipped d/b:ok "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if r.sent != 3 {
		t.Errorf("sent is %d, want 3: one was refused before it left", r.sent)
	}
}
