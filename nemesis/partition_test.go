package nemesis

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/fake"
	"cartwheel/nemesis/schedule"
)

func planned(t *testing.T, names ...string) []harness.Fault {
	t.Helper()
	c := fake.New(5)
	p := &Partition{Names: names}
	if err := p.Check(c); err != nil {
		t.Fatal(err)
	}
	plan := p.Plan(rand.New(rand.NewPCG(1, 1)), c.Nodes(), time.Minute)
	if err := schedule.Validate(plan, c.Nodes(), time.Minute); err != nil || len(plan) == 0 {
		t.Fatalf("%d faults, %v", len(plan), err)
	}
	return plan
}

func TestAFlappingLinkIsCutAgainAndAgain(t *testing.T) {
	plan := planned(t, "flapping")
	again := 0
	for i, f := range plan {
		if f.Name != "flapping" || len(f.Links) != 2 || f.Stop-f.Start > flapEvery || f.Stop-f.Start < flapEvery/2 {
			t.Errorf("%+v", f)
		}
		if i > 0 && slices.Equal(f.Links, plan[i-1].Links) {
			again++
			if f.Start-plan[i-1].Stop != flapEvery {
				t.Errorf("%s begins %v after the end of the one before", f.ID, f.Start-plan[i-1].Stop)
			}
		}
	}
	if again == 0 {
		t.Errorf("no link was cut twice: %+v", plan)
	}
}

func TestAStutteringNodeStopsAgainAndAgain(t *testing.T) {
	plan := (&Pause{Names: []string{"stutter"}}).Plan(rand.New(rand.NewPCG(1, 1)), fake.New(5).Nodes(), time.Minute)
	again := 0
	for i, f := range plan {
		if f.Name != "stutter" || len(f.Nodes) != 1 || f.Stop-f.Start > stutterHeld {
			t.Errorf("%+v", f)
		}
		if i > 0 && f.Start-plan[i-1].Stop == stutterRuns && slices.Equal(f.Nodes, plan[i-1].Nodes) {
			again++
		}
	}
	if again < len(plan)/3 {
		t.Errorf("%d of %d stops follow another of the same node", again, len(plan))
	}
}

func TestAMapOfGroupsIsCutAsItIsWritten(t *testing.T) {
	for _, f := range planned(t, "n1-n2_n3") {
		want := []harness.Link{{From: "n1", To: "n3"}, {From: "n2", To: "n3"}, {From: "n3", To: "n1"}, {From: "n3", To: "n2"}}
		if !slices.Equal(f.Links, want) {
			t.Errorf("%s cuts %v, want %v", f.ID, f.Links, want)
		}
	}
	if err := (&Partition{Names: []string{"n1_n9"}}).Check(fake.New(5)); err == nil || !strings.Contains(err.Error(), `no node "n9"`) {
		t.Errorf("a map of strangers: %v", err)
	}
}

func TestClientsAreCutOffFromNodesThatHearEachOther(t *testing.T) {
	for name, side := range map[string]int{"client-one": 1, "client-minority": 2, "client-majority": 3, "client-one-way": 1, "clients_n4-n5": 2} {
		for _, f := range planned(t, name) {
			to, from := map[harness.NodeID]bool{}, map[harness.NodeID]bool{}
			for _, l := range f.Links {
				switch harness.Clients {
				case l.From:
					to[l.To] = true
				case l.To:
					from[l.From] = true
				default:
					t.Errorf("%s cuts %v, which is between nodes", name, l)
				}
			}
			if name == "client-one-way" && len(to)+len(from) != 1 || name != "client-one-way" && (len(to) != side || !maps.Equal(to, from)) {
				t.Errorf("%s cuts %v", name, f.Links)
			}
		}
	}
}

func TestACutOfClientsIsProvenByTheirOwnLinks(t *testing.T) {
	for leak, want := range map[bool]string{false: "", true: "during: 1 of 2 links were not blocked, among them clients->n2"} {
		synctest.Test(t, func(t *testing.T) {
			c, now := stage(t)
			c.Break(func(d *fake.Defects) { d.CutLeaks = leak })
			f := harness.Fault{ID: "f1", Kind: PartitionKind, Name: "client-one", Nodes: []harness.NodeID{"n2"}, Links: []harness.Link{
				{From: harness.Clients, To: "n2"}, {From: "n2", To: harness.Clients},
			}}
			p := &Partition{}
			e, err := p.Inject(t.Context(), c, f, now)
			if err != nil {
				t.Fatal(err)
			}
			if c.Send("n2", harness.Clients) || !c.Send("n2", "n1") || !c.Send(harness.Clients, "n1") {
				t.Error("n2 answers clients, or nodes do not hear each other, or clients hear nobody")
			}
			if err := p.Heal(t.Context(), c, f, &e, now); err != nil || !c.Healthy() {
				t.Fatal(err)
			}
			if got := problems(e); e.Proven() == leak || !strings.HasPrefix(got, want) {
				t.Errorf("leaks %v: problems %q, want %q", leak, got, want)
			}
		})
	}
}

// A fault that names a side and no links, as one whose role was resolved does, cuts that off.
func TestASideWithoutLinksIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		f := harness.Fault{ID: "f1", Kind: PartitionKind, Name: "coordinator", Nodes: []harness.NodeID{"n2"}}
		p := &Partition{}
		e, err := p.Inject(t.Context(), c, f, now)
		if err != nil || c.Send("n2", "n1") || c.Send("n5", "n2") || !c.Send("n1", "n3") {
			t.Fatalf("%v: n2 is not cut off, or others are", err)
		}
		if err := p.Heal(t.Context(), c, f, &e, now); err != nil || !e.Proven() || !c.Healthy() {
			t.Fatalf("%v, %+v", err, e)
		}
	})
}

// Whoever is named is struck, and nobody else; a node that is named twice is one.
func TestNodesThatAreNamedAreStruck(t *testing.T) {
	for _, n := range []harness.Nemesis{&Pause{Names: []string{"n4-n2-n4", "one"}}, &Kill{Names: []string{"n4-n2-n4", "rolling"}}} {
		named := 0
		for _, f := range n.Plan(rand.New(rand.NewPCG(1, 1)), fake.New(5).Nodes(), time.Minute) {
			if f.Name == "n4-n2-n4" {
				if named++; !slices.Equal(f.Nodes, []harness.NodeID{"n2", "n4"}) {
					t.Errorf("%s: %+v", n.Name(), f)
				}
			}
		}
		if named == 0 {
			t.Errorf("%s: nobody was struck by name", n.Name())
		}
	}
}

func TestSortsThatMustBeAskedForAreNotPlannedOtherwise(t *testing.T) {
	for _, f := range planned(t) {
		if f.Role != nil || f.Name == "flapping" {
			t.Errorf("%s was planned without being asked for: %+v", f.ID, f)
		}
	}
	names := map[string]bool{}
	for _, f := range (&Kill{Names: []string{"coordinator", "replicas", "hint-holder"}}).Plan(rand.New(rand.NewPCG(1, 1)), fake.New(5).Nodes(), time.Minute) {
		if f.Role == nil || f.Role.Name != f.Name || len(f.Nodes) > 0 || (f.Role.Count > 0) != (f.Name == harness.Replicas) {
			t.Errorf("%+v", f)
		}
		names[f.Name] = true
	}
	if len(names) != 3 {
		t.Errorf("planned %v", names)
	}
}
