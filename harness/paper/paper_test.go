package paper

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cartwheel/harness"
)

// figure plays one by its name and returns its numbers.
func figure(t *testing.T, name string, o Options) (numbers map[string]float64, r Result) {
	t.Helper()
	all := Figures()
	i := slices.IndexFunc(all, func(f Figure) bool { return f.Name == name })
	r, err := all[i].Play(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	numbers = map[string]float64{}
	for _, n := range r.Numbers {
		if _, twice := numbers[n.Name]; twice {
			t.Errorf("two numbers are called %s", n.Name)
		}
		numbers[n.Name] = n.Value
	}
	return numbers, r
}

func TestClocksLoseWhatDotsKeep(t *testing.T) {
	n, _ := figure(t, "clocks", Options{Seed: 1, Runs: 5})
	for _, s := range settings {
		at := fmt.Sprintf("_%d_%d", s.clients, s.coordinators)
		if n["clocks_lost_0"+at] < 5 || n["clocks_lost_1"+at] < 2 || n["clocks_lost_2"+at] != 0 || n["clocks_lost_3"+at] != 0 {
			t.Errorf("%d clients, %d coordinators: lost %v, %v, %v, %v %%", s.clients, s.coordinators,
				n["clocks_lost_0"+at], n["clocks_lost_1"+at], n["clocks_lost_2"+at], n["clocks_lost_3"+at])
		}
		if n["clocks_siblings_2"+at] <= n["clocks_siblings_3"+at] {
			t.Errorf("%d clients, %d coordinators: one vector a key shows no more siblings than dots", s.clients, s.coordinators)
		}
	}
	if n["clocks_truncated_false_8"] != 0 || n["clocks_truncated_false_12"] < 20 {
		t.Errorf("truncated at ten: false siblings in %v %% with 8 nodes, %v %% with 12", n["clocks_truncated_false_8"], n["clocks_truncated_false_12"])
	}
}

// The order of figure 8: at equal sizes strategy 3 is best and 2 is worst.
func TestStrategiesAreInThePapersOrder(t *testing.T) {
	n, r := figure(t, "strategies", Options{Seed: 1, Runs: 3})
	compared := 0
	for size := 1 << 9; size <= 1<<17; size *= 2 {
		of := func(strategy string) float64 { return n[fmt.Sprintf("strategy_%s_%d", strategy, size)] }
		if of("2") == 0 {
			continue
		}
		compared++
		if of("3") <= of("1") || of("1") <= of("2") {
			t.Errorf("%d bytes: 1: %.3f, 2: %.3f, 3: %.3f", size, of("1"), of("2"), of("3"))
		}
	}
	if compared < 5 || n["strategy_o_1024"] < n["strategy_3_1024"] || len(r.Tables) != 2 || len(r.Charts) != 1 {
		t.Errorf("compared at %d sizes: %+v", compared, n)
	}
}

func TestImbalanceFallsWithTheLoad(t *testing.T) {
	n, _ := figure(t, "imbalance", Options{Seed: 1})
	if low, high := n["imbalance_load_1"], n["imbalance_load_8"]; low < 1.5*high || high <= 0 {
		t.Errorf("%.1f %% at low load, %.1f %% at high", low, high)
	}
}

// usualTrial is short: it is what comes out that is held here, not how exactly.
func usualTrial(clients int, routed bool) trial {
	read, write := usual(false)
	return trial{clients: clients, nemesis: "none", read: read, write: write, routed: routed, rate: 10, time: 15 * time.Second}
}

func TestDivergenceGrowsWithTheWriters(t *testing.T) {
	branched := func(clients int) (share float64) {
		all, err := usualTrial(clients, true).play(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		gets := succeeded(all, false)
		for _, g := range gets {
			if g.siblings > 1 {
				share += 1 / float64(len(gets))
			}
		}
		return share
	}
	if one, many := branched(1), branched(12); one != 0 || many < 0.1 {
		t.Errorf("a client alone saw siblings in %.3f of its gets, each of twelve in %.3f", one, many)
	}
}

func TestClientsThatRouteAreFaster(t *testing.T) {
	var means [2]float64
	for i, routed := range []bool{false, true} {
		all, err := usualTrial(10, routed).play(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		puts := succeeded(all, true)
		if len(puts) < 200 || len(puts)+len(succeeded(all, false)) != len(all) {
			t.Fatalf("%d puts of %d operations", len(puts), len(all))
		}
		means[i] = mean(puts)
	}
	if means[1] > 0.95*means[0] {
		t.Errorf("a put takes %.2f ms by way of clients, %.2f by way of servers", means[1], means[0])
	}
}

// A seed gives the same samples, with clients that route as well.
func TestATrialReplays(t *testing.T) {
	o := usualTrial(6, true)
	o.nemesis, o.time = strikes, 10*time.Second
	first, err := o.play(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	again, err := o.play(t.Context(), 3)
	if err != nil || !slices.Equal(first, again) {
		t.Errorf("%d samples, then %d others: %v", len(first), len(again), err)
	}
	if len(succeeded(first, true)) == len(first) || len(first) < 100 {
		t.Errorf("%d samples: the faults did not bite", len(first))
	}
}

func TestSloppyQuorumsSaveRequests(t *testing.T) {
	share := func(strict bool) float64 {
		o := usualTrial(8, true)
		o.read, o.write = usual(strict)
		o.nemesis, o.time = "kill=minority", 30*time.Second
		all, err := o.play(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		return float64(len(succeeded(all, true))+len(succeeded(all, false))) / float64(len(all))
	}
	if sloppy, strict := share(false), share(true); sloppy <= strict || sloppy < 0.9 {
		t.Errorf("%.3f succeed with sloppy quorums, %.3f with strict ones", sloppy, strict)
	}
}

func TestSamplesAreOfTheLoadAlone(t *testing.T) {
	got := samples([]harness.Op{
		{Index: 0, Time: 1, Process: 0, Kind: harness.Invoke, F: harness.Put, Phase: harness.Load},
		{Index: 1, Time: 2, Process: 1, Kind: harness.Invoke, F: harness.Get, Phase: harness.Load},
		{Index: 2, Time: 5, Process: 1, Kind: harness.OK, F: harness.Get, Phase: harness.Load, Siblings: []harness.Sibling{{Value: "a"}, {Tombstone: true}}},
		{Index: 3, Time: 6, Process: harness.FinalProcess, Kind: harness.Invoke, F: harness.ReplicaRead, Phase: harness.Final},
	})
	want := []sample{{put: true}, {ok: true, latency: 3, siblings: 1}}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAChartShowsItsLines(t *testing.T) {
	var b bytes.Buffer
	c := Chart{Name: "x", Title: "Above", X: "across", Y: "up", Logarithmic: true, Series: []Series{{"first", []float64{512, 2048}, []float64{1, 2}}, {"second", []float64{512, 2048}, []float64{3, 2}}}}
	if err := c.Draw(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "Above", "across", "up", "first", "second", "1 Ki"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in the drawing", want)
		}
	}
}
