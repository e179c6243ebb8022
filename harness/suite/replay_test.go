package suite

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"cartwheel/harness/cluster/sim"
	"cartwheel/harness/cluster/sim/wire"
)

// countOf is how often a standing test does what it does: a few times, or as often as the
// environment asks for.
func countOf(t *testing.T, name string, few int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: want a positive number", name, text)
	}
	return n
}

// seeded is the run of a seed: both workloads by turns, under all faults there are. Changes of members,
// whose runs take several times as long, are among those of one seed in four.
func seeded(cluster string, seed int) Knobs {
	faults := AllNemeses
	if seed%4 < 3 {
		faults = "partition,pause,kill,packet,clock,disk"
	}
	return Knobs{
		Cluster: cluster, Workload: []string{"cart", "register"}[seed%2], Nemesis: faults,
		Seed: uint64(seed), Time: 10 * time.Second, Rate: 20,
	}
}

// A seed gives one history and one sum of all packets, however many goroutines really
// run at a time. CARTWHEEL_REPLAY_SEEDS asks for more seeds.
func TestASeedIsOneHistoryOnAnyNumberOfProcessors(t *testing.T) {
	for _, cluster := range []string{sim.World, sim.WorldGRPC} {
		t.Run(cluster, func(t *testing.T) { oneHistory(t, cluster) })
	}
}

func oneHistory(t *testing.T, cluster string) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	type trace struct {
		history []byte
		packets wire.Tally
	}
	for seed := range countOf(t, "CARTWHEEL_REPLAY_SEEDS", 2) {
		var first trace
		for i, procs := range []int{1, 2, 8} {
			runtime.GOMAXPROCS(procs)
			var history bytes.Buffer
			var got trace
			if _, err := Run(t.Context(), seeded(cluster, seed), Hooks{Journal: &history, Packets: func(p wire.Tally) { got.packets = p }}); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			got.history = history.Bytes()
			if i == 0 {
				first = got
				if n := bytes.Count(got.history, []byte("\n")); n < 100 || got.packets.Packets < 500 {
					t.Errorf("seed %d: only %d lines and %d packets", seed, n, got.packets.Packets)
				}
				continue
			}
			if d := Difference(first.history, got.history); d != "" {
				t.Errorf("seed %d differs with GOMAXPROCS 1 and %d at %s", seed, procs, d)
			}
			if first.packets != got.packets {
				t.Errorf("seed %d with GOMAXPROCS 1: packets %+v, with %d: %+v", seed, first.packets, procs, got.packets)
			}
		}
	}
}

// Nothing of a run is left when it is over. CARTWHEEL_BUBBLES asks for more runs.
func TestRunsLeaveNoGoroutinesAndNoMemory(t *testing.T) {
	run := func(seed int) {
		t.Helper()
		k := seeded([]string{sim.World, sim.WorldGRPC}[seed%2], seed)
		k.Time = 3 * time.Second
		if _, err := Run(t.Context(), k, Hooks{}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	const warm = 6 // pools, tables and caches of the process fill once
	for seed := range warm {
		run(seed)
	}
	goroutines, heap := left(0)
	runs := countOf(t, "CARTWHEEL_BUBBLES", 10)
	for seed := range runs {
		run(warm + seed)
	}
	goroutinesNow, heapNow := left(goroutines)
	t.Logf("after %d runs: %d goroutines, %d KiB of heap; before: %d, %d KiB", runs, goroutinesNow, heapNow>>10, goroutines, heap>>10)
	if goroutinesNow > goroutines {
		t.Errorf("%d goroutines after %d runs, %d before", goroutinesNow, runs, goroutines)
	}
	const slack = 4 << 20 // one node's engine alone would be more than this in a few runs
	if heapNow > heap+slack {
		t.Errorf("%d KiB of heap in use after %d runs, %d KiB before", heapNow>>10, runs, heap>>10)
	}
}

// left counts what is alive. Goroutines that are about to end get a moment to do so.
func left(want int) (goroutines int, heapBytes uint64) {
	for range 100 {
		if goroutines = runtime.NumGoroutine(); goroutines <= want {
			break
		}
		time.Sleep(time.Millisecond)
	}
	runtime.GC()
	runtime.GC() // what finalizers and pools let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapInuse
}
