package nemesis

import (
	"context"
	"errors"
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

var (
	slowTwo = harness.Fault{ID: "f1", Kind: PacketKind, Shape: &harness.Shape{Delay: 1}, Links: []harness.Link{{From: "n1", To: "n2"}, {From: "n2", To: "n1"}}}
	bumpTwo = harness.Fault{ID: "f1", Kind: ClockKind, Nodes: pauseTwo.Nodes, Skew: &harness.Skew{Offset: -time.Hour}}
	fullTwo = harness.Fault{ID: "f1", Kind: DiskKind, Nodes: pauseTwo.Nodes, Disk: &harness.DiskFault{Full: true}}
)

func skewed(s harness.Skew) harness.Fault {
	f := bumpTwo
	f.Skew = &s
	return f
}

// TestEveryWayADisturbanceCanFailIsNoticed plants each defect of a backend.
func TestEveryWayADisturbanceCanFailIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		name          string
		nemesis       harness.Nemesis
		fault         harness.Fault
		defect, later func(*fake.Defects)
		idle          bool // nobody sends or writes
		want          string
	}{
		{name: "packets", nemesis: &Packet{}, fault: slowTwo},
		{name: "packets, none sent", nemesis: &Packet{}, fault: slowTwo, idle: true, want: "no packet was changed"},
		{name: "packets, nothing done", nemesis: &Packet{}, fault: slowTwo, defect: func(d *fake.Defects) { d.ShapeIdle = true }, want: "could not be counted"},
		{name: "packets, a link left out", nemesis: &Packet{}, fault: slowTwo, defect: func(d *fake.Defects) { d.ShapeLeaks = true }, want: "1 links are shaped, not the fault's 2"},
		{name: "packets, not healed", nemesis: &Packet{}, fault: slowTwo, later: func(d *fake.Defects) { d.UnshapeIdle = true }, want: "after: its links are shaped"},
		{name: "a clock behind", nemesis: &Clock{}, fault: bumpTwo},
		{name: "a fast clock", nemesis: &Clock{}, fault: skewed(harness.Skew{Drift: 0.5})},
		{name: "a frozen clock", nemesis: &Clock{}, fault: skewed(harness.Skew{Drift: -1})},
		{name: "a jumping clock", nemesis: &Clock{}, fault: skewed(harness.Skew{Offset: time.Minute, Strobe: 700 * time.Millisecond})},
		{name: "a clock that is not told at once", nemesis: &Clock{}, fault: skewed(harness.Skew{Drift: 0.9}), later: func(d *fake.Defects) { d.Offset = 20 }},
		{name: "a clock that is never told", nemesis: &Clock{}, fault: bumpTwo, later: func(d *fake.Defects) { d.Offset = 1e9 }, want: "the clock of n2 could not be read"},
		{name: "a clock, nothing done", nemesis: &Clock{}, fault: bumpTwo, defect: func(d *fake.Defects) { d.SkewIdle = true }, want: "off by 0s, not by -1h0m0s"},
		{name: "a jumping clock, nothing done", nemesis: &Clock{}, fault: skewed(harness.Skew{Offset: time.Minute, Strobe: time.Second}), defect: func(d *fake.Defects) { d.SkewIdle = true }, want: "no clock was seen that is off by 1m0s"},
		{name: "a clock, not healed", nemesis: &Clock{}, fault: bumpTwo, later: func(d *fake.Defects) { d.SkewIdle = true }, want: "after: the clock of n2"},
		{name: "a disk", nemesis: &Disk{}, fault: fullTwo},
		{name: "a disk, unused", nemesis: &Disk{}, fault: fullTwo, idle: true, want: "no operation met the fault"},
		{name: "a disk, not healed", nemesis: &Disk{}, fault: fullTwo, later: func(d *fake.Defects) { d.UndisturbIdle = true }, want: "after: n2 is hit by its disk"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, now := stage(t)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				if err := tt.nemesis.Check(c); err != nil {
					t.Fatal(err)
				}
				if tt.defect != nil {
					c.Break(tt.defect)
				}
				e, err := tt.nemesis.Inject(ctx, c, tt.fault, now)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				if !tt.idle {
					c.Send("n1", "n2")
					c.Use("n2")
				}
				if tt.later != nil {
					c.Break(tt.later)
				}
				if err := tt.nemesis.Heal(ctx, c, tt.fault, &e, now); err != nil {
					t.Fatal(err)
				}
				if got := problems(e); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) || e.Proven() != (tt.want == "") {
					t.Fatalf("problems %q, want %q; proven %t", got, tt.want, e.Proven())
				}
				if tt.want == "" && !c.Healthy() {
					t.Error("the cluster is not well again")
				}
			})
		})
	}
}

