package wire

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/sim/fate"
	"cartwheel/store/storepb"
)

// scenario is a hostile load: every call makes its node call two others at one
// instant, while links are cut, processes freeze and die. It returns what clients saw
// and what the network did.
func scenario(t *testing.T, seed uint64) (seen string, tally Tally, trace []string) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		n := New(Options{Seed: seed, Trace: func(p Packet) {
			mu.Lock()
			defer mu.Unlock()
			trace = append(trace, fmt.Sprintf("%+v", p))
		}})
		ids := []harness.NodeID{"n1", "n2", "n3", "n4", "n5"}
		toys := map[harness.NodeID]*toy{}
		start := func(i int) {
			id := ids[i]
			var s *toy
			s = serve(t, n, id, func(ctx context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
				if strings.HasPrefix(string(r.Key), "leaf") {
					return &storepb.ReplicaGetReply{State: []byte(id)}, nil
				}
				parts := make([]string, 4)
				var wg sync.WaitGroup
				for j := range parts {
					wg.Go(func() {
						parts[j], _, _ = fetch(s.proc.Dial(ids[(i+1+j%2)%5]), fmt.Sprintf("leaf%d%s", j, r.Key), 50*time.Millisecond)
					})
				}
				wg.Wait()
				return &storepb.ReplicaGetReply{State: []byte(strings.Join(parts, "+"))}, nil
			})
			mu.Lock()
			toys[id] = s
			mu.Unlock()
		}
		for i := range ids {
			start(i)
		}
		time.AfterFunc(300*time.Millisecond, func() { n.Cut("f1", links("n1", "n2", "n2", "n1", "n1", "n3")) })
		time.AfterFunc(900*time.Millisecond, func() { n.Mend("f1") })
		time.AfterFunc(500*time.Millisecond, func() { n.Freeze("n4") })
		time.AfterFunc(800*time.Millisecond, func() { n.Thaw("n4") })
		time.AfterFunc(600*time.Millisecond, func() { toys["n5"].proc.Close() })
		time.AfterFunc(1100*time.Millisecond, func() { start(4) })
		var clients sync.WaitGroup
		out := make([]string, 4)
		for c := range out {
			clients.Go(func() {
				for i := range 25 {
					time.Sleep(fate.Between(0, 100*time.Millisecond, fate.Hash(seed, uint64(c), uint64(i))))
					got, took, err := fetch(n.Dial(harness.NodeID(fmt.Sprintf("c%d", c)), ids[(c+i)%5]), key(i), 200*time.Millisecond)
					out[c] += fmt.Sprintln(i, n.now(), took, got, err)
				}
			})
		}
		clients.Wait()
		time.Sleep(20 * time.Second) // the last repetitions
		synctest.Wait()
		for _, s := range toys {
			s.proc.Close()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		seen, tally = strings.Join(out, "\n"), n.Tally()
		slices.Sort(trace)
	})
	return seen, tally, trace
}

func TestOneSeedIsOneRunUnderAnyScheduler(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	seeds := map[uint64]bool{}
	for seed := range uint64(6) {
		seen, tally, trace := scenario(t, seed)
		if tally.Packets < 500 || int(tally.Packets) != len(trace) {
			t.Fatalf("seed %d: %d packets and %d lines of trace: too little happened", seed, tally.Packets, len(trace))
		}
		for _, procs := range []int{1, 2, 8} {
			runtime.GOMAXPROCS(procs)
			again, sum, lines := scenario(t, seed)
			if again != seen || sum != tally {
				t.Fatalf("seed %d at GOMAXPROCS %d differs: %+v, then %+v\n%s", seed, procs, tally, sum, firstDifference(trace, lines))
			}
		}
		seeds[tally.Sum] = true
	}
	if len(seeds) != 6 {
		t.Errorf("6 seeds gave %d traces", len(seeds))
	}
}

func firstDifference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + "\n" + b[i]
		}
	}
	return fmt.Sprintf("%d and %d lines", len(a), len(b))
}
