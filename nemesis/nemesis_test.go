package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
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

// stage starts a fake cluster and a clock. It runs inside a bubble.
func stage(t *testing.T) (*fake.Cluster, func() time.Duration) {
	t.Helper()
	c := fake.New(5)
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	return c, func() time.Duration { return time.Since(start) + 1 }
}

var cutThree = harness.Fault{ID: "f1", Kind: PartitionKind, Name: "isolate", Links: []harness.Link{
	{From: "n1", To: "n2"}, {From: "n1", To: "n3"}, {From: "n2", To: "n1"},
}}

func problems(e harness.Evidence) string { return strings.Join(e.Problems, "; ") }

func TestAPartitionThatBitesIsProven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		p := &Partition{}
		e, err := p.Inject(t.Context(), c, cutThree, now)
		if err != nil || len(e.Problems) > 0 || e.Injected == 0 || e.Proven() {
			t.Fatalf("inject: %v, %+v", err, e)
		}
		time.Sleep(time.Second)
		for range 7 {
			if c.Send("n1", "n2") {
				t.Fatal("a packet crossed the cut")
			}
		}
		if err := p.Heal(t.Context(), c, cutThree, &e, now); err != nil {
			t.Fatal(err)
		}
		if !e.Proven() || e.Dropped != 7 || e.Healed <= e.Injected || !c.Healthy() {
			t.Fatalf("healed %t: %+v", c.Healthy(), e)
		}
		stages := map[string]int{}
		for _, pr := range e.Probes {
			stages[pr.When]++
			if pr.Want != pr.Got {
				t.Errorf("probe %+v", pr)
			}
		}
		if !reflect.DeepEqual(stages, map[string]int{before: 1, during: 4, after: 1}) {
			t.Errorf("probes %v: want one before, blocked and open twice during, one after", e.Probes)
		}
	})
}

// TestEveryWayAPartitionCanFailIsNoticed plants each defect of a backend.
func TestEveryWayAPartitionCanFailIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		defect  func(*fake.Defects) // from the start
		later   func(*fake.Defects) // from the heal on
		quiet   bool                // no traffic
		want    string              // problem
		injects bool                // Inject returns no error
		stays   bool                // the heal cannot undo it
	}{
		{name: "cut does nothing", defect: func(d *fake.Defects) { d.CutIdle = true }, want: "during: 3 of 3 links were not blocked", injects: true},
		{name: "cut leaks", defect: func(d *fake.Defects) { d.CutLeaks = true }, want: "during: 1 of 3 links were not blocked, among them n1->n2", injects: true},
		{name: "cut takes too much", defect: func(d *fake.Defects) { d.CutTooMuch = true }, want: "during: 17 of 17 links were not open", injects: true},
		{name: "cut fails half way", defect: func(d *fake.Defects) { d.Cut = errors.New("no such chain") }, want: "it was not cut: no such chain"},
		{name: "nothing was sent", quiet: true, want: "no packet met the rules", injects: true},
		{name: "nothing was counted", defect: func(d *fake.Defects) { d.CutUncounted = true }, want: "no packet met the rules", injects: true},
		{name: "probes fail", defect: func(d *fake.Defects) { d.Probe = errors.New("exec refused") }, want: "before: links could not be probed: exec refused"},
		{name: "mend does nothing", later: func(d *fake.Defects) { d.MendIdle = true }, want: "after: 3 of 20 links were not open", injects: true, stays: true},
		{name: "mend fails for ever", later: func(d *fake.Defects) { d.Mend = 1e9 }, want: "it was not healed: fake: mend refused", injects: true, stays: true},
		{name: "mend fails at first", later: func(d *fake.Defects) { d.Mend = 3 }, injects: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, now := stage(t)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if tt.defect != nil {
					c.Break(tt.defect)
				}
				p := &Partition{}
				e, err := p.Inject(ctx, c, cutThree, now)
				if (err == nil) != tt.injects {
					t.Fatalf("inject: %v", err)
				}
				if !tt.quiet {
					c.Send("n1", "n3")
				}
				if tt.later != nil {
					c.Break(tt.later)
				}
				err = p.Heal(ctx, c, cutThree, &e, now)
				if got := problems(e); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
					t.Fatalf("problems %q, want %q (heal: %v)", got, tt.want, err)
				}
				if e.Proven() != (tt.want == "") {
					t.Fatalf("proven %t: %+v", e.Proven(), e)
				}
				if c.Healthy() == tt.stays {
					t.Fatalf("healthy %t after the heal", c.Healthy())
				}
			})
		})
	}
}

func TestTheNegativeControlNoticesLinksThatWereDownBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		if err := c.Cut(t.Context(), "stranger", []harness.Link{{From: "n4", To: "n5"}}); err != nil {
			t.Fatal(err)
		}
		e, err := (&Partition{}).Inject(t.Context(), c, cutThree, now)
		if err != nil || !strings.Contains(problems(e), "before: 1 of 20 links were not open, among them n4->n5") {
			t.Fatalf("%v, problems %q", err, problems(e))
		}
	})
}

