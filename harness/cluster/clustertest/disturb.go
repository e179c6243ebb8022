package clustertest

import (
	"maps"
	"slices"
	"time"

	"cartwheel/harness"
)

// shapesOf has one shape for each name, mild enough that the nodes go on talking.
var shapesOf = map[string]harness.Shape{
	harness.ShapeDelay:     {Delay: 20 * time.Millisecond},
	harness.ShapeJitter:    {Jitter: 20 * time.Millisecond},
	harness.ShapeLoss:      {Loss: 0.3},
	harness.ShapeDuplicate: {Duplicate: 0.5},
	harness.ShapeReorder:   {Delay: 10 * time.Millisecond, Reorder: 0.5},
	harness.ShapeCorrupt:   {Corrupt: 0.3},
	harness.ShapeRate:      {Rate: 20_000},
}

// shapings drives a cluster's links.
type shapings struct {
	step
	harness.Shaper
}

func (s shapings) shape(fault string, links []harness.Link, how harness.Shape) {
	s.Helper()
	if err := s.Shape(s.Context(), fault, links, how); err != nil {
		s.Fatalf("shape links: %v", err)
	}
}

func (s shapings) unshape(fault string) {
	s.Helper()
	if err := s.Unshape(s.Context(), fault); err != nil {
		s.Fatalf("undo a shaping: %v", err)
	}
}

// shaped asks for a fault's counts, which must be for its links and no others.
func (s shapings) shaped(fault string, links []harness.Link) uint64 {
	s.Helper()
	got, err := s.Shaped(s.Context(), fault)
	if err != nil {
		s.Fatalf("count what was shaped: %v", err)
	}
	if len(got) != len(links) || slices.ContainsFunc(links, func(l harness.Link) bool { _, ok := got[l]; return !ok }) {
		s.Errorf("%s counts %v, but shapes %v", fault, slices.Collect(maps.Keys(got)), links)
	}
	return total(got)
}

func testShaping(t step, c harness.Cluster, s harness.Shaper) {
	ids := c.Nodes()
	links := both(ids[:1], ids[1:])
	for _, name := range s.Shapes() {
		how, known := shapesOf[name]
		if !known || !slices.Contains(how.Does(), name) {
			t.Errorf("there is no shape %q", name)
			continue
		}
		if slices.ContainsFunc(how.Does(), func(d string) bool { return !slices.Contains(s.Shapes(), d) }) {
			continue // it needs something that this cluster has not
		}
		t.run(name, func(t step) {
			s := shapings{t, s}
			s.shape("f1", links, how)
			await(t, "packets are hit", func() bool { return s.shaped("f1", links) > 0 })
			s.unshape("f1")
			if _, err := s.Shaped(t.Context(), "f1"); err == nil {
				t.Errorf("a healed fault still has counts")
			}
		})
	}
	if len(s.Shapes()) == 0 {
		return
	}
	how := shapesOf[s.Shapes()[0]]
	t.run("overlapping", func(t step) { testShapingsTogether(shapings{t, s}, links, how) })
	t.run("what cannot be is refused", func(t step) { testShapingsRefused(shapings{t, s}, links, how) })
	if p, ok := c.(harness.Partitioner); ok {
		expectCut(t, c, p, "after all shapings", nil)
	}
}

func testShapingsTogether(s shapings, links []harness.Link, how harness.Shape) {
	one := links[:1]
	s.shape("f1", links, how)
	s.shape("f2", one, how)
	await(s.step, "both faults hit packets", func() bool { return s.shaped("f1", links) > 0 && s.shaped("f2", one) > 0 })
	s.unshape("f1")
	before := s.shaped("f2", one)
	await(s.step, "the other goes on", func() bool { return s.shaped("f2", one) > before })
	s.shape("f2", links[1:2], how) // instead of before
	s.shaped("f2", links[1:2])
	s.unshape("f2")
}

func testShapingsRefused(s shapings, links []harness.Link, how harness.Shape) {
	ctx := s.Context()
	for what, err := range map[string]error{
		"an unknown node": s.Shape(ctx, "wrong", []harness.Link{{From: links[0].From, To: "nobody"}}, how),
		"no shape":        s.Shape(ctx, "wrong", links, harness.Shape{}),
		"a loss of 2":     s.Shape(ctx, "wrong", links, harness.Shape{Loss: 2}),
	} {
		if err == nil {
			s.Errorf("%s: got no error, want one", what)
		}
	}
	s.unshape("unknown")
	if _, err := s.Shaped(ctx, "unknown"); err == nil {
		s.Errorf("an unknown fault has counts")
	}
}

// clockSlack is what a look at a clock may take.
const clockSlack = 2 * time.Second