// Whoever is paused does not tell its time: the heal of its clock waits for it.
func TestAClockIsLookedAtWhenItsNodeRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		n := Compose(&Clock{}, &Pause{})
		pause := pauseTwo
		pause.ID = "f2"
		clock, err := n.Inject(t.Context(), c, bumpTwo, now)
		paused, err2 := n.Inject(t.Context(), c, pause, now)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		healed := make(chan error)
		go func() { healed <- n.Heal(t.Context(), c, bumpTwo, &clock, now) }()
		time.Sleep(3 * time.Second)
		if err := errors.Join(n.Heal(t.Context(), c, pause, &paused, now), <-healed); err != nil || !clock.Proven() {
			t.Errorf("%v, %+v", err, clock)
		}
	})
}

// A plan keeps pauses away from dead nodes, but a kill may be healed late.
func TestAFaultOfDeadNodesWaitsForOneToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		n := Compose(&Pause{}, &Kill{})
		kill := killTwo
		kill.ID, kill.Nodes = "f2", pauseTwo.Nodes
		killed, err := n.Inject(t.Context(), c, kill, now)
		if err != nil {
			t.Fatal(err)
		}
		injected := make(chan harness.Evidence)
		go func() {
			e, err := n.Inject(t.Context(), c, pauseTwo, now)
			if err != nil {
				t.Error(err)
			}
			injected <- e
		}()
		time.Sleep(3 * time.Second)
		if err := n.Heal(t.Context(), c, kill, &killed, now); err != nil {
			t.Fatal(err)
		}
		paused := <-injected
		if err := n.Heal(t.Context(), c, pauseTwo, &paused, now); err != nil || !paused.Proven() {
			t.Errorf("%v, %+v", err, paused)
		}
	})
}

// A fault that was late to begin is given a moment before it is healed.
func TestAFaultThatMetNothingYetIsGivenAMoment(t *testing.T) {
	for _, tt := range []struct {
		nemesis harness.Nemesis
		fault   harness.Fault
	}{{&Disk{}, fullTwo}, {&Packet{}, slowTwo}, {&Partition{}, cutThree}} {
		synctest.Test(t, func(t *testing.T) {
			c, now := stage(t)
			e, err := tt.nemesis.Inject(t.Context(), c, tt.fault, now)
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, func() {
				c.Send("n1", "n2")
				c.Use("n2")
			})
			if err := tt.nemesis.Heal(t.Context(), c, tt.fault, &e, now); err != nil || !e.Proven() {
				t.Errorf("%s: %v, %+v", tt.nemesis.Name(), err, e)
			}
		})
	}
}

// A disk that failed was given up by its process: the heal begins another, but leaves the dead
// to their killer and waits for the paused.
func TestAHealedDiskGetsANewProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, now := stage(t)
		n := Compose(&Disk{}, &Kill{}, &Pause{})
		kill := harness.Fault{ID: "f2", Kind: KillKind, Nodes: []harness.NodeID{"n2"}}
		pause := harness.Fault{ID: "f3", Kind: PauseKind, Nodes: []harness.NodeID{"n4"}}
		seen := map[string]*harness.Evidence{}
		for _, f := range []harness.Fault{fullTwo, kill, pause} {
			c.Use("n4")
			e, err := n.Inject(t.Context(), c, f, now)
			if err != nil {
				t.Fatal(err)
			}
			seen[f.ID] = &e
		}
		healed := make(chan error)
		go func() { healed <- n.Heal(t.Context(), c, fullTwo, seen["f1"], now) }()
		time.Sleep(time.Second)
		for _, f := range []harness.Fault{pause, kill} {
			if alive, _ := c.Alive(t.Context(), "n2"); alive {
				t.Error("the disk's heal has started a node that a kill holds")
			}
			if err := n.Heal(t.Context(), c, f, seen[f.ID], now); err != nil {
				t.Fatal(err)
			}
			if f.ID == "f3" {
				if err := <-healed; err != nil {
					t.Fatal(err)
				}
			}
		}
		for id, e := range seen {
			if !e.Proven() {
				t.Errorf("%s: %+v", id, e)
			}
		}
		if !c.Healthy() {
			t.Error("the cluster is not well again")
		}
	})
}

