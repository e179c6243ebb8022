package history

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"cartwheel/store"
	"cartwheel/store/ring"
)

func begin(t *testing.T, ids ...store.NodeID) History {
	t.Helper()
	l, err := ring.New(ring.Options{Members: members(ids...), Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	return New(l)
}

func must(t *testing.T) func(History, error) History {
	return func(h History, err error) History {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
}

// describe says what a history asks of its nodes: where writes go, where reads go, and who may do what next.
func describe(h History) string {
	out := "write"
	for _, v := range h.Live() {
		out += fmt.Sprintf(" %d", v.Number)
	}
	out += fmt.Sprintf(", read %d", h.Read().Number)
	for _, n := range h.Waits() {
		for _, step := range []struct {
			name string
			v    Version
		}{{"ack", h.Next(n).Ack}, {"sync", h.Next(n).Sync}, {"sync-ack", h.Next(n).SyncAck}} {
			if step.v.Number > 0 {
				out += fmt.Sprintf(", %s %s %d", n, step.name, step.v.Number)
			}
		}
	}
	return out
}

// A node joins and another leaves, each note in turn.
func TestTheLifeOfAChange(t *testing.T) {
	h := begin(t, "n1", "n2", "n3")
	h = must(t)(h.Commit("n1", 2, ring.Plain(members("n1", "n2", "n4"))))
	two := h.Newest()
	all := []store.NodeID{"n1", "n2", "n3", "n4"}
	expect := func(want string) {
		t.Helper()
		if got := describe(h); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
	expect("write 1 2, read 1, n1 ack 2, n2 ack 2, n3 ack 2, n4 ack 2")
	for _, n := range all[:3] {
		h = h.Acked(n, two)
	}
	expect("write 1 2, read 1, n4 ack 2") // nobody copies before all write to both
	h = h.Acked("n4", two)
	expect("write 1 2, read 1, n1 sync 2, n2 sync 2, n3 sync 2, n4 sync 2")
	for _, n := range all[1:] {
		h = h.Synced(n, two)
	}
	expect("write 1 2, read 1, n1 sync 2") // nobody reads the new before all have it
	h = h.Synced("n1", two)
	expect("write 1 2, read 2, n1 sync-ack 2, n2 sync-ack 2, n3 sync-ack 2, n4 sync-ack 2")
	for _, n := range all[:3] {
		h = h.SyncAcked(n, two)
	}
	expect("write 1 2, read 2, n4 sync-ack 2") // nobody drops the old before all have left it
	h = h.SyncAcked("n4", two)
	expect("write 2, read 2")
	if !h.Settled() || !h.Fenced("n3") || h.Coordinates("n3") || h.Serves(1, 0) {
		t.Errorf("n3 has left: settled %v, removed %v", h.Settled(), h.Removed())
	}
	if _, err := h.Commit("n1", 3, ring.Plain(members("n1", "n2", "n3", "n4"))); !errors.Is(err, ErrRemoved) {
		t.Errorf("n3 came back under its old id: %v", err)
	}
}

func TestAnAbortGoesBackWithoutForgetting(t *testing.T) {
	h := begin(t, "n1", "n2", "n3")
	h = must(t)(h.Commit("n1", 2, ring.Plain(members("n1", "n2", "n4"))))
	h = must(t)(h.Abort("n2", 3))
	if got, want := describe(h), "write 1 2 3, read 1, n1 ack 3, n2 ack 3, n3 ack 3, n4 ack 3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, n := range h.Waits() {
		h = h.Acked(n, h.Newest())
	}
	for _, n := range h.Waits() {
		h = h.Synced(n, h.Newest())
	}
	for _, n := range h.Waits() {
		h = h.SyncAcked(n, h.Newest())
	}
	if !h.Settled() || h.Oldest().Number != 3 || h.Fenced("n3") || h.Fenced("n4") {
		t.Errorf("after the abort: live %v, removed %v", h.Live(), h.Removed())
	}
	if _, err := h.Commit("n1", 4, ring.Plain(members("n1", "n2", "n3", "n4"))); err != nil {
		t.Errorf("the node that was to join may not try again: %v", err)
	}
}

func TestADeadNodeHoldsAChangeUpUntilItIsRemovedByForce(t *testing.T) {
	h := begin(t, "n1", "n2", "n3", "n4")
	h = must(t)(h.Commit("n1", 2, ring.Plain(members("n1", "n2", "n3", "n4", "n5"))))
	alive := []store.NodeID{"n1", "n2", "n3", "n5"}
	for _, n := range alive {
		h = h.Acked(n, h.Newest())
	}
	if got, want := describe(h), "write 1 2, read 1, n4 ack 2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	h = must(t)(h.ForceRemove("n1", 3, "n4"))
	for range 4 {
		for _, n := range alive {
			next := h.Next(n)
			h = h.Acked(n, next.Ack).Synced(n, next.Sync).SyncAcked(n, next.SyncAck)
		}
	}
	if got := describe(h); got != "write 3, read 3" || !h.Fenced("n4") {
		t.Errorf("got %s, removed %v", got, h.Removed())
	}
}

// It was to leave and died before it had: nobody else can end what it holds up.
func TestANodeThatDiesWhileItLeavesIsRemovedByForce(t *testing.T) {
	h := begin(t, "n1", "n2", "n3")
	h = must(t)(h.Commit("n1", 2, ring.Plain(members("n1", "n2", "n4"))))
	h = must(t)(h.ForceRemove("n2", 3, "n3"))
	for step, want := range []string{"ack", "sync", "sync-ack"} {
		if got, nodes := h.Pending(); got != want || !slices.Equal(nodes, []store.NodeID{"n1", "n2", "n4"}) {
			t.Fatalf("step %d: %s of %v, want %s", step, got, nodes, want)
		}
		for _, n := range h.Waits() {
			next := h.Next(n)
			h = h.Acked(n, next.Ack).Synced(n, next.Sync).SyncAcked(n, next.SyncAck)
			if notes := h.Notes(n); !h.Settled() && notes != []Notes{{Acked: 3}, {3, 3, 0}, {3, 3, 3}}[step] {
				t.Errorf("%s has noted %+v", n, notes)
			}
		}
	}
	if step, _ := h.Pending(); !h.Settled() || !h.Fenced("n3") || step != "" {
		t.Errorf("got %s, removed %v", describe(h), h.Removed())
	}
}

// A sweep moves nothing. Once it has settled, who was a member in it took part, what was sent before is refused, and
// former members are known as such.
func TestASweepDrawsALine(t *testing.T) {
	h := begin(t, "n1", "n2", "n3", "n4")
	through := func() {
		t.Helper()
		for range 3 {
			for _, n := range h.Waits() {
				next := h.Next(n)
				h = h.Acked(n, next.Ack).Synced(n, next.Sync).SyncAcked(n, next.SyncAck)
			}
		}
		if !h.Settled() {
			t.Fatalf("not settled: %s", describe(h))
		}
	}
	h = must(t)(h.Commit("n1", 2, ring.Plain(members("n1", "n2", "n3"))))
	through()
	before := h
	if !h.TookPart("n4") || h.Swept() != 0 {
		t.Errorf("no sweep was made: n4 %t, swept %d", h.TookPart("n4"), h.Swept())
	}
	h = must(t)(h.Sweep("n2", 3))
	if h.Swept() != 0 || len(ring.Moves(h.Oldest().Layout, h.Newest().Layout)) > 0 {
		t.Errorf("swept %d before it has settled, or data would move", h.Swept())
	}
	pending := h
	through()
	if h.Swept() != 3 || h.TookPart("n4") || !h.TookPart("n1") || h.Serves(2, before.Oldest().ID) {
		t.Errorf("swept %d; n4 took part %t, n1 %t; the version before is served %t", h.Swept(), h.TookPart("n4"), h.TookPart("n1"), h.Serves(2, before.Oldest().ID))
	}
	for _, other := range []History{before, pending} {
		for _, both := range [][2]History{{h, other}, {other, h}} {
			if got := must(t)(Merge(both[0], both[1])); got.Swept() != 3 {
				t.Errorf("merged: swept %d, want 3", got.Swept())
			}
		}
	}
	if got, err := Decode(h.Encode()); err != nil || got.Swept() != 3 {
		t.Errorf("decoded: swept %d, %v", got.Swept(), err)
	}
}

// What an operator wants stands, whatever the ids are, and a sweep that hangs can be aborted.
func TestASweepGivesWay(t *testing.T) {
	h := begin(t, "n1", "n2", "n3", "n4")
	sweep := must(t)(h.Sweep("n1", 2))
	for _, leaver := range []store.NodeID{"n1", "n2", "n3", "n4"} {
		stay := slices.DeleteFunc([]store.NodeID{"n1", "n2", "n3", "n4"}, func(n store.NodeID) bool { return n == leaver })
		plan := must(t)(h.Commit(stay[0], 2, ring.Plain(members(stay...))))
		for _, both := range [][2]History{{sweep, plan}, {plan, sweep}} {
			if got := must(t)(Merge(both[0], both[1])); got.Newest().ID != plan.Newest().ID {
				t.Errorf("%s stands, want %s", got.Newest(), plan.Newest())
			}
		}
	}
	if _, err := sweep.Abort("n2", 3); err != nil {
		t.Error(err)
	}
}

func TestProposalsAreRefused(t *testing.T) {
	settled := begin(t, "n1", "n2", "n3", "n4")
	pending := must(t)(settled.Commit("n1", 2, ring.Plain(members("n1", "n2", "n3"))))
	three := ring.Plain(members("n1", "n2", "n3"))
	refusal := func(_ History, err error) error { return err }
	for _, c := range []struct {
		name      string
		got, want error
	}{
		{"a plan for another version", refusal(settled.Commit("n1", 3, three)), ErrVersion},
		{"a plan twice", refusal(pending.Commit("n1", 2, three)), ErrVersion},
		{"a second plan", refusal(pending.Commit("n1", 3, three)), ErrPending},
		{"on a stranger", refusal(settled.Commit("n9", 2, three)), store.ErrInvalid},
		{"on one that leaves", refusal(pending.Abort("n4", 3)), store.ErrInvalid},
		{"on a node without a cluster", refusal(History{}.Commit("n1", 1, three)), store.ErrInvalid},
		{"a sweep beside a plan", refusal(pending.Sweep("n1", 3)), ErrPending},
		{"a sweep of another version", refusal(settled.Sweep("n1", 3)), ErrVersion},
		{"an abort of nothing", refusal(settled.Abort("n1", 2)), ErrNothing},
		{"an abort of an abort", refusal(must(t)(pending.Abort("n1", 3)).Abort("n1", 4)), ErrNothing},
		{"by force, itself", refusal(settled.ForceRemove("n1", 2, "n1")), store.ErrInvalid},
		{"by force, a stranger", refusal(settled.ForceRemove("n1", 2, "n9")), store.ErrInvalid},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	if err := refusal(settled.Commit("n1", 2, three[:2])); err == nil {
		t.Error("two members for three replicas were taken")
	}
}

// Two members propose without hearing of each other: one version stands, and notes on the other are void.
func TestCompetingVersions(t *testing.T) {
	h := begin(t, "n1", "n2", "n3", "n4")
	a := must(t)(h.Commit("n1", 2, ring.Plain(members("n1", "n2", "n3"))))
	b := must(t)(h.Commit("n2", 2, ring.Plain(members("n2", "n3", "n4"))))
	if a.Newest().ID < b.Newest().ID {
		a, b = b, a // a stands
	}
	for _, n := range []store.NodeID{"n3", "n4"} {
		b = b.Acked(n, b.Newest())
	}
	for _, both := range [][2]History{{a, b}, {b, a}} {
		got := must(t)(Merge(both[0], both[1]))
		if got.Newest().ID != a.Newest().ID || len(got.Live()) != 2 {
			t.Errorf("got %v, want %v", got.Live(), a.Live())
		}
		for _, n := range got.Waits() {
			if got.Next(n).Ack.Number != 2 {
				t.Errorf("the note of %s on the version that lost still counts", n)
			}
		}
		if got.Serves(2, b.Newest().ID) {
			t.Error("a coordinator that writes by the version that lost is served")
		}
	}
}

func TestTwoClustersAreNotMerged(t *testing.T) {
	ours, theirs := begin(t, "n1", "n2", "n3"), begin(t, "m1", "m2", "m3")
	further := must(t)(ours.Commit("n1", 2, ring.Plain(members("n1", "n2", "n3", "n4"))))
	for range 3 {
		for _, n := range further.Waits() {
			next := further.Next(n)
			further = further.Acked(n, next.Ack).Synced(n, next.Sync).SyncAcked(n, next.SyncAck)
		}
	}
	if !further.Settled() || further.Oldest().Number != 2 {
		t.Fatalf("the change has not settled: %v", further.Live())
	}
	for _, h := range []History{ours, further} {
		if _, err := Merge(h, theirs); !errors.Is(err, ErrForked) {
			t.Errorf("%v and %v: got %v, want %v", h.Live(), theirs.Live(), err, ErrForked)
		}
	}
}

// Whatever nodes of the model know at any moment joins to the same, in any order and however often.
func TestHistoriesJoinInAnyOrder(t *testing.T) {
	joined := 0
	for seed := range uint64(40) {
		m := newModel(t, seed)
		var seen []History
		for i := range 1500 {
			m.act(false)
			if n := m.node(); i%100 == 0 && len(n.known.live) > 0 {
				seen = append(seen, n.known)
			}
		}
		key := func(h History) string {
			out := fmt.Sprint(h.Live(), h.ack, h.syncAck, h.Removed())
			for _, v := range h.Live() {
				out += fmt.Sprint(v.synced)
			}
			return out
		}
		for range 60 {
			a, b, c := seen[m.r.IntN(len(seen))], seen[m.r.IntN(len(seen))], seen[m.r.IntN(len(seen))]
			ab := must(t)(Merge(a, b))
			want := key(must(t)(Merge(ab, c)))
			for _, got := range []History{
				must(t)(Merge(a, must(t)(Merge(b, c)))), must(t)(Merge(c, must(t)(Merge(b, a)))), must(t)(Merge(must(t)(Merge(ab, c)), b)),
			} {
				if key(got) != want {
					t.Fatalf("seed %d: the order of three decides:\n%s\n%s", seed, want, key(got))
				}
			}
			if len(slices.Compact([]string{key(a), key(b), key(c)})) == 3 {
				joined++
			}
		}
	}
	if joined < 100 {
		t.Errorf("%d times were three different histories joined", joined)
	}
}

// A member whose own disk lacks a sweep that has settled has been given one of the past. Who joined later, or was never a member, has not.
func TestADiskOfThePastIsTold(t *testing.T) {
	before := settledOn(t, "n1", "n2", "n3")
	swept := settleAll(must(t)(before.Sweep("n1", before.Newest().Number+1)))
	if !before.Outdated("n2", swept.Swept()) || before.Outdated("n4", swept.Swept()) || swept.Outdated("n2", swept.Swept()) || before.Outdated("n2", before.Swept()) {
		t.Errorf("n2 %t, n4 %t, with the note %t, without a sweep %t", before.Outdated("n2", swept.Swept()), before.Outdated("n4", swept.Swept()),
			swept.Outdated("n2", swept.Swept()), before.Outdated("n2", before.Swept()))
	}
	joining := must(t)(swept.Commit("n1", swept.Newest().Number+1, ring.Plain(members("n1", "n2", "n3", "n4"))))
	if joining.Outdated("n4", swept.Swept()) {
		t.Error("a node that joins after a sweep is taken for one of the past")
	}
	pending := must(t)(swept.Sweep("n1", swept.Newest().Number+1))
	if got := pending.Acked("n2", pending.Newest()); got.SweptBy("n2", swept) != pending.Newest().Number || got.SweptBy("n3", swept) != swept.Swept() {
		t.Errorf("noted: n2 %d, n3 %d", got.SweptBy("n2", swept), got.SweptBy("n3", swept))
	}
}

// A sweep waits for every member, also for one that is gone for good: it can be replaced all the same.
func TestAChangeMayOvertakeASweep(t *testing.T) {
	h := settledOn(t, "n1", "n2", "n3")
	h = must(t)(h.Sweep("n1", h.Newest().Number+1))
	h = must(t)(h.Commit("n1", h.Newest().Number+1, ring.Plain(members("n1", "n2", "n4"))))
	if _, err := h.Commit("n1", h.Newest().Number+1, ring.Plain(members("n1", "n2"))); !errors.Is(err, ErrPending) {
		t.Errorf("a second change: got %v, want ErrPending", err)
	}
	h = must(t)(h.ForceRemove("n1", h.Newest().Number+1, "n3"))
	h = settleAll(h)
	if !h.Settled() || h.Swept() == 0 || !h.Fenced("n3") || h.TookPart("n3") {
		t.Errorf("settled %t, swept %d, n3 fenced %t, took part %t", h.Settled(), h.Swept(), h.Fenced("n3"), h.TookPart("n3"))
	}
}

// settledOn returns the history of a cluster that has just begun.
func settledOn(t *testing.T, ids ...store.NodeID) History {
	t.Helper()
	l, err := ring.New(ring.Options{Members: members(ids...), Partitions: 8})
	if err != nil {
		t.Fatal(err)
	}
	return New(l)
}

// settleAll has every member take all steps.
func settleAll(h History) History {
	for range 4 {
		for _, n := range h.Waits() {
			s := h.Next(n)
			h = h.Acked(n, s.Ack).Synced(n, s.Sync).SyncAcked(n, s.SyncAck)
		}
	}
	return h
}

// Layouts that are known are not built again, and what is read is the same.
func TestHistoriesNearAreReadAlike(t *testing.T) {
	h := settledOn(t, "n1", "n2", "n3")
	all := []History{{}, h}
	h = must(t)(h.Commit("n1", 2, ring.Plain(members("n1", "n2", "n4"))))
	all = append(all, h, h.Acked("n1", h.Newest()), settleAll(h))
	for i, near := range all {
		for j, other := range all {
			got, err := DecodeNear(other.Encode(), near)
			if err != nil || !bytes.Equal(got.Encode(), other.Encode()) || len(got.live) != len(other.live) {
				t.Fatalf("%d near %d: %v", j, i, err)
			}
			for k, v := range got.live {
				if w := other.live[k]; v.ID != w.ID || v.Layout.Digest() != w.Layout.Digest() {
					t.Errorf("%d near %d: version %s, want %s", j, i, v, w)
				}
			}
		}
	}
}

// Who stays is told by the newest version, whether or not it has settled.
func TestWhoStaysIsAMemberOfTheNewestVersion(t *testing.T) {
	if (History{}).Stays("n1") {
		t.Error("n1 stays, in no cluster")
	}
	h := settledOn(t, "n1", "n2", "n3", "n4")
	check := func(when, want string) {
		t.Helper()
		got := ""
		for _, n := range []store.NodeID{"n1", "n2", "n3", "n4", "n5"} {
			if h.Stays(n) {
				got += string(n)
			}
		}
		if got != want {
			t.Errorf("%s: %s stay, want %s", when, got, want)
		}
	}
	check("at rest", "n1n2n3n4")
	h = must(t)(h.Commit("n1", h.Newest().Number+1, ring.Plain(members("n1", "n2", "n4", "n5"))))
	check("n5 is to take the place of n3", "n1n2n4n5")
	h = must(t)(h.ForceRemove("n1", h.Newest().Number+1, "n2"))
	check("n2 is removed by force", "n1n4n5")
	h = settleAll(h)
	check("that has settled", "n1n4n5")
}