func TestOverlappingPartitionsDoNotConfuseEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		second := harness.Fault{ID: "f2", Kind: PartitionKind, Links: []harness.Link{{From: "n1", To: "n2"}, {From: "n4", To: "n5"}}}
		p := &Partition{}
		inject := func(f harness.Fault) harness.Evidence {
			e, err := p.Inject(t.Context(), c, f, now)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		heal := func(f harness.Fault, e *harness.Evidence) {
			c.Send("n1", "n2")
			c.Send("n4", "n5")
			if err := p.Heal(t.Context(), c, f, e, now); err != nil || !e.Proven() {
				t.Fatalf("%s: %v, %+v", f.ID, err, e)
			}
		}
		a := inject(cutThree)
		b := inject(second)
		heal(cutThree, &a)
		if c.Send("n1", "n2") {
			t.Fatal("n1->n2 is open, but f2 still cuts it")
		}
		heal(second, &b)
		if !c.Healthy() {
			t.Fatal("links stay cut")
		}
	})
}

func TestConcurrentPartitionsAreProvenToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		p := &Partition{}
		faults := p.Plan(rand.New(rand.NewPCG(1, 1)), c.Nodes(), time.Minute)
		done := make(chan harness.Evidence, len(faults))
		var wg sync.WaitGroup
		for _, f := range faults { // all at the same time
			wg.Go(func() {
				e, err := p.Inject(t.Context(), c, f, now)
				if err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				for _, l := range f.Links {
					c.Send(l.From, l.To)
				}
				if err := p.Heal(t.Context(), c, f, &e, now); err != nil {
					t.Error(err)
				}
				done <- e
			})
		}
		wg.Wait()
		close(done)
		for e := range done {
			// Two cuts of a link: only one of them gets to discard its packets.
			e.Problems = slices.DeleteFunc(e.Problems, func(s string) bool { return strings.Contains(s, "no packet met") })
			if !e.Proven() {
				t.Errorf("%+v", e)
			}
		}
		if !c.Healthy() {
			t.Error("links stay cut")
		}
	})
}

var pauseTwo = harness.Fault{ID: "f1", Kind: PauseKind, Name: "minority", Nodes: []harness.NodeID{"n2", "n4"}}

func TestEveryWayAPauseCanFailIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		name          string
		defect, later func(*fake.Defects)
		want          string
	}{
		{name: "none"},
		{name: "pause does nothing", defect: func(d *fake.Defects) { d.PauseIdle = true }, want: "during: n2 is not paused"},
		{name: "pause takes all", defect: func(d *fake.Defects) { d.PauseAll = true }, want: "during: n1 is paused"},
		{name: "resume does nothing", later: func(d *fake.Defects) { d.ResumeIdle = true }, want: "after: n2 is paused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, now := stage(t)
				if tt.defect != nil {
					c.Break(tt.defect)
				}
				p := &Pause{}
				e, err := p.Inject(t.Context(), c, pauseTwo, now)
				if err != nil {
					t.Fatal(err)
				}
				if tt.later != nil {
					c.Break(tt.later)
				}
				if err := p.Heal(t.Context(), c, pauseTwo, &e, now); err != nil {
					t.Fatal(err)
				}
				if got := problems(e); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
					t.Fatalf("problems %q, want %q", got, tt.want)
				}
				if e.Proven() != (tt.want == "") {
					t.Fatalf("proven %t: %+v", e.Proven(), e)
				}
			})
		})
	}
}

func TestAPauseThatWasLiftedTooSoonIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		p := &Pause{}
		e, err := p.Inject(t.Context(), c, pauseTwo, now)
		if err != nil || len(e.Problems) > 0 {
			t.Fatalf("%v %+v", err, e)
		}
		if err := c.Resume(t.Context(), "n4"); err != nil {
			t.Fatal(err)
		}
		if err := p.Heal(t.Context(), c, pauseTwo, &e, now); err != nil || !strings.Contains(problems(e), "n4 is not paused") {
			t.Fatalf("%v, problems %q", err, problems(e))
		}
	})
}

func TestOverlappingPausesHoldUntilTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		p := &Pause{}
		second := harness.Fault{ID: "f2", Kind: PauseKind, Nodes: []harness.NodeID{"n4", "n5"}}
		a, err := p.Inject(t.Context(), c, pauseTwo, now)
		b, err2 := p.Inject(t.Context(), c, second, now)
		if err = errors.Join(err, err2, p.Heal(t.Context(), c, pauseTwo, &a, now)); err != nil {
			t.Fatal(err)
		}
		if paused, _ := c.Paused(t.Context(), "n4"); !paused || !a.Proven() {
			t.Fatalf("n4 paused %t by f2; f1 %+v", paused, a)
		}
		if err := p.Heal(t.Context(), c, second, &b, now); err != nil || !b.Proven() || !c.Healthy() {
			t.Fatalf("%v, healthy %t, %+v", err, c.Healthy(), b)
		}
	})
}

