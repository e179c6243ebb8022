package nemesis

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/fake"
)

// A member that leaves is emptied only when it says itself that it may go: where nobody runs nobody
// contradicts.
func TestAMemberIsNotEmptiedWhileNobodyCanTellWhetherItMayGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		w := &watched{Cluster: c}
		n := Compose(&Membership{}, &Kill{})
		n.(harness.Acquainted).Meet(&fake.Store{Moves: 8 * time.Second})
		e, err := n.Inject(t.Context(), w, leaveOne, now)
		if err != nil {
			t.Fatal(err)
		}
		var heal sync.WaitGroup
		heal.Go(func() {
			if err := n.Heal(t.Context(), w, leaveOne, &e, now); err != nil || !e.Proven() {
				t.Errorf("%v, %+v", err, e)
			}
		})
		time.Sleep(time.Second) // most know of the change by now, and its data is still being moved
		all := harness.Fault{ID: "f2", Kind: KillKind, Name: "all", Nodes: c.Nodes()}
		ek, err := n.Inject(t.Context(), w, all, now)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if len(w.wiped) > 0 {
			t.Errorf("%v lost its disk while it could not say that it holds nothing any more", w.wiped)
		}
		if err := n.Heal(t.Context(), w, all, &ek, now); err != nil {
			t.Fatal(err)
		}
		heal.Wait()
		if !slices.Equal(w.wiped, []harness.NodeID{"n3"}) || !c.Healthy() {
			t.Errorf("emptied %v, healthy %t", w.wiped, c.Healthy())
		}
	})
}

// watched notes whose disk was emptied.
type watched struct {
	*fake.Cluster
	wiped []harness.NodeID
}

func (w *watched) Wipe(ctx context.Context, n harness.NodeID) error {
	w.wiped = append(w.wiped, n)
	return w.Cluster.Wipe(ctx, n)
}

// replacing counts the replacements that were asked for, of which the first are not answered in time.
type replacing struct {
	*fake.Store
	silent, asked int
}

func (s *replacing) Replace(ctx context.Context, _ harness.Cluster, gone, by harness.NodeID) error {
	if s.asked++; s.asked <= s.silent {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return s.Store.Replace(ctx, nil, gone, by)
}

// A node whose disk was emptied for a replacement that did not come to an end is a member still, and nothing
// can be changed before it is replaced.
func TestHalfAReplacementIsMadeBeforeItIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		s := &replacing{Store: &fake.Store{}, silent: 1}
		if _, err := s.View(t.Context(), c, "n1"); err != nil { // so that it knows the members
			t.Fatal(err)
		}
		m := acquainted(s)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		e, err := m.Inject(ctx, c, replaceOne, now)
		if err == nil || e.Injected > 0 {
			t.Fatalf("%v, %+v", err, e)
		}
		if err := m.Heal(t.Context(), c, replaceOne, &e, now); err != nil || s.asked != 2 || !c.Healthy() || e.Proven() {
			t.Errorf("%v after %d replacements, healthy %t, %+v", err, s.asked, c.Healthy(), e)
		}
	})
}

// A fault of clocks or disks that is healed late, since a node does not run, is over before the next
// of its kind is looked at: it would be taken for the other's.
func TestFaultsOfOneThingTakeTurns(t *testing.T) {
	clock := func(id string, by time.Duration) harness.Fault {
		return harness.Fault{ID: id, Kind: ClockKind, Name: "bump", Nodes: []harness.NodeID{"n1"}, Skew: &harness.Skew{Offset: by}}
	}
	disk := func(id string) harness.Fault {
		return harness.Fault{ID: id, Kind: DiskKind, Name: harness.DiskSlow, Nodes: []harness.NodeID{"n1"}, Disk: &harness.DiskFault{Slow: time.Second}}
	}
	for name, faults := range map[string][2]harness.Fault{
		"clocks": {clock("f1", time.Minute), clock("f2", -time.Hour)},
		"disks":  {disk("f1"), disk("f2")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, now := stage(t)
				n := Compose(&Clock{}, &Disk{}, &Pause{})
				n.(harness.Acquainted).Meet(&fake.Store{})
				if err := n.Check(c); err != nil {
					t.Fatal(err)
				}
				first, err := n.Inject(t.Context(), c, faults[0], now)
				if err != nil {
					t.Fatal(err)
				}
				var second harness.Evidence
				var both sync.WaitGroup
				both.Go(func() {
					time.Sleep(time.Second)
					if second, err = n.Inject(t.Context(), c, faults[1], now); err != nil {
						t.Error(err)
					}
					c.Use("n1")
					if err := n.Heal(t.Context(), c, faults[1], &second, now); err != nil || !second.Proven() {
						t.Errorf("%v, %+v", err, second)
					}
				})
				time.Sleep(3 * time.Second)
				c.Use("n1")
				if err := n.Heal(t.Context(), c, faults[0], &first, now); err != nil || !first.Proven() {
					t.Errorf("%v, %+v", err, first)
				}
				both.Wait()
				if second.Injected <= first.Healed-time.Millisecond || !c.Healthy() {
					t.Errorf("healed at %v, the next began at %v; healthy %t", first.Healed, second.Injected, c.Healthy())
				}
			})
		})
	}
}

// Over links of a node that is being replaced nothing is sent, so that a fault of packets takes others.
func TestAFaultOfPacketsMeetsSome(t *testing.T) {
	nodes := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
	change := harness.Fault{ID: "m", Kind: MembershipKind, Name: "replace", Start: 10 * time.Second, Stop: 20 * time.Second, Nodes: []harness.NodeID{"n4"}}
	slow := harness.Fault{ID: "p", Kind: PacketKind, Links: []harness.Link{{From: "n1", To: "n4"}, {From: "n4", To: "n1"}}}
	for _, c := range []struct {
		from, to int
		moved    bool
	}{{5, 9, false}, {12, 16, true}, {24, 28, true}, {40, 44, false}} {
		slow.Start, slow.Stop = time.Duration(c.from)*time.Second, time.Duration(c.to)*time.Second
		got := meet([]harness.Fault{change, slow}, nodes)[1].Links
		if moved := !slices.Equal(got, slow.Links); moved != c.moved || slices.ContainsFunc(got, func(l harness.Link) bool { return moved && (l.From == "n4" || l.To == "n4") }) {
			t.Errorf("from %d s: %v", c.from, got)
		}
	}
}
