package docker

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/clustertest"
)

// BenchmarkFaults measures what a nemesis waits for, on five nodes, and prints the medians
// as figures: what one waits for usually, whatever else the machine does now and then.
func BenchmarkFaults(b *testing.B) {
	if os.Getenv("CARTWHEEL_DOCKER") != "1" {
		b.Skip("SKIPPED: needs a Docker Engine; CARTWHEEL_DOCKER=1 runs it")
	}
	ctx := b.Context()
	image, err := StoreImage(ctx, Build{Package: "./harness/cluster/docker/testdata/chatter"})
	if err != nil {
		b.Fatal(err)
	}
	c, err := New(Options{Run: "bench", Image: image, Port: chatterPort, Command: talkative})
	if err != nil {
		b.Fatal(err)
	}
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	var started, applied, verified []time.Duration
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			timed(&started, func() { must(c.Start(ctx)) })
			b.StopTimer()
			must(c.Stop(ctx))
			b.StartTimer()
		}
	})
	must(c.Start(ctx))
	defer func() { must(c.Stop(ctx)) }()
	nodes := c.Nodes()
	all := clustertest.AllLinks(nodes)
	alive := func(n harness.NodeID, want bool) {
		got, err := c.Alive(ctx, n)
		if must(err); got != want {
			b.Fatalf("%s is alive: %v, want %v", n, got, want)
		}
	}
	c.Shapes() // the look at the kernel is a run's, not a fault's
	for _, f := range []struct {
		name                string
		apply, verify, undo func()
	}{
		{
			"partition", func() { must(c.Cut(ctx, "f1", all)) },
			func() { _, err := c.Probe(ctx, all); must(err) },
			func() { must(c.Mend(ctx, "f1")) },
		},
		{
			"pause", func() { must(c.Pause(ctx, nodes[0])) },
			func() { _, err := c.Paused(ctx, nodes[0]); must(err) },
			func() { must(c.Resume(ctx, nodes[0])) },
		},
		{"kill", func() { must(c.Kill(ctx, nodes[0])) }, func() { alive(nodes[0], false) }, func() { must(c.Restart(ctx, nodes[0])) }},
		{
			"packet", func() { must(c.Shape(ctx, "f1", all, harness.Shape{Loss: 0.1})) },
			func() { _, err := c.Shaped(ctx, "f1"); must(err) },
			func() { must(c.Unshape(ctx, "f1")) },
		},
	} {
		b.Run(f.name, func(b *testing.B) {
			for b.Loop() {
				timed(&applied, f.apply)
				timed(&verified, f.verify)
				b.StopTimer()
				f.undo()
				b.StartTimer()
			}
		})
	}
	for _, figure := range []struct {
		name  string
		times []time.Duration
	}{{"cluster_start", started}, {"fault_applied", applied}, {"fault_verified", verified}} {
		slices.Sort(figure.times)
		fmt.Printf("figure %s %d ms\n", figure.name, figure.times[len(figure.times)/2].Milliseconds())
	}
}

func timed(times *[]time.Duration, do func()) {
	begun := time.Now()
	do()
	*times = append(*times, time.Since(begun))
}
