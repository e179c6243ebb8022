package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/fake"
	"cartwheel/nemesis/schedule"
)

var (
	joinOne    = harness.Fault{ID: "f1", Kind: MembershipKind, Name: "join", Spare: "n6"}
	leaveOne   = harness.Fault{ID: "f1", Kind: MembershipKind, Name: "leave", Nodes: []harness.NodeID{"n3"}}
	rebuildOne = harness.Fault{ID: "f1", Kind: MembershipKind, Name: rebuild, Nodes: []harness.NodeID{"n3"}}
	zombieOne  = harness.Fault{ID: "f1", Kind: MembershipKind, Name: zombie, Nodes: []harness.NodeID{"n3"}, Spare: "n6"}
	replaceOne = harness.Fault{ID: "f1", Kind: MembershipKind, Name: "replace", Nodes: []harness.NodeID{"n3"}, Spare: "n6"}
)

// TestEveryWayAChangeOfMembersCanFailIsNoticed plants each defect of a store and of a backend.
func TestEveryWayAChangeOfMembersCanFailIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fault  harness.Fault
		store  *fake.Store
		defect func(*fake.Defects)
		want   string // a problem
		stays  bool   // the heal cannot undo it
	}{
		{name: "a join", fault: joinOne, store: &fake.Store{}},
		{name: "a leave", fault: leaveOne, store: &fake.Store{}},
		{name: "a replacement", fault: replaceOne, store: &fake.Store{}},
		{name: "a rebuild", fault: rebuildOne, store: &fake.Store{Moves: time.Second}},
		{name: "a rebuild of which nobody takes note", fault: rebuildOne, store: &fake.Store{Idle: true}, want: "during: only [] know that the members are [n1 n2 n3 n4 n5]"},
		{name: "a rebuild that is refused for ever", fault: rebuildOne, store: &fake.Store{Refuse: 1e9}, want: "the members were not changed", stays: true},
		{name: "a zombie", fault: zombieOne, store: &fake.Store{Moves: time.Second}},
		{name: "a zombie without a successor", fault: zombieOne, store: &fake.Store{Refuse: 1e9}, want: "the members were not changed", stays: true},
		{name: "data that takes its time", fault: replaceOne, store: &fake.Store{Moves: 4 * time.Second}},
		{name: "refused at first", fault: joinOne, store: &fake.Store{Refuse: 5}},
		{name: "refused for ever", fault: joinOne, store: &fake.Store{Refuse: 1e9}, want: "the members were not changed", stays: true},
		{name: "nothing done", fault: leaveOne, store: &fake.Store{Idle: true}, want: "during: only [] know that the members are [n1 n2 n4 n5]", stays: true},
		{name: "most never hear", fault: leaveOne, store: &fake.Store{Deaf: []harness.NodeID{"n1", "n2", "n4"}}, want: "during: only [n3 n5] know", stays: true},
		{name: "one never hears", fault: joinOne, store: &fake.Store{Deaf: []harness.NodeID{"n2"}}, want: "n2 knows the members [n1 n2 n3 n4 n5], not", stays: true},
		{name: "data that never moves", fault: joinOne, store: &fake.Store{Endless: true}, want: "before: n1 has data to move", stays: true},
		{name: "a machine that does not start again", fault: replaceOne, store: &fake.Store{}, defect: func(d *fake.Defects) { d.RestartIdle = true }, want: "added and left: [n6]", stays: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, now := stage(t)
				m := acquainted(tt.store)
				if err := m.Check(c); err != nil {
					t.Fatal(err)
				}
				if tt.defect != nil {
					c.Break(tt.defect)
				}
				limited := func(act func(ctx context.Context) error) error {
					ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
					defer cancel()
					return act(ctx)
				}
				var e harness.Evidence
				_ = limited(func(ctx context.Context) (err error) { e, err = m.Inject(ctx, c, tt.fault, now); return err })
				time.Sleep(3 * time.Second)
				err := limited(func(ctx context.Context) error { return m.Heal(ctx, c, tt.fault, &e, now) })
				if got := problems(e); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) || e.Proven() != (tt.want == "") {
					t.Fatalf("problems %q, want %q; proven %t, heal: %v", got, tt.want, e.Proven(), err)
				}
				if healthy := c.Healthy() && err == nil; healthy == tt.stays {
					t.Errorf("healthy %t, heal: %v", c.Healthy(), err)
				}
			})
		})
	}
}

