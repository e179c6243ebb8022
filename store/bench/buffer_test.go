package bench

import (
	"os"
	"testing"
	"time"
)

// What figure 5 of the paper is about: the latency of writes at the 99.9th percentile, with an object buffer and without. The rate is a third of what
// the cluster serves where every copy is on disk before the answer.
const (
	bufferClients = 16
	bufferSize    = 1024
)

// TestBenchBuffer is what 'make bench-buffer' runs: puts at one rate, with all copies on disk when they are acknowledged, with the
// coordinator's alone (one of N, section 6.1), and with none, which is the object buffer.
func TestBenchBuffer(t *testing.T) {
	binary := os.Getenv("CARTWHEEL_BENCH_BUFFER")
	if binary == "" {
		t.Skip("'make bench-buffer' runs it")
	}
	each := timeOf(t, 10*time.Second)
	rate := 0.0 // the same in all
	late := map[string]time.Duration{}
	for _, durability := range []string{"all", "one", "none"} {
		load := buffered(t, binary, durability, each, &rate)
		late[durability] = load.Quantile(99.9)
		figure("buffer_"+durability+"_mean", load.Latencies.Mean()/1000, "ms")
		load.tell("buffer_"+durability+"_", "")
	}
	figure("buffer_p999_all_over_none", late["all"].Seconds()/late["none"].Seconds(), "1")
	figure("buffer_p999_one_over_none", late["one"].Seconds()/late["none"].Seconds(), "1")
}

// buffered measures puts in a cluster of one durability.
func buffered(t *testing.T, binary, durability string, each time.Duration, rate *float64) Load {
	ctx := t.Context()
	b, r, end := begin(t, binary, bufferClients, bufferSize, each, "--durability", durability, "--object-buffer")
	defer end()
	if *rate == 0 {
		closed := Closed(ctx, bufferClients, each/2, r.Put)
		b.check(closed, nil)
		*rate = closed.Rate() / 3
		figure("buffer_puts_per_second", *rate, "1/s")
	}
	load := Open(ctx, bufferClients, each, *rate, r.Put)
	b.check(load, nil)
	return load
}
