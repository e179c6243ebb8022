package docker

import (
	"os"
	"testing"

	"cartwheel/harness/cluster/clustertest"
)

// BenchmarkFaults measures what a nemesis waits for, on five nodes.
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
	must := func(b *testing.B, err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("start and stop", func(b *testing.B) {
		for b.Loop() {
			must(b, c.Start(ctx))
			b.StopTimer()
			must(b, c.Stop(ctx))
			b.StartTimer()
		}
	})
	must(b, c.Start(ctx))
	defer func() { must(b, c.Stop(ctx)) }()
	nodes := c.Nodes()
	all := clustertest.AllLinks(nodes)
	b.Run("cut and mend all links", func(b *testing.B) {
		for b.Loop() {
			must(b, c.Cut(ctx, "f1", all))
			must(b, c.Mend(ctx, "f1"))
		}
	})
	b.Run("probe all links", func(b *testing.B) {
		for b.Loop() {
			_, err := c.Probe(ctx, all)
			must(b, err)
		}
	})
	b.Run("pause and resume", func(b *testing.B) {
		for b.Loop() {
			must(b, c.Pause(ctx, nodes[0]))
			must(b, c.Resume(ctx, nodes[0]))
		}
	})
}
