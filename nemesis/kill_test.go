package nemesis

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/fake"
)

var killTwo = harness.Fault{ID: "f1", Kind: KillKind, Name: "minority", Nodes: []harness.NodeID{"n2", "n4"}}

func TestEveryWayAKillCanFailIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		name          string
		defect, later func(*fake.Defects)
		signal        string
		want          string
		stays         bool
	}{
		{name: "none"},
		{name: "none, orderly", signal: SignalTerm},
		{name: "kill does nothing", defect: func(d *fake.Defects) { d.KillIdle = true }, want: "during: n2 is alive"},
		{name: "an orderly end does nothing", signal: SignalTerm, defect: func(d *fake.Defects) { d.KillIdle = true }, want: "during: n2 is alive"},
		{name: "kill takes all", defect: func(d *fake.Defects) { d.KillAll = true }, want: "during: n1 is not alive", stays: true},
		{name: "restart does nothing", later: func(d *fake.Defects) { d.RestartIdle = true }, want: "after: n2 is not alive", stays: true},
		{name: "restart fails at first", later: func(d *fake.Defects) { d.Restart = 5 }},
		{name: "restart fails for ever", later: func(d *fake.Defects) { d.Restart = 1e9 }, want: "n2 was not started", stays: true},
		{name: "an unknown signal", signal: "HUP", want: `unknown signal "HUP"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, now := stage(t)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if tt.defect != nil {
					c.Break(tt.defect)
				}
				f, k := killTwo, &Kill{}
				f.Signal = tt.signal
				e, err := k.Inject(ctx, c, f, now)
				if (err != nil) != (tt.signal == "HUP") {
					t.Fatal(err)
				}
				if tt.later != nil {
					c.Break(tt.later)
				}
				_ = k.Heal(ctx, c, f, &e, now) // its error is a problem as well
				if got := problems(e); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
					t.Fatalf("problems %q, want %q", got, tt.want)
				}
				if e.Proven() != (tt.want == "") || c.Healthy() == tt.stays {
					t.Fatalf("proven %t, healthy %t: %+v", e.Proven(), c.Healthy(), e)
				}
			})
		})
	}
}

// A store may end because of its disk: that others live is proof enough that not just everything was killed.
func TestAKillIsProvenBesideAStoreThatEndedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		k := &Kill{}
		if err := c.Kill(t.Context(), "n1"); err != nil {
			t.Fatal(err)
		}
		e, err := k.Inject(t.Context(), c, killTwo, now)
		if err == nil {
			err = k.Heal(t.Context(), c, killTwo, &e, now)
		}
		if err != nil || !e.Proven() {
			t.Errorf("%v, problems %q", err, problems(e))
		}
	})
}

func TestAProcessThatRoseByItselfIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		k := &Kill{}
		e, err := k.Inject(t.Context(), c, killTwo, now)
		if err != nil || len(e.Problems) > 0 {
			t.Fatalf("%v %+v", err, e)
		}
		if err := c.Restart(t.Context(), "n4"); err != nil {
			t.Fatal(err)
		}
		if err := k.Heal(t.Context(), c, killTwo, &e, now); err != nil || !strings.Contains(problems(e), "during: n4 is alive") {
			t.Fatalf("%v, problems %q", err, problems(e))
		}
	})
}

// An overlap is a kill f1 of n2 and n4 beside a fault f2; steps are "+f1", inject, and
// "-f1", heal. Both faults must be proven, whatever the order, with the words in the
// evidence of f2.
func TestKillsOverlapWithOtherFaultsOfTheirNodes(t *testing.T) {
	on := func(kind, signal string, nodes ...harness.NodeID) harness.Fault {
		return harness.Fault{ID: "f2", Kind: kind, Signal: signal, Nodes: nodes}
	}
	for _, tt := range []struct {
		name   string
		signal string // of f1
		other  harness.Fault
		steps  string
		words  string
		lost   bool // f2 struck nobody, which is a problem
	}{
		{name: "a kill ends a pause", other: on(PauseKind, "", "n2", "n3"), steps: "+f2 +f1 -f1 -f2", words: "n2 paused until it was killed"},
		{name: "and the pause ends first", other: on(PauseKind, "", "n2", "n3"), steps: "+f2 +f1 -f2 -f1", words: "n2 paused until it was killed"},
		{name: "a paused node is asked to end", signal: SignalTerm, other: on(PauseKind, "", "n2"), steps: "+f2 +f1 -f2 -f1", words: "n2 paused until it was killed"},
		{name: "a pause leaves out the dead", other: on(PauseKind, "", "n2", "n3"), steps: "+f1 +f2 -f1 -f2", words: "n2 dead by f1, left out"},
		{name: "also when the kill lasts longer", other: on(PauseKind, "", "n2", "n3"), steps: "+f1 +f2 -f2 -f1", words: "n2 dead by f1, left out"},
		{name: "a pause of the dead alone", other: on(PauseKind, "", "n2", "n4"), steps: "+f1 +f2 -f1 -f2", words: "left out", lost: true},
		{name: "two kills of a node", other: on(KillKind, "", "n4", "n5"), steps: "+f1 +f2 -f1 -f2"},
		{name: "two kills, the first lasts", other: on(KillKind, "", "n4", "n5"), steps: "+f1 +f2 -f2 -f1"},
		{name: "everyone is dead", other: on(KillKind, SignalTerm, "n1", "n3", "n5"), steps: "+f1 +f2 -f1 -f2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, now := stage(t)
				n := Compose(&Pause{}, &Kill{})
				f1 := killTwo
				f1.Signal = tt.signal
				faults := map[string]harness.Fault{"f1": f1, "f2": tt.other}
				seen := map[string]*harness.Evidence{}
				for step := range strings.FieldsSeq(tt.steps) {
					f := faults[step[1:]]
					time.Sleep(time.Second)
					if step[0] == '+' {
						e, err := n.Inject(t.Context(), c, f, now)
						if err != nil {
							t.Fatalf("%s: %v", step, err)
						}
						seen[f.ID] = &e
					} else if err := n.Heal(t.Context(), c, f, seen[f.ID], now); err != nil {
						t.Fatalf("%s: %v", step, err)
					}
				}
				if !seen["f1"].Proven() || seen["f2"].Proven() == tt.lost || !c.Healthy() {
					t.Errorf("healthy %t\nf1 %+v\nf2 %+v", c.Healthy(), seen["f1"], seen["f2"])
				}
				if tt.lost && !strings.Contains(problems(*seen["f2"]), "all of its nodes were dead") {
					t.Errorf("problems %q", problems(*seen["f2"]))
				}
				told := slices.ContainsFunc(seen["f2"].Probes, func(p harness.Probe) bool { return strings.Contains(p.What, tt.words) })
				if tt.words != "" && !told {
					t.Errorf("no word of %q in %+v", tt.words, seen["f2"].Probes)
				}
			})
		})
	}
}

func TestKillsArePlannedSoThatTheyCanBeProven(t *testing.T) {
	nodes := fake.New(5).Nodes()
	names, pauses := map[string]int{}, 0
	for seed := range uint64(200) {
		plan := Compose(&Kill{}, &Pause{}).Plan(rand.New(rand.NewPCG(seed, 1)), nodes, time.Minute)
		for i, f := range plan {
			if f.Kind == PauseKind {
				pauses++
				for _, k := range plan {
					struck := slices.ContainsFunc(k.Nodes, func(n harness.NodeID) bool { return slices.Contains(f.Nodes, n) })
					if k.Kind == KillKind && struck && k.Start <= f.Start && f.Start <= k.Stop {
						t.Fatalf("seed %d: %+v strikes the dead of %+v", seed, f, k)
					}
				}
				continue
			}
			names[f.Name]++
			if f.Name == "all" && f.Stop-f.Start > allDeadMax {
				t.Fatalf("seed %d: nobody lives for %v", seed, f.Stop-f.Start)
			}
			if (f.Signal == SignalTerm) != (f.Name == "terminate" || f.Name == "upgrade") {
				t.Fatalf("seed %d: %s with signal %q", seed, f.Name, f.Signal)
			}
			if f.Name == "rolling" && len(f.Nodes) != 1 {
				t.Fatalf("seed %d: fault %d rolls over %v at once", seed, i, f.Nodes)
			}
		}
	}
	for _, m := range kills.chosen(nil) {
		name := m.Name
		if names[name] < 50 {
			t.Errorf("%d times %s: %v", names[name], name, names)
		}
	}
	if pauses < 500 {
		t.Errorf("only %d pauses are left", pauses)
	}
}

func TestKillsInTurnTakeEachNodeOnce(t *testing.T) {
	nodes := fake.New(5).Nodes()
	k := &Kill{Names: []string{"rolling"}}
	plan := k.Plan(rand.New(rand.NewPCG(3, 1)), nodes, 11*time.Second)
	var whom []harness.NodeID
	for i, f := range plan {
		whom = append(whom, f.Nodes...)
		if i > 0 && f.Start <= plan[i-1].Stop {
			t.Errorf("%s begins at %v, before the end of %s at %v", f.ID, f.Start, plan[i-1].ID, plan[i-1].Stop)
		}
	}
	slices.Sort(whom)
	if !slices.Equal(whom, nodes) {
		t.Errorf("killed %v, want each of %v once", whom, nodes)
	}
}
