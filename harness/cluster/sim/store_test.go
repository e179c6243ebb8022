package sim

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/clustertest"
	"cartwheel/harness/cluster/sim/fate"
	"cartwheel/harness/cluster/sim/wire"
	"cartwheel/store/storepb"
)

func TestAClusterOfTheStoreKeepsTheContract(t *testing.T) {
	for name, real := range map[string]bool{"calls at gRPC's seams": false, "gRPC itself": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clustertest.Run(t, func() harness.Cluster {
					c, err := NewStore(Options{Seed: 1, GRPC: real}, nil)
					must(t, err)
					return c
				})
			})
		})
	}
}

// A shopper is a client that reads and writes carts by the store's own protocol.
type shopper struct {
	c    *Cluster
	id   int
	seed uint64
	saw  strings.Builder
}

func (s *shopper) shop(begin time.Time, ops int) {
	contexts := map[string][]byte{}
	for op := range ops {
		name := fate.Hash(s.seed, uint64(s.id), uint64(op))
		time.Sleep(fate.Between(0, 600*time.Millisecond, name))
		n, key := s.c.Nodes()[name%uint64(len(s.c.Nodes()))], fmt.Sprintf("cart%d", fate.Hash(name)%8)
		conn, err := s.c.Conn(s.id, n)
		if err != nil {
			panic(err)
		}
		kv := storepb.NewKVClient(conn)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		if op%2 == 0 {
			var r *storepb.PutReply
			id := binary.BigEndian.AppendUint64(make([]byte, 8), name)
			r, err = kv.Put(ctx, &storepb.PutRequest{Key: []byte(key), Value: []byte(fmt.Sprint(s.id, "-", op)), Context: contexts[key], WriteId: id})
			contexts[key] = r.GetContext()
			fmt.Fprintln(&s.saw, time.Since(begin), n, "put", key, r.GetMeta(), len(r.GetVersions()), err)
		} else {
			var r *storepb.GetReply
			r, err = kv.Get(ctx, &storepb.GetRequest{Key: []byte(key)})
			contexts[key] = r.GetContext()
			fmt.Fprintln(&s.saw, time.Since(begin), n, "get", key, r, err)
		}
		cancel()
	}
}

// spree lets shoppers work on the store under partitions, kills and pauses.
func spree(t testing.TB, seed uint64, grpc bool, shoppers, ops int) (saw string, tally wire.Tally, trace []wire.Packet) {
	ctx := context.Background()
	var mu sync.Mutex
	c, err := NewStore(Options{Seed: seed, GRPC: grpc, Wire: wire.Options{Trace: func(p wire.Packet) {
		mu.Lock()
		defer mu.Unlock()
		trace = append(trace, p)
	}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	var clients, faults sync.WaitGroup
	faults.Go(func() { harass(t, c, seed, 4) })
	all := make([]*shopper, shoppers)
	for i := range all {
		all[i] = &shopper{c: c, id: i, seed: seed}
		clients.Go(func() { all[i].shop(begin, ops) })
	}
	clients.Wait()
	faults.Wait()
	time.Sleep(5 * time.Second) // hints and repairs
	tally = c.Tally()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
	var out strings.Builder
	for _, s := range all {
		out.WriteString(strings.ReplaceAll(s.saw.String(), "  ", " ")) // prototext varies its spaces, on purpose, by build
	}
	mu.Lock()
	defer mu.Unlock()
	slices.SortFunc(trace, func(a, b wire.Packet) int {
		return cmp.Or(cmp.Compare(a.Sent, b.Sent), cmp.Compare(a.Ended, b.Ended), cmp.Compare(a.Name, b.Name))
	})
	return out.String(), tally, trace
}

// harass plays four-second rounds: a partition of the first nodes from the others, a
// kill and restart, a pause.
func harass(t testing.TB, c *Cluster, seed uint64, rounds int) {
	ctx, nodes := context.Background(), c.Nodes()
	do := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for r := range uint64(rounds) {
		name := fate.Hash(seed, 'h', r)
		minority := 1 + int(name%2)
		var links []harness.Link
		for _, a := range nodes[:minority] {
			for _, b := range nodes[minority:] {
				links = append(links, harness.Link{From: a, To: b}, harness.Link{From: b, To: a})
			}
		}
		victim, sleeper := nodes[(name>>8)%5], nodes[(name>>16)%5]
		time.Sleep(fate.Between(500*time.Millisecond, time.Second, name))
		do(c.Cut(ctx, "f", links))
		time.Sleep(fate.Between(500*time.Millisecond, time.Second, fate.Hash(name)))
		do(c.Kill(ctx, victim))
		if sleeper != victim {
			do(c.Pause(ctx, sleeper))
		}
		time.Sleep(fate.Between(500*time.Millisecond, time.Second, fate.Hash(name, 1)))
		do(c.Restart(ctx, victim))
		do(c.Resume(ctx, sleeper))
		time.Sleep(fate.Between(500*time.Millisecond, time.Second, fate.Hash(name, 2)))
		do(c.Mend(ctx, "f"))
	}
}

func TestTheStoreReplaysUnderAnyScheduler(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for name, grpc := range map[string]bool{"calls at gRPC's seams": false, "gRPC itself": true} {
		t.Run(name, func(t *testing.T) { replays(t, grpc) })
	}
}

func replays(t *testing.T, grpc bool) {
	run := func(seed uint64) (saw string, tally wire.Tally, trace []wire.Packet) {
		synctest.Test(t, func(t *testing.T) { saw, tally, trace = spree(t, seed, grpc, 5, 40) })
		return saw, tally, trace
	}
	seen := map[uint64]bool{}
	const seeds = 2
	for seed := range uint64(seeds) {
		runtime.GOMAXPROCS(1)
		first, sum, trace := run(seed)
		if ok := strings.Count(first, "<nil>\n"); ok < 100 || ok == 200 {
			t.Errorf("seed %d: %d of 200 operations succeeded", seed, ok)
		}
		runtime.GOMAXPROCS(8)
		again, sum2, trace2 := run(seed)
		if again != first || sum2 != sum {
			t.Errorf("seed %d at GOMAXPROCS 8: %+v, then %+v\n%s\n%s", seed, sum, sum2,
				firstDifference(strings.Split(first, "\n"), strings.Split(again, "\n")), firstDifference(trace, trace2))
		}
		seen[sum.Sum] = true
	}
	if len(seen) != seeds {
		t.Errorf("%d seeds gave %d traces", seeds, len(seen))
	}
}

// firstDifference shows where two runs part, and what went before.
func firstDifference[T comparable](a, b []T) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("common: %+v\nfirst:  %+v\nthen:   %+v", a[max(0, i-2):i], a[i], b[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(a), len(b))
}