func TestHealAfterAFailedInject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		if err := c.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			n harness.Nemesis
			f harness.Fault
		}{{&Partition{}, cutThree}, {&Pause{}, pauseTwo}, {&Kill{}, killTwo}} {
			e, err := tt.n.Inject(t.Context(), c, tt.f, now)
			if err == nil || len(e.Problems) == 0 {
				t.Errorf("%s on a dead cluster: %v, %+v", tt.n.Name(), err, e)
			}
			if err := tt.n.Heal(t.Context(), c, tt.f, &e, now); err != nil || e.Proven() {
				t.Errorf("%s: heal %v, proven %t", tt.n.Name(), err, e.Proven())
			}
		}
	})
}

// bare is a cluster without abilities.
type bare struct{ harness.Cluster }

func TestCheckRefusesWhatCannotBeDone(t *testing.T) {
	for _, tt := range []struct {
		name    string
		nemesis harness.Nemesis
		cluster harness.Cluster
		want    string
	}{
		{"partition", &Partition{}, fake.New(5), ""},
		{"pause", &Pause{}, fake.New(1), ""},
		{"none", None{}, bare{fake.New(5)}, ""},
		{"no partitions", &Partition{}, bare{fake.New(5)}, "a fake cluster cannot cut links"},
		{"no pauses", &Pause{}, bare{fake.New(5)}, "a fake cluster cannot pause nodes"},
		{"one node", &Partition{}, fake.New(1), "1 nodes are too few"},
		{"two nodes in a ring", &Partition{Names: []string{"majorities-ring"}}, fake.New(2), "2 nodes are too few"},
		{"misspelt shape", &Partition{Names: []string{"halfs"}}, fake.New(5), `there is no "halfs"`},
		{"no kills", &Kill{}, bare{fake.New(5)}, "a fake cluster cannot kill nodes"},
		{"kills", &Kill{}, fake.New(1), ""},
		{"no machines", acquainted(&fake.Store{}), bare{fake.New(5)}, "cannot add machines"},
		{"a target with fixed members", &Membership{}, fake.New(5), "the target's members cannot change"},
		{"members", acquainted(&fake.Store{}), fake.New(5), ""},
		{"misspelt kill", &Kill{Names: []string{"few"}}, fake.New(5), `there is no "few"`},
		{"misspelt pause", &Pause{Names: []string{"few"}}, fake.New(5), `there is no "few"`},
		{"nodes by their names", Compose(&Pause{Names: []string{"n1-n3", "n5"}}, &Kill{Names: []string{"n2"}}), fake.New(5), ""},
		{"a stranger among them", &Kill{Names: []string{"n2-n6"}}, fake.New(5), `there is no "n2-n6"`},
		{"all of them", Compose(&Partition{}, &Pause{}), bare{fake.New(5)}, "cannot pause"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.nemesis.Check(tt.cluster)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestComposePlansOverlappingFaultsAndSendsEachHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		n := Compose(&Partition{}, &Pause{})
		if n.Name() != "partition,pause" || Compose(None{}).Name() != "none" || Compose().Name() != "none" {
			t.Errorf("name %q", n.Name())
		}
		faults := n.Plan(rand.New(rand.NewPCG(2, 2)), c.Nodes(), time.Minute)
		if err := schedule.Validate(faults, c.Nodes(), time.Minute); err != nil {
			t.Fatal(err)
		}
		again := n.Plan(rand.New(rand.NewPCG(2, 2)), c.Nodes(), time.Minute)
		if !reflect.DeepEqual(faults, again) {
			t.Fatal("the same seed plans other faults")
		}
		kinds := map[string]int{}
		overlaps := 0
		for i, f := range faults {
			kinds[f.Kind]++
			if i > 0 && f.Start < faults[i-1].Stop {
				overlaps++
			}
			e, err := n.Inject(t.Context(), c, f, now)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range f.Links {
				c.Send(l.From, l.To)
			}
			if err := n.Heal(t.Context(), c, f, &e, now); err != nil || !e.Proven() {
				t.Fatalf("%s %s: %v, %+v", f.Kind, f.Name, err, e)
			}
		}
		if kinds[PartitionKind] < 5 || kinds[PauseKind] < 5 || overlaps == 0 {
			t.Fatalf("%v, %d overlaps", kinds, overlaps)
		}
		if _, err := n.Inject(t.Context(), c, harness.Fault{ID: "f9", Kind: "meteor"}, now); err == nil || !strings.Contains(err.Error(), "meteor") {
			t.Fatalf("an unknown kind: %v", err)
		}
	})
}
