package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	"cartwheel/store/ring"
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

func (f fakeDisk) Merge(ctx context.Context, _ ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.merges = append(f.merges, fmt.Sprintf("%s for %q: %s", key, hintFor, s.Siblings()[0].Value))
	return true, f.work(ctx)
}

func (f fakeDisk) Digests(ctx context.Context, owned func(ring.Partition) bool, after []byte, limit int) ([]storage.Digest, []byte, error) {
	f.limit = limit
	if !owned(0) || owned(99) {
		return nil, nil, errOdd
	}
	return []storage.Digest{{Key: "k", Sum: 7}}, append(after, '+'), f.work(ctx)
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
	s := NewServer(Services{Self: "n2", Layout: layout, Coordinator: fakeCoordinator{n}, Local: fakeDisk{n}})
	s.Register(n)
	b := &believer{}
	return NewPeers(PeersOptions{
		Self: "n1", Layout: layout, Detector: b,
		Dial: func(id store.NodeID) grpc.ClientConnInterface {
			if id != "n2" {
				return nil
			}
			return n
		},
	}), n, s, b
}

func TestPeersReachTheServer(t *testing.T) {
	ctx := context.Background()
	p, n, s, b := between(t)
	if got, err := p.Get(ctx, "n2", "milk"); err != nil || !got.Equal(stateOf("milk")) {
		t.Errorf("get: %v, %v", got, err)
	}
	for _, c := range []struct {
		hintFor store.NodeID
		want    error
	}{{"", nil}, {"n1", nil}, {"n2", nil}, {"n3", store.ErrNotOwner}} {
		if err := p.Merge(ctx, "n2", "cart", c.hintFor, stateOf("milk")); !errors.Is(err, c.want) {
			t.Errorf("merge for %q: %v, want %v", c.hintFor, err, c.want)
		}
	}
	if want := []string{`cart for "": milk`, `cart for "n1": milk`, `cart for "": milk`}; !slices.Equal(n.merges, want) {
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
	for limit, want := range map[int]int{0: digestsDefault, 5: 5, 1 << 20: digestsMax} {
		page, next, err := p.Digests(ctx, "n2", []byte("c"), limit)
		if err != nil || n.limit != want || string(next) != "c+" || !slices.Equal(page, []storage.Digest{{Key: "k", Sum: 7}}) {
			t.Errorf("digests: %v, %q, %v with limit %d", page, next, err, n.limit)
		}
	}
	if err := Ping(ctx, p.opts.Dial, s.Layout, "n1", "n2"); err != nil {
		t.Error(err)
	}
	if got := b.told(); slices.Contains(got, "failed") {
		t.Errorf("the detector was told %q", got)
	}
}

// A node that places keys in another way, or that is another one, is as good as down.
func TestPingFindsNodesThatDoNotBelong(t *testing.T) {
	p, _, s, _ := between(t)
	other, err := ring.New(ring.Options{Members: []store.Member{{ID: "n1", Address: "1"}}, Partitions: 1, Replicas: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := Ping(context.Background(), p.opts.Dial, other, "n1", "n2"); err == nil {
		t.Error("a node with another layout passed")
	}
	s.Self = "n4"
	if err := Ping(context.Background(), p.opts.Dial, s.Layout, "n1", "n2"); err == nil {
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
					func() error { _, err := p.Get(ctx, "n2", "k"); return err },
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
	p := NewPeers(PeersOptions{Self: "n1", Detector: &believer{}, Dial: func(store.NodeID) grpc.ClientConnInterface { return garbled{} }})
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
		if err := p.Merge(context.Background(), to, "k", "", stateOf("v")); !errors.Is(err, store.ErrDown) || !store.Definite(err) {
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
		go func() { _, err := p.Get(context.Background(), "n2", "k"); got <- err }()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("close did not wait for the handler")
		default:
		}
		if _, err := p.Get(context.Background(), "n2", "k"); !errors.Is(err, store.ErrClosed) || !store.Definite(err) {
			t.Errorf("a later call got %v", err)
		}
		close(release)
		if err := errors.Join(<-got, <-closed, s.Close()); err != nil {
			t.Error(err)
		}
	})
}
