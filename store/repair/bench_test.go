package repair

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/placement"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
)

// A meter counts the bytes of the tree messages that a node exchanges. Calls take no time.
type meter struct {
	caller
	bytes, calls int
}

func (m *meter) add(messages ...proto.Message) {
	m.calls++
	for _, msg := range messages {
		m.bytes += proto.Size(msg)
	}
}

func (m *meter) TreeRoots(_ context.Context, from store.NodeID, sum merkle.Sum) (bool, []merkle.Root, error) {
	roots := m.w.replicas[from].TreeRoots(func(p ring.Partition) bool { return m.w.layout.Owns(m.self, p) })
	reply := &storepb.TreeRootsReply{Equal: merkle.SumRoots(roots) == sum}
	for _, r := range roots {
		if !reply.Equal {
			reply.Roots = append(reply.Roots, &storepb.TreeRootsReply_Root{Partition: r.Tree, Sum: r.Sum[:]})
		}
	}
	m.add(&storepb.TreeRootsRequest{Format: merkle.Format, Sum: sum[:], Stamp: &storepb.Stamp{From: string(m.self), Version: 1, Id: 1 << 60}}, reply)
	return reply.Equal, roots, nil
}

func (m *meter) TreeNodes(ctx context.Context, from store.NodeID, p ring.Partition, groups []int) ([]merkle.Sums, error) {
	sums, err := m.caller.TreeNodes(ctx, from, p, groups)
	m.add(&storepb.TreeNodesReply{Sums: make([]byte, len(sums)*merkle.Fanout*len(merkle.Sum{}))})
	return sums, err
}

func (m *meter) TreeLeaves(ctx context.Context, from store.NodeID, p ring.Partition, segments []merkle.Segment, after store.Key, limit int) ([]merkle.Leaf, bool, error) {
	leaves, more, err := m.caller.TreeLeaves(ctx, from, p, segments, after, limit)
	reply := &storepb.TreeLeavesReply{More: more}
	for _, l := range leaves {
		reply.Leaves = append(reply.Leaves, &storepb.TreeLeavesReply_Leaf{Key: []byte(l.Key), Sum: l.Sum[:]})
	}
	m.add(reply)
	return leaves, more, err
}

// BenchmarkRound is what a round over 10,000 shared keys of 100 bytes costs both nodes together, and
// the bytes of the messages that compare: when nothing differs, and when one key does.
//
//	go test ./store/repair -run '^$' -bench Round
func BenchmarkRound(b *testing.B) {
	w := newNetwork(b, 3)
	defer w.close()
	w.takes = 0
	for n := range 10_000 {
		key := store.Key(fmt.Sprint("key", n))
		s, err := w.replicas["n1"].Put(b.Context(), w.layout.Partition(key), key, "", storage.Write{Value: make([]byte, 100)})
		if err == nil {
			_, err = w.replicas["n2"].Merge(b.Context(), w.layout.Partition(key), key, "", s)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, different := range []int{0, 1} {
		b.Run(fmt.Sprintf("%d-differ", different), func(b *testing.B) {
			m := &meter{caller: caller{w, "n1"}}
			a := &AntiEntropy{resume: map[store.NodeID]position{}, opts: Options{
				Self: "n1", Placement: placement.New(history.New(w.layout)), Local: w.replicas["n1"], Peers: m, Detector: w, Rand: named, Now: w.now, Interval: time.Second,
			}.withDefaults()}
			a.log = a.opts.Logger
			for b.Loop() {
				b.StopTimer()
				for range different {
					w.put("n1", "key1", "")
					if s := w.record("n1", "key1"); len(s.Versions) > 50 {
						b.Fatal("too many siblings, run fewer rounds: -benchtime 20x")
					}
				}
				m.bytes, m.calls = 0, 0
				b.StartTimer()
				if equal, err := a.exchange(b.Context(), "n2"); err != nil || equal != (different == 0) {
					b.Fatal(equal, err)
				}
			}
			b.ReportMetric(float64(m.bytes), "wire-B/op")
			b.ReportMetric(float64(m.calls), "calls/op")
		})
	}
}