func TestDisturbancesArePlannedAsFarAsTheClusterCan(t *testing.T) {
	c := fake.New(5)
	for _, tt := range []struct {
		nemesis harness.Nemesis
		want    []string
	}{
		{&Packet{}, []string{"flaky", "lossy", "slow"}},
		{&Packet{Names: []string{"lossy"}}, []string{"lossy"}},
		{&Clock{}, []string{"bump", "drift", "freeze", "strobe"}},
		{&Disk{}, []string{"full", "slow"}}, // the fake's, and nothing that must be asked for
	} {
		if err := tt.nemesis.Check(c); err != nil {
			t.Fatal(err)
		}
		plan := tt.nemesis.Plan(rand.New(rand.NewPCG(1, 1)), c.Nodes(), 3*time.Minute)
		if err := schedule.Validate(plan, c.Nodes(), 3*time.Minute); err != nil {
			t.Error(err)
		}
		var names []string
		for _, f := range plan {
			names = append(names, f.Name)
			switch {
			case f.Shape != nil && f.Shape.Valid() != nil, f.Skew != nil && f.Skew.Valid() != nil, f.Disk != nil && f.Disk.Valid() != nil:
				t.Errorf("%+v does not hold", f)
			case f.Shape == nil && f.Skew == nil && f.Disk == nil:
				t.Errorf("%+v does nothing", f)
			}
		}
		slices.Sort(names)
		if got := slices.Compact(names); !slices.Equal(got, tt.want) {
			t.Errorf("%s plans %v, want %v", tt.nemesis.Name(), got, tt.want)
		}
	}
	lacks := map[string]bool{}
	all := Possible(&Packet{}, &Disk{}, &Membership{})
	if err := all.Check(c); err != nil {
		t.Fatal(err)
	}
	for _, s := range all.(harness.Skipper).Skipped() {
		lacks[s.Kind+" "+s.Name] = s.Why != ""
	}
	if !lacks["membership "] || !lacks["packet narrow"] || !lacks["disk read-only"] || lacks["packet slow"] {
		t.Errorf("skipped are %v", lacks)
	}
	for _, n := range []harness.Nemesis{&Packet{Names: []string{"narrow"}}, &Disk{Names: []string{"read-only"}}} {
		if err := n.Check(c); err == nil || !strings.Contains(err.Error(), "cannot do") {
			t.Errorf("%s: %v", n.Name(), err)
		}
	}
}