func testClocks(t step, c harness.Cluster, k harness.ClockSkewer) {
	ctx, ids := t.Context(), c.Nodes()
	off := func(when string, n harness.NodeID, want time.Duration) {
		t.Helper()
		if got, err := k.Offset(ctx, n); err != nil || (got-want).Abs() > clockSlack {
			t.Errorf("%s: the clock of %s is off by %v, %v; want %v", when, n, got, err, want)
		}
	}
	skew := func(n harness.NodeID, s harness.Skew) {
		t.Helper()
		if err := k.Skew(ctx, n, s); err != nil {
			t.Fatalf("skew the clock of %s: %v", n, err)
		}
	}
	for _, n := range ids {
		off("at first", n, 0)
	}
	skew(ids[0], harness.Skew{Offset: time.Hour})
	off("ahead", ids[0], time.Hour)
	off("beside one that is ahead", ids[1], 0)
	skew(ids[0], harness.Skew{Offset: -time.Hour}) // instead of before
	off("behind", ids[0], -time.Hour)
	if killer, ok := c.(harness.Killer); ok {
		if err := killer.Kill(ctx, ids[0]); err != nil {
			t.Fatalf("kill %s: %v", ids[0], err)
		}
		if err := killer.Restart(ctx, ids[0]); err != nil {
			t.Fatalf("restart %s: %v", ids[0], err)
		}
		await(t, "the new process has the clock of its machine", func() bool {
			got, err := k.Offset(ctx, ids[0])
			return err == nil && (got+time.Hour).Abs() <= clockSlack
		})
	}
	skew(ids[1], harness.Skew{Drift: -1})
	await(t, "a frozen clock falls behind", func() bool {
		got, err := k.Offset(ctx, ids[1])
		return err == nil && got < -clockSlack
	})
	for _, n := range ids[:2] {
		skew(n, harness.Skew{})
		off("set right", n, 0)
	}
	for what, err := range map[string]error{
		"an unknown node":   k.Skew(ctx, "nobody", harness.Skew{Offset: time.Hour}),
		"a clock backwards": k.Skew(ctx, ids[0], harness.Skew{Drift: -2}),
	} {
		if err == nil {
			t.Errorf("%s: got no error, want one", what)
		}
	}
}

var diskFaultsOf = map[string]harness.DiskFault{
	harness.DiskSlow:        {Slow: 20 * time.Millisecond},
	harness.DiskReadErrors:  {ReadErrors: 0.5},
	harness.DiskWriteErrors: {WriteErrors: 0.5},
	harness.DiskFull:        {Full: true},
	harness.DiskReadOnly:    {ReadOnly: true},
	harness.DiskBitFlips:    {BitFlips: 0.5},
	harness.DiskRotten:      {Rotten: 0.5},
	harness.DiskBadHints:    {BadHints: 0.5},
	harness.DiskBadRecords:  {BadRecords: 0.5},
	harness.DiskTruncated:   {Truncated: 0.5},
}

// testDisks tells nothing of what a bad disk does: the suite's nodes need not use theirs.
func testDisks(t step, c harness.Cluster, d harness.DiskFaulter) {
	ctx, n := t.Context(), c.Nodes()[0]
	undisturb := func() {
		t.Helper()
		if err := d.Undisturb(ctx, n); err != nil {
			t.Fatalf("heal the disk of %s: %v", n, err)
		}
		if hit, err := d.Disturbed(ctx, n); hit != 0 || err != nil {
			t.Errorf("a healed disk has hit %d operations, %v", hit, err)
		}
	}
	undisturb()
	for _, name := range d.DiskFaults() {
		fault, known := diskFaultsOf[name]
		if !known {
			t.Errorf("there is no disk fault %q", name)
			continue
		}
		if fault.AtRest() {
			if err := d.Disturb(ctx, n, fault); err == nil {
				t.Errorf("%s: files of a living node were damaged", name)
			}
			continue
		}
		if err := d.Disturb(ctx, n, fault); err != nil {
			t.Fatalf("%s: disturb the disk of %s: %v", name, n, err)
		}
		if _, err := d.Disturbed(ctx, n); err != nil {
			t.Errorf("%s: count what the disk of %s did: %v", name, n, err)
		}
		undisturb()
	}
	for what, err := range map[string]error{
		"an unknown node": d.Disturb(ctx, "nobody", diskFaultsOf[harness.DiskSlow]),
		"no fault":        d.Disturb(ctx, n, harness.DiskFault{}),
	} {
		if err == nil {
			t.Errorf("%s: got no error, want one", what)
		}
	}
	if k, ok := c.(harness.Killer); ok { // what has failed may have been given up
		if err := k.Kill(ctx, n); err != nil {
			t.Fatalf("kill %s: %v", n, err)
		}
		if err := k.Restart(ctx, n); err != nil {
			t.Fatalf("restart %s: %v", n, err)
		}
	}
}
