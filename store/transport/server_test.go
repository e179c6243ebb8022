package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cartwheel/store"
	"cartwheel/store/coordinator"
	"cartwheel/store/merkle"
	"cartwheel/store/placement"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
	"cartwheel/store/version"
)

// A node is a fake of all that a server serves, and the way to it without a network.
type node struct {
	methods map[string]method

	mu     sync.Mutex
	merges []string
	limit  int
	work   func(ctx context.Context) error // what every call does first
}

type method struct {
	impl    any
	handler grpc.MethodHandler
}

func (n *node) RegisterService(desc *grpc.ServiceDesc, impl any) {
	for _, m := range desc.Methods {
		n.methods["/"+desc.ServiceName+"/"+m.MethodName] = method{impl, m.Handler}
	}
}

func (n *node) Invoke(ctx context.Context, name string, args, reply any, _ ...grpc.CallOption) error {
	m := n.methods[name]
	got, err := m.handler(m.impl, ctx, func(into any) error {
		proto.Merge(into.(proto.Message), args.(proto.Message))
		return nil
	}, nil)
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err() // the answer comes too late
	}
	if err != nil {
		return err
	}
	proto.Merge(reply.(proto.Message), got.(proto.Message))
	return nil
}

func (n *node) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "unary only")
}

type fakeCoordinator struct{ *node }

func (f fakeCoordinator) Get(ctx context.Context, _ store.Key, _ store.ReadOptions) (store.ReadResult, error) {
	return store.ReadResult{}, f.work(ctx)
}

func (f fakeCoordinator) Write(ctx context.Context, _ coordinator.Write) (store.WriteResult, error) {
	return store.WriteResult{}, f.work(ctx)
}

func (f fakeCoordinator) Forwarded(ctx context.Context, w coordinator.Write) (store.WriteResult, error) {
	return store.WriteResult{Siblings: []store.Sibling{{Value: w.Value, WriteID: w.WriteID, Tombstone: w.Tombstone}}}, f.work(ctx)
}

type fakeDisk struct{ *node }

func (f fakeDisk) Get(ctx context.Context, _ ring.Partition, key store.Key) (version.Set, error) {
	return stateOf(string(key)), f.work(ctx)
}

func (f fakeDisk) Recall(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error) {
	return f.Get(ctx, p, "recalled "+key)
}

func (f fakeDisk) Merge(ctx context.Context, _ ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.merges = append(f.merges, fmt.Sprintf("%s for %q: %s", key, hintFor, s.Siblings()[0].Value))
	return true, f.work(ctx)
}

func (f fakeDisk) Buffer(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (bool, error) {
	return f.Merge(ctx, p, "buffered "+key, hintFor, s)
}

// The fake has one tree, of partition 0; each sum says what it is of.
func (f fakeDisk) TreeRoots(owned func(ring.Partition) bool) []merkle.Root {
	if !owned(0) || owned(99) {
		return nil
	}
	return []merkle.Root{{Tree: 0, Sum: merkle.Sum{1}}}
}

func (f fakeDisk) TreeGroups(ring.Partition) merkle.Sums { return merkle.Sums{5: {2}} }

func (f fakeDisk) TreeSegments(_ ring.Partition, group int) merkle.Sums {
	return merkle.Sums{6: {3, byte(group)}}
}

// Records are 0.6 MiB each, so that two fill an answer; that of "bad" is damaged and "none" has none.
func (f fakeDisk) State(ctx context.Context, _ ring.Partition, key store.Key) (storage.State, error) {
	switch key {
	case "bad":
		return storage.State{}, store.ErrCorrupt
	case "none":
		return storage.State{}, nil
	}
	return storage.State{Key: key, Set: stateOf(string(key) + strings.Repeat(".", 600<<10)), Pruned: prunedOf(key)}, f.work(ctx)
}

// prunedOf are the entries that the fake has pruned from every second key.
func prunedOf(key store.Key) version.Vector {
	if len(key)%2 == 0 {
		return nil
	}
	return version.Vector{{Actor: version.Actor{Node: 9, Epoch: 1}, Counter: uint64(len(key))}}
}

func (f fakeDisk) MergeAll(ctx context.Context, _ ring.Partition, states []storage.State) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range states {
		f.merges = append(f.merges, fmt.Sprintf("%s: %s", s.Key, s.Set.Siblings()[0].Value))
		if len(s.Pruned) > 0 {
			f.merges[len(f.merges)-1] += " but " + s.Pruned.String()
		}
	}
	return len(states), f.work(ctx)
}