// While a change is in force the members are others, and each side of it is probed.
func TestAReplacementPutsAMachineInThePlaceOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		s := &fake.Store{}
		m := acquainted(s)
		e, err := m.Inject(t.Context(), c, replaceOne, now)
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.View(t.Context(), c, "n1")
		if want := []harness.NodeID{"n1", "n2", "n4", "n5", "n6"}; err != nil || !slices.Equal(v.Members, want) {
			t.Errorf("the members are %v, %v; want %v", v.Members, err, want)
		}
		if alive, _ := c.Alive(t.Context(), "n3"); alive {
			t.Error("the node that was replaced lives")
		}
		if err := m.Heal(t.Context(), c, replaceOne, &e, now); err != nil || !e.Proven() || !c.Healthy() {
			t.Fatalf("%v, healthy %t, %+v", err, c.Healthy(), e)
		}
		var stages []string
		for _, p := range e.Probes {
			stages = append(stages, p.When)
		}
		if !slices.Equal(stages, []string{before, during, after}) {
			t.Errorf("probes %+v", e.Probes)
		}
	})
}

// Changes that are planned to overlap are made one after the other, and a node that has
// left its place dead is left alone by pauses.
func TestChangesOfMembersTakeTurnsAndOtherFaultsKnowOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		n := Compose(&Membership{}, &Pause{})
		n.(harness.Acquainted).Meet(&fake.Store{Moves: time.Second})
		second := leaveOne
		second.ID, second.Nodes = "f2", []harness.NodeID{"n5"}
		pause := harness.Fault{ID: "f3", Kind: PauseKind, Nodes: []harness.NodeID{"n2", "n3"}}
		var all sync.WaitGroup
		for i, f := range []harness.Fault{replaceOne, second, pause} {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				e, err := n.Inject(t.Context(), c, f, now)
				time.Sleep(5 * time.Second)
				if err := errors.Join(err, n.Heal(t.Context(), c, f, &e, now)); err != nil || !e.Proven() {
					t.Errorf("%s: %v, %+v", f.ID, err, e)
				}
			})
		}
		all.Wait()
		if !c.Healthy() {
			t.Error("the cluster is not well again")
		}
	})
}

