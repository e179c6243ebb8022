package wire

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/harness"
	"cartwheel/store/storepb"
)

// A toy serves the peer service of one node by a function and notes when it was called.
type toy struct {
	storepb.UnimplementedPeerServer
	proc *Proc
	get  func(context.Context, *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error)

	mu    sync.Mutex
	calls []time.Duration // instants of ReplicaGet, from the network's begin
}

func (s *toy) Ping(context.Context, *storepb.PingRequest) (*storepb.PingReply, error) {
	return &storepb.PingReply{Id: string(s.proc.id)}, nil
}

func (s *toy) ReplicaGet(ctx context.Context, r *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error) {
	s.mu.Lock()
	s.calls = append(s.calls, s.proc.net.now())
	s.mu.Unlock()
	if s.get == nil {
		return &storepb.ReplicaGetReply{State: r.GetKey()}, nil
	}
	return s.get(ctx, r)
}

func (s *toy) called() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

type getFunc = func(context.Context, *storepb.ReplicaGetRequest) (*storepb.ReplicaGetReply, error)

// serve starts a toy that is closed when the test is over.
func serve(t testing.TB, n *Net, id harness.NodeID, get getFunc) *toy {
	t.Helper()
	s := &toy{proc: n.Start(id), get: get}
	storepb.RegisterPeerServer(s.proc, s)
	if err := s.proc.Listen(); err != nil {
		t.Fatal(err)
	}
	return s
}

// fetch makes one call with a timeout and returns its error and how long it took.
func fetch(c *Conn, key string, timeout time.Duration) (string, time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	begin := time.Now()
	r, err := storepb.NewPeerClient(c).ReplicaGet(ctx, &storepb.ReplicaGetRequest{Key: []byte(key)})
	return string(r.GetState()), time.Since(begin), err
}

func wantCode(t testing.TB, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Fatalf("got %v (%v), want %v", got, err, want)
	}
}

// inBubble runs a test with a network of its own.
func inBubble(t *testing.T, o Options, f func(t *testing.T, n *Net)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, New(o)) })
}

func links(pairs ...harness.NodeID) (out []harness.Link) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, harness.Link{From: pairs[i], To: pairs[i+1]})
	}
	return out
}

func key(i int) string { return fmt.Sprintf("k%03d", i) }