// Each segment has two leaves; the first is left out behind its key.
func (f fakeDisk) TreeLeaves(ctx context.Context, _ ring.Partition, seg merkle.Segment, after store.Key, limit int) ([]merkle.Leaf, bool, error) {
	f.limit = limit
	leaves := []merkle.Leaf{{Key: store.Key(fmt.Sprint(seg, "a")), Sum: merkle.Sum{4}}, {Key: store.Key(fmt.Sprint(seg, "b")), Sum: merkle.Sum{5}}}
	if after == leaves[0].Key {
		leaves = leaves[1:]
	}
	if len(leaves) > limit {
		return leaves[:limit], true, f.work(ctx)
	}
	return leaves, false, f.work(ctx)
}

func stateOf(value string) version.Set {
	dot := version.Dot{Actor: version.Actor{Node: 1, Epoch: 1}, Counter: 1}
	return version.Set{}.Put(nil, version.Version{Dot: dot, Value: []byte(value)})
}

// A believer is a detector that writes down what it is told.
type believer struct {
	down  bool
	heard []string
}

func (b *believer) Up(store.NodeID) bool     { return !b.down }
func (b *believer) Succeeded(n store.NodeID) { b.heard = append(b.heard, "ok") }
func (b *believer) Failed(n store.NodeID)    { b.heard = append(b.heard, "failed") }
func (b *believer) told() (heard []string)   { heard, b.heard = b.heard, nil; return heard }
func fine(context.Context) error             { return nil }
func silence(ctx context.Context) error      { <-ctx.Done(); return ctx.Err() }
func answers(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// between returns a peer client of n1 and the server of n2 that it calls; n3 owns nothing.
func between(t *testing.T) (*Peers, *node, *Server, *believer) {
	t.Helper()
	members := []store.Member{{ID: "n1", Address: "1"}, {ID: "n2", Address: "2"}}
	layout, err := ring.New(ring.Options{Members: members, Partitions: 1, Replicas: 2})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{methods: map[string]method{}, work: fine}
	placed := placement.New(history.New(layout))
	s := NewServer(Services{Self: "n2", Placement: placed, Coordinator: fakeCoordinator{n}, Local: fakeDisk{n}, Gossip: echo{}})
	s.Register(n)
	b := &believer{}
	return NewPeers(PeersOptions{
		Self: "n1", Placement: placed, Detector: b,
		Dial: func(id store.NodeID) grpc.ClientConnInterface {
			if id != "n2" {
				return nil
			}
			return n
		},
	}), n, s, b
}

func now(p *Peers) history.Stamp { return p.opts.Placement.Now().Stamp() }

func TestPeersReachTheServer(t *testing.T) {
	ctx := context.Background()
	p, n, s, b := between(t)
	if got, err := p.Get(ctx, now(p), "n2", "milk"); err != nil || !got.Equal(stateOf("milk")) {
		t.Errorf("get: %v, %v", got, err)
	}
	if got, err := p.Recall(ctx, now(p), "n2", "milk"); err != nil || !got.Equal(stateOf("recalled milk")) {
		t.Errorf("recall: %v, %v", got, err)
	}
	for _, c := range []struct {
		hintFor store.NodeID
		want    error
	}{{"", nil}, {"n1", nil}, {"n2", nil}, {"n3", store.ErrNotOwner}} {
		if err := p.Merge(ctx, now(p), "n2", "cart", c.hintFor, stateOf("milk")); !errors.Is(err, c.want) {
			t.Errorf("merge for %q: %v, want %v", c.hintFor, err, c.want)
		}
	}
	if err := p.Buffer(ctx, now(p), "n2", "cart", "n1", stateOf("milk")); err != nil {
		t.Errorf("buffer: %v", err)
	}
	if want := []string{`cart for "": milk`, `cart for "n1": milk`, `cart for "": milk`, `buffered cart for "n1": milk`}; !slices.Equal(n.merges, want) {
		t.Errorf("merged %q, want %q", n.merges, want)
	}
	for _, tombstone := range []bool{false, true} {
		w := Write{Key: "k", WriteID: store.WriteID{5}, Tombstone: tombstone}
		if !tombstone {
			w.Value = []byte("milk")
		}
		res, err := p.Forward(ctx, "n2", w)
		if err != nil || len(res.Siblings) != 1 || string(res.Siblings[0].Value) != string(w.Value) || res.Siblings[0].Tombstone != tombstone {
			t.Errorf("forward: %+v, %v", res, err)
		}
	}
	if err := Ping(ctx, p.opts.Dial, s.Placement, "n1", "n2"); err != nil {
		t.Error(err)
	}
	if got := b.told(); slices.Contains(got, "failed") {
		t.Errorf("the detector was told %q", got)
	}
}

func TestPeersCompareTrees(t *testing.T) {
	ctx := context.Background()
	p, _, s, _ := between(t)
	mine := []merkle.Root{{Tree: 0, Sum: merkle.Sum{1}}}
	if equal, roots, err := p.TreeRoots(ctx, "n2", merkle.SumRoots(mine)); !equal || roots != nil || err != nil {
		t.Errorf("equal roots: %v, %v, %v", equal, roots, err)
	}
	if equal, roots, err := p.TreeRoots(ctx, "n2", merkle.Sum{}); equal || !slices.Equal(roots, mine) || err != nil {
		t.Errorf("other roots: %v, %v, %v", equal, roots, err)
	}
	if sums, err := p.TreeNodes(ctx, "n2", 0, nil); err != nil || !slices.Equal(sums, []merkle.Sums{{5: {2}}}) {
		t.Errorf("groups: %v, %v", sums, err)
	}
	if sums, err := p.TreeNodes(ctx, "n2", 0, []int{7, 63}); err != nil || !slices.Equal(sums, []merkle.Sums{{6: {3, 7}}, {6: {3, 63}}}) {
		t.Errorf("segments: %v, %v", sums, err)
	}
	for _, c := range []struct {
		segments []merkle.Segment
		after    store.Key
		limit    int
		want     string
		more     bool
	}{
		{[]merkle.Segment{1, 2}, "", 0, "[1a 1b 2a 2b]", false},
		{[]merkle.Segment{1, 2}, "", 4, "[1a 1b 2a 2b]", false},
		{[]merkle.Segment{1, 2}, "", 3, "[1a 1b 2a]", true},
		{[]merkle.Segment{1, 2}, "", 2, "[1a 1b]", true},
		{[]merkle.Segment{1, 2}, "1a", 2, "[1b 2a]", true},
		{[]merkle.Segment{2}, "2a", 2, "[2b]", false},
		{nil, "", 2, "[]", false},
	} {
		leaves, more, err := p.TreeLeaves(ctx, "n2", 0, c.segments, c.after, c.limit)
		keys := []store.Key{}
		for _, l := range leaves {
			keys = append(keys, l.Key)
		}
		if fmt.Sprint(keys) != c.want || more != c.more || err != nil {
			t.Errorf("leaves of %v behind %q, at most %d: got %v, more %v, %v, want %s, more %v", c.segments, c.after, c.limit, keys, more, err, c.want, c.more)
		}
	}
	peer, stamp := peerServer{s: s}, p.stampNow()
	for name, err := range map[string]error{
		"another format of roots":  second(peer.TreeRoots(ctx, &storepb.TreeRootsRequest{Stamp: stamp, Format: merkle.Format + 1, Sum: make([]byte, 16)})),
		"a short sum":              second(peer.TreeRoots(ctx, &storepb.TreeRootsRequest{Stamp: stamp, Format: merkle.Format, Sum: []byte{1}})),
		"another format of nodes":  second(peer.TreeNodes(ctx, &storepb.TreeNodesRequest{Stamp: stamp, Format: merkle.Format + 1})),
		"no such partition":        second(peer.TreeNodes(ctx, &storepb.TreeNodesRequest{Stamp: stamp, Format: merkle.Format, Partition: 1})),
		"no such group":            second(peer.TreeNodes(ctx, &storepb.TreeNodesRequest{Stamp: stamp, Format: merkle.Format, Groups: []uint32{64}})),
		"too many groups":          second(peer.TreeNodes(ctx, &storepb.TreeNodesRequest{Stamp: stamp, Format: merkle.Format, Groups: make([]uint32, 65)})),
		"another format of leaves": second(peer.TreeLeaves(ctx, &storepb.TreeLeavesRequest{Stamp: stamp, Format: merkle.Format + 1})),
		"no such segment":          second(peer.TreeLeaves(ctx, &storepb.TreeLeavesRequest{Stamp: stamp, Format: merkle.Format, Segments: []uint32{4096}})),
	} {
		if err = Decode(err); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: got %v, want %v", name, err, store.ErrInvalid)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A node of another cluster, or one that is not who was asked for, is as good as down.
func TestPingFindsNodesThatDoNotBelong(t *testing.T) {
	p, _, s, _ := between(t)
	other, err := ring.New(ring.Options{Members: []store.Member{{ID: "n1", Address: "1"}}, Partitions: 1, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := Ping(context.Background(), p.opts.Dial, placement.New(history.New(other)), "n1", "n2"); err == nil {
		t.Error("a node of another cluster passed")
	}
	s.Self = "n4"
	if err := Ping(context.Background(), p.opts.Dial, s.Placement, "n1", "n2"); err == nil {
		t.Error("a node of another name passed")
	}
}

func TestWhatTheDetectorIsTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		work   func(context.Context) error
		cancel time.Duration // of the caller; 0: never
		want   string
	}{
		{name: "an answer", work: fine, want: "ok"},
		{name: "an error is an answer", work: answers(store.ErrCorrupt), want: "ok"},
		{name: "so is a missed quorum", work: answers(&store.QuorumError{Sent: 1}), want: "ok"},
		{name: "silence", work: silence, want: "failed"},
		{name: "a caller that gave up says nothing", work: silence, cancel: 10 * time.Millisecond, want: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, n, _, b := between(t)
				n.work = c.work
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if c.cancel > 0 {
					defer time.AfterFunc(c.cancel, cancel).Stop()
				}
				for _, call := range []func() error{
					func() error { _, err := p.Get(ctx, now(p), "n2", "k"); return err },
					func() error { _, err := p.Forward(ctx, "n2", Write{Key: "k"}); return err },
				} {
					err := call()
					if (err == nil) != (c.name == "an answer") {
						t.Errorf("got %v", err)
					}
					if got := fmt.Sprint(b.told()); got != fmt.Sprint([]string(slices.DeleteFunc([]string{c.want}, func(s string) bool { return s == "" }))) {
						t.Errorf("the detector was told %s, want %q", got, c.want)
					}
				}
			})
		})
	}
}