func TestChangesOfMembersArePlannedWithNamesOfTheirOwn(t *testing.T) {
	nodes := fake.New(5).Nodes()
	plan := Compose(&Membership{}, &Kill{}, &Pause{}).Plan(rand.New(rand.NewPCG(1, 1)), nodes, 3*time.Minute)
	if err := schedule.Validate(plan, nodes, 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	names, spares := map[string]bool{}, map[harness.NodeID]bool{}
	for _, f := range plan {
		if f.Kind != MembershipKind {
			continue
		}
		names[f.Name] = true
		if spares[f.Spare] {
			t.Errorf("%s is added twice", f.Spare)
		}
		spares[f.Spare] = f.Spare != ""
		for _, o := range plan {
			if o.Kind == PauseKind && slices.Contains(o.Nodes, append(f.Nodes, "")[0]) && f.Start <= o.Start && o.Start < f.Stop {
				t.Errorf("%s pauses %v, which is no member during %s", o.ID, f.Nodes, f.ID)
			}
		}
	}
	if len(names) != 3 {
		t.Errorf("planned %v", names)
	}
}

func acquainted(t harness.Target) *Membership {
	m := &Membership{}
	m.Meet(t)
	return m
}

// A tour's changes come on top of each other, and each undoes its own: five members, seven, and four
// of which one is a machine that has replaced another.
func TestATourGrowsShrinksAndReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		s := &fake.Store{Moves: time.Second}
		m := acquainted(s)
		m.Names = []string{tour}
		if err := m.Check(c); err != nil {
			t.Fatal(err)
		}
		plan := m.Plan(rand.New(rand.NewPCG(3, 3)), c.Nodes(), 2*time.Minute)
		if err := schedule.Validate(plan, c.Nodes(), 2*time.Minute); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var all sync.WaitGroup
		for _, f := range plan {
			all.Go(func() {
				time.Sleep(time.Until(begin.Add(f.Start)))
				e, err := m.Inject(t.Context(), c, f, now)
				time.Sleep(time.Until(begin.Add(f.Stop)))
				if err := errors.Join(err, m.Heal(t.Context(), c, f, &e, now)); err != nil || !e.Proven() {
					t.Errorf("%s: %v, %+v", f.ID, err, e)
				}
			})
		}
		var sizes []int
		var replaced bool
		for time.Since(begin) < 2*time.Minute {
			time.Sleep(time.Second)
			v, err := s.View(t.Context(), c, plan[0].Spare) // which is there for the first part
			if err != nil {
				v, err = s.View(t.Context(), c, unmoved(c.Nodes(), plan))
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(sizes) == 0 || sizes[len(sizes)-1] != len(v.Members) {
				sizes = append(sizes, len(v.Members))
			}
			replaced = replaced || len(v.Members) == 4 && slices.Contains(v.Members, plan[3].Spare)
		}
		all.Wait()
		if want := []int{5, 6, 7, 6, 5, 4, 5}; !slices.Equal(sizes, want) || !replaced {
			t.Errorf("the members were %v, want %v; a machine in place of another of four: %t", sizes, want, replaced)
		}
		if !c.Healthy() {
			t.Error("the cluster is not well again")
		}
	})
}

// unmoved is a node that no fault of a plan names.
func unmoved(nodes []harness.NodeID, plan []harness.Fault) harness.NodeID {
	return nodes[slices.IndexFunc(nodes, func(n harness.NodeID) bool {
		return !slices.ContainsFunc(plan, func(f harness.Fault) bool { return slices.Contains(f.Nodes, n) })
	})]
}

func TestATourIsNamedAlone(t *testing.T) {
	m := acquainted(&fake.Store{})
	m.Names = []string{"join", tour}
	if err := m.Check(fake.New(5)); err == nil || !strings.Contains(err.Error(), "name it alone") {
		t.Errorf("got %v", err)
	}
}

// A member comes back with an old disk, runs, and is replaced: it ends as a replacement does.
func TestARewindBringsBackAnOldDiskAndReplacesItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		m := acquainted(&fake.Store{})
		m.Names = []string{rewind}
		if err := m.Check(c); err != nil {
			t.Fatal(err)
		}
		f := harness.Fault{ID: "f1", Kind: MembershipKind, Name: rewind, Nodes: []harness.NodeID{"n3"}, Spare: "n6"}
		e, err := m.Inject(t.Context(), c, f, now)
		if err != nil || len(c.Rewound()) > 0 {
			t.Fatalf("%v, rewound %v", err, c.Rewound())
		}
		if err := m.Heal(t.Context(), c, f, &e, now); err != nil || !e.Proven() || !c.Healthy() {
			t.Fatalf("%v, healthy %t, %+v", err, c.Healthy(), e)
		}
		if got := c.Rewound(); !slices.Equal(got, []harness.NodeID{"n3"}) || len(c.Spares()) > 0 {
			t.Errorf("rewound %v, spares %v", got, c.Spares())
		}
		c.Break(func(d *fake.Defects) { d.RestartIdle = true })
		e, _ = m.Inject(t.Context(), c, f, now)
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		if err := m.Heal(ctx, c, f, &e, now); err == nil && e.Proven() {
			t.Errorf("a node that did not start again is a proof: %+v", e)
		}
	})
}