// In a plan of all kinds each partition has a stretch in which no fault holds nodes, and yet
// faults lie across the ends of partitions.
func TestPlansLeaveRoomToPartitions(t *testing.T) {
	nodes := fake.New(5).Nodes()
	across := map[string]int{}
	for seed := range uint64(300) {
		plan := Compose(&Partition{}, &Pause{}, &Kill{}, &Disk{}).Plan(rand.New(rand.NewPCG(seed, 1)), nodes, 20*time.Second)
		if err := schedule.Validate(plan, nodes, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		for _, p := range plan {
			if p.Kind != PartitionKind {
				continue
			}
			room := min(roomMax, (p.Stop-p.Start)/2)
			first, last := true, true
			for _, f := range plan {
				if f.Kind == PartitionKind {
					continue
				}
				first = first && (f.Stop <= p.Start || f.Start >= p.Start+room)
				last = last && (f.Stop <= p.Stop-room || f.Start >= p.Stop)
				if f.Start < p.Start && p.Start < f.Stop {
					across["begin"]++
				}
				if f.Start < p.Stop && p.Stop < f.Stop {
					across["end"]++
				}
			}
			if !first && !last {
				t.Fatalf("seed %d: %s has no room in %+v", seed, p.ID, plan)
			}
		}
	}
	if across["begin"] < 50 || across["end"] < 50 {
		t.Errorf("faults lie across %v of partitions", across)
	}
}

func TestAllThatIsPossibleIsPlayed(t *testing.T) {
	cut := func(c harness.Cluster) harness.Cluster {
		return struct {
			harness.Cluster
			harness.Partitioner
			harness.Pauser
		}{c, c.(harness.Partitioner), c.(harness.Pauser)}
	}
	n := Possible(&Partition{}, &Pause{}, &Kill{}, &Clock{})
	if err := n.Check(cut(fake.New(5))); err != nil || n.Name() != "partition,pause" {
		t.Errorf("%s, %v", n.Name(), err)
	}
	for _, f := range n.Plan(rand.New(rand.NewPCG(1, 1)), fake.New(5).Nodes(), time.Minute) {
		if f.Kind != PartitionKind && f.Kind != PauseKind {
			t.Errorf("a plan for a cluster that cannot: %+v", f)
		}
	}
	if err := n.Check(bare{fake.New(5)}); err == nil || !strings.Contains(err.Error(), "cannot kill") {
		t.Errorf("a cluster that can do nothing: %v", err)
	}
}

func TestBadLinksAreSomewhereOpenByThePlan(t *testing.T) {
	nodes := fake.New(5).Nodes()
	together := 0
	for seed := range uint64(200) {
		plan := Compose(&Partition{}, &Packet{}).Plan(rand.New(rand.NewPCG(seed, 1)), nodes, 20*time.Second)
		for _, f := range plan {
			var cut []harness.Link
			for _, p := range plan {
				if p.Kind == PartitionKind && p.Start < f.Stop && f.Start < p.Stop {
					cut = append(cut, p.Links...)
				}
			}
			if f.Kind != PacketKind || len(cut) == 0 {
				continue
			}
			together++
			if !slices.ContainsFunc(f.Links, func(l harness.Link) bool { return !slices.Contains(cut, l) }) {
				t.Fatalf("seed %d: every link of %+v is cut", seed, f)
			}
			if f.Name == "flaky" && len(f.Links) != 2 {
				t.Fatalf("seed %d: %+v is of more than a pair", seed, f)
			}
		}
	}
	if together < 200 {
		t.Errorf("only %d bad links beside a partition", together)
	}
}

func TestBadDisksAreUsedByThePlan(t *testing.T) {
	nodes := fake.New(5).Nodes()
	bad := 0
	for seed := range uint64(300) {
		plan := Compose(&Pause{}, &Kill{}, &Disk{}).Plan(rand.New(rand.NewPCG(seed, 1)), nodes, 20*time.Second)
		for _, f := range plan {
			if f.Kind == DiskKind {
				bad++
				if lazy := idle(plan, nodes, f); slices.ContainsFunc(f.Nodes, func(n harness.NodeID) bool { return lazy[n] }) {
					t.Fatalf("seed %d: %+v strikes nodes that hardly run: %+v", seed, f, plan)
				}
			}
		}
	}
	if bad < 300 {
		t.Errorf("only %d bad disks are left", bad)
	}
}

func TestDamageAtRestIsDoneToTheDeadAndProven(t *testing.T) {
	for name, tt := range map[string]struct {
		defect func(*fake.Defects)
		refuse bool
		want   string
	}{
		"it begins":       {},
		"it refuses":      {refuse: true},
		"it is not dead":  {defect: func(d *fake.Defects) { d.KillIdle = true }, want: "no file of n2 was damaged"},
		"it stays so":     {defect: func(d *fake.Defects) { d.UndisturbIdle = true }, want: "after: n2 is hit by its disk"},
		"it never begins": {defect: func(d *fake.Defects) { d.RestartIdle = true }, want: "after: n2 is not alive"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, now := stage(t)
				c.Break(func(d *fake.Defects) {
					if tt.defect != nil {
						tt.defect(d)
					}
					if tt.refuse {
						d.Restart = 1
					}
				})
				d := &Disk{Names: []string{harness.DiskRotten}}
				if err := d.Check(c); err != nil {
					t.Fatal(err)
				}
				f := harness.Fault{ID: "f1", Kind: DiskKind, Name: harness.DiskRotten, Nodes: []harness.NodeID{"n2"}, Disk: &harness.DiskFault{Rotten: 0.5}}
				e, err := d.Inject(t.Context(), c, f, now)
				if alive, _ := c.Alive(t.Context(), "n2"); err == nil && name != "it never begins" && alive == tt.refuse {
					t.Errorf("alive %v while damaged", alive)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				herr := d.Heal(ctx, c, f, &e, now)
				if got := problems(e); !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") || e.Proven() != (tt.want == "") {
					t.Errorf("problems %q, want %q (%v, %v)", got, tt.want, err, herr)
				}
				if tt.want == "" && (!c.Healthy() || e.Hit != 1) {
					t.Errorf("healthy %v, %d files", c.Healthy(), e.Hit)
				}
			})
		})
	}
}