// A client's short deadline on a write that is forwarded accuses nobody, and its outcome
// is unknown.
func TestAShortDeadlineAccusesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, n, _, b := between(t)
		n.work = silence
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := p.Forward(ctx, "n2", Write{Key: "k"})
		if err == nil || store.Definite(err) || time.Since(began) != 5*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if got := b.told(); len(got) > 0 {
			t.Errorf("the detector was told %q", got)
		}
	})
}

// A garbled connection answers every write with a write id that is none.
type garbled struct{}

func (garbled) Invoke(_ context.Context, _ string, _, reply any, _ ...grpc.CallOption) error {
	reply.(*storepb.PutReply).Versions = []*storepb.Version{{WriteId: []byte{1}}}
	return nil
}

func (garbled) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "unary only")
}

// The other node has made the write: that its reply makes no sense must not look like a
// refusal, which would be sworn on to the client.
func TestAGarbledReplyLeavesAForwardedWriteUnknown(t *testing.T) {
	p := NewPeers(PeersOptions{Self: "n1", Placement: placement.New(history.History{}), Detector: &believer{}, Dial: func(store.NodeID) grpc.ClientConnInterface { return garbled{} }})
	_, err := p.Forward(context.Background(), "n2", Write{Key: "k"})
	if err == nil || store.Definite(err) {
		t.Errorf("got %v, which is definite: %t", err, store.Definite(err))
	}
}

func TestNothingIsSentToANodeThatIsDown(t *testing.T) {
	p, n, _, b := between(t)
	b.down = true
	n.work = answers(errOdd)
	for _, to := range []store.NodeID{"n2", "stranger"} {
		if err := p.Merge(context.Background(), now(p), to, "k", "", stateOf("v")); !errors.Is(err, store.ErrDown) || !store.Definite(err) {
			t.Errorf("%s: got %v", to, err)
		}
	}
	if len(n.merges) > 0 || len(b.told()) > 0 {
		t.Error("it was called, or the detector was told")
	}
}

func TestCloseJoinsHandlersAndRefusesLaterCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, n, s, _ := between(t)
		release := make(chan struct{})
		n.work = func(context.Context) error { <-release; return nil }
		got := make(chan error, 1)
		go func() { _, err := p.Get(context.Background(), now(p), "n2", "k"); got <- err }()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("close did not wait for the handler")
		default:
		}
		if _, err := p.Get(context.Background(), now(p), "n2", "k"); !errors.Is(err, store.ErrClosed) || !store.Definite(err) {
			t.Errorf("a later call got %v", err)
		}
		close(release)
		if err := errors.Join(<-got, <-closed, s.Close()); err != nil {
			t.Error(err)
		}
	})
}
