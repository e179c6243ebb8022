package cartwheel

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cartwheel/harness"
	"cartwheel/store"
	"cartwheel/store/storepb"
	"cartwheel/store/transport"
)

// A node is a server that says what a test wants it to say.
type node struct {
	storepb.UnimplementedKVServer
	storepb.UnimplementedAdminServer
	status  *storepb.StatusReply
	replica *storepb.ReadReplicaReply
	put     func(*storepb.PutRequest) (*storepb.PutReply, error)
	delete  func(*storepb.DeleteRequest) (*storepb.PutReply, error)
	hints   []*storepb.HintStatsReply_Target
}

func (n *node) HintStats(context.Context, *storepb.HintStatsRequest) (*storepb.HintStatsReply, error) {
	return &storepb.HintStatsReply{Targets: n.hints}, nil
}

func (n *node) Status(context.Context, *storepb.StatusRequest) (*storepb.StatusReply, error) {
	return n.status, nil
}

func (n *node) ReadReplica(_ context.Context, r *storepb.ReadReplicaRequest) (*storepb.ReadReplicaReply, error) {
	if n.replica == nil {
		return nil, status.Errorf(codes.Internal, "no copy of %q", r.GetKey())
	}
	return n.replica, nil
}

func (n *node) Put(_ context.Context, r *storepb.PutRequest) (*storepb.PutReply, error) {
	return n.put(r)
}

func (n *node) Delete(_ context.Context, r *storepb.DeleteRequest) (*storepb.PutReply, error) {
	return n.delete(r)
}

// pods is a cluster of such nodes behind real sockets. A nil node is down.
type pods struct {
	names     []harness.NodeID
	addresses map[harness.NodeID]string
}

func (p *pods) World() string                   { return "test" }
func (p *pods) Nodes() []harness.NodeID         { return p.names }
func (p *pods) Address(n harness.NodeID) string { return p.addresses[n] }
func (p *pods) Start(context.Context) error     { return nil }
func (p *pods) Stop(context.Context) error      { return nil }

func start(t *testing.T, nodes ...*node) *pods {
	t.Helper()
	p := &pods{addresses: map[harness.NodeID]string{}}
	for i, n := range nodes {
		id := harness.NodeID("n" + string(rune('1'+i)))
		p.names = append(p.names, id)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.addresses[id] = l.Addr().String()
		if n == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		s := grpc.NewServer(transport.ServerOptions()...)
		storepb.RegisterKVServer(s, n)
		storepb.RegisterAdminServer(s, n)
		var wg sync.WaitGroup // one a server: cleanups wait for their own
		wg.Go(func() { _ = s.Serve(l) })
		t.Cleanup(func() { s.Stop(); wg.Wait() })
	}
	return p
}

func TestReadyMeansThatTheRightNodeTakesWrites(t *testing.T) {
	for _, c := range []struct {
		name string
		node *node
		want string
	}{
		{name: "ready", node: &node{status: &storepb.StatusReply{Node: "n1"}}},
		{name: "down", want: "ask n1"},
		{name: "another node", node: &node{status: &storepb.StatusReply{Node: "n2"}}, want: `calls itself "n2"`},
		{name: "fail stop", node: &node{status: &storepb.StatusReply{Node: "n1", Fault: "disk full"}}, want: "disk full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := New().Ready(t.Context(), start(t, c.node), "n1")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if err := New().Ready(t.Context(), &pods{}, "n1"); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("a node without an address: got %v", err)
	}
}

func TestAReplicaIsShownAsItIs(t *testing.T) {
	id := store.WriteID{7}
	copied := &storepb.ReadReplicaReply{
		Node: "n2", Owner: true, Context: []byte("token"), State: []byte("bytes"), Owners: []string{"n3", "n1", "n2"},
		Versions: []*storepb.Version{{Value: []byte("v"), WriteId: id[:]}},
	}
	c := start(t, nil, &node{replica: copied})
	got, err := New().ReadReplica(t.Context(), c, "n2", "k")
	if err != nil || len(got.Siblings) != 1 || got.Siblings[0] != (harness.Sibling{Value: "v", Write: id.String()}) ||
		string(got.Token) != "token" || got.State != digest([]byte("bytes")) {
		t.Errorf("got %+v, %v", got, err)
	}
	owners, err := New().Replicas(t.Context(), c, "k") // n1 is down, n2 tells
	if err != nil || len(owners) != 3 || owners[0] != "n3" || owners[1] != "n1" || owners[2] != "n2" {
		t.Errorf("owners: got %v, %v", owners, err)
	}
	if _, err := New().Replicas(t.Context(), start(t, nil, nil), "k"); err == nil {
		t.Error("nobody answered, but there are owners")
	}
}

func TestQuietWhenEveryNodeIsSettled(t *testing.T) {
	settled := &node{status: &storepb.StatusReply{Settled: true}}
	for _, c := range []struct {
		name  string
		other *node
		want  string // of the reason
		bad   bool
	}{
		{name: "all", other: settled},
		{name: "hints", other: &node{status: &storepb.StatusReply{Hints: 3}}, want: "n2: 3 hints wait"},
		{name: "requests", other: &node{status: &storepb.StatusReply{InFlight: 1}}, want: "n2: 1 requests under way"},
		{name: "believes down", other: &node{status: &storepb.StatusReply{Peers: []*storepb.PeerStatus{{Node: "n1"}}}}, want: "n2: believes n1 down"},
		{
			name: "not compared since", want: "n2: has not compared equal with n1 since its last change",
			other: &node{status: &storepb.StatusReply{WriteAgeNanos: 5, Peers: []*storepb.PeerStatus{{Node: "n1", Up: true, Compared: true, CleanAgeNanos: 5}}}},
		},
		{name: "fault", other: &node{status: &storepb.StatusReply{Fault: "disk full"}}, want: "n2: takes no writes: disk full"},
		{name: "no reason given", other: &node{status: &storepb.StatusReply{}}, want: "n2: not settled"},
		{name: "down", bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := New().Quiet(t.Context(), start(t, settled, c.other))
			if got != c.want || (err != nil) != c.bad {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// What a put's error proves decides whether it is recorded as failed or as unknown.
func TestAPutsErrorKeepsItsOath(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, c := range []struct {
		name string
		node *node
		kind harness.Kind
	}{
		{name: "written", kind: harness.OK, node: &node{put: func(r *storepb.PutRequest) (*storepb.PutReply, error) {
			return &storepb.PutReply{
				Versions: []*storepb.Version{{WriteId: r.GetWriteId(), ValueElided: true}}, Context: []byte("t"),
				Meta: &storepb.Meta{Coordinator: "n1"},
			}, nil
		}}},
		{name: "never left", kind: harness.Fail},
		{name: "an error without an oath", kind: harness.Info, node: &node{put: func(*storepb.PutRequest) (*storepb.PutReply, error) {
			return nil, status.Error(codes.Unavailable, "connection broken")
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := New().Open(ctx, start(t, c.node), "n1")
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := client.Close(); err != nil {
					t.Error(err)
				}
			}()
			got := harness.Perform(ctx, client, harness.Op{F: harness.Put, Key: "k", Value: "v"}, harness.ReadOptions{}, harness.WriteOptions{})
			if got.Kind != c.kind {
				t.Errorf("got %s (%s), want %s", got.Kind, got.Error, c.kind)
			}
			if c.kind == harness.OK && (len(got.Siblings) != 1 || got.Siblings[0].Value != "v" || got.Meta == nil) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Without its name nobody could tell which of two deletes of unknown outcome left a tombstone.
func TestADeleteIsNamedWhateverCameOfIt(t *testing.T) {
	for _, broken := range []error{nil, status.Error(codes.Unavailable, "connection broken")} {
		var asked store.WriteID
		n := &node{delete: func(r *storepb.DeleteRequest) (*storepb.PutReply, error) {
			copy(asked[:], r.GetWriteId())
			return &storepb.PutReply{Versions: []*storepb.Version{{Tombstone: true, WriteId: r.GetWriteId()}}}, broken
		}}
		client, err := New().Open(t.Context(), start(t, n), "n1")
		if err != nil {
			t.Fatal(err)
		}
		got := harness.Perform(t.Context(), client, harness.Op{F: harness.Delete, Key: "k", Context: []byte("c")}, harness.ReadOptions{}, harness.WriteOptions{})
		if got.Write == "" || got.Write != asked.String() || (got.Kind == harness.OK) != (broken == nil) {
			t.Errorf("got %+v, asked as %s", got, asked)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An attended cluster has a door for the harness.
type attended struct {
	*pods
	admin map[harness.NodeID]string
}

func (a attended) AdminAddress(n harness.NodeID) string { return a.admin[n] }

// Clients never take the harness's way, nor does the harness take theirs where it has one of its own.
func TestTheHarnessAsksApartFromClients(t *testing.T) {
	front, back := &node{status: &storepb.StatusReply{Node: "n1", Fault: "asked among clients"}}, &node{status: &storepb.StatusReply{Node: "n1"}}
	c, elsewhere := start(t, front), start(t, back)
	apart := attended{c, elsewhere.addresses}
	if err := New().Ready(t.Context(), apart, "n1"); err != nil {
		t.Errorf("asked at the clients' address: %v", err)
	}
	if err := New().Ready(t.Context(), attended{c, nil}, "n1"); err == nil || !strings.Contains(err.Error(), "asked among clients") {
		t.Errorf("without a way of its own: %v", err)
	}
	conn, err := New().Open(t.Context(), attended{&pods{}, elsewhere.addresses}, "n1")
	if err == nil {
		_ = conn.Close()
		t.Error("a client got in by the harness's way")
	}
}

// A connected cluster brings its own connections, numbered by client.
type connected struct {
	pods
	asked []int
}

func (c *connected) Conn(client int, _ harness.NodeID) (grpc.ClientConnInterface, error) {
	c.asked = append(c.asked, client)
	return nil, nil
}

func TestClientsAreNumberedInTheOrderOfOpening(t *testing.T) {
	c := &connected{}
	target := Seeded(func(names ...uint64) uint64 { return names[0] })
	for range 3 {
		if _, err := target.Open(t.Context(), c, "n1"); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.asked) != 3 || c.asked[0] != 0 || c.asked[1] != 1 || c.asked[2] != 2 {
		t.Errorf("got %v, want 0 1 2", c.asked)
	}
	if got := target.rand(2)(9); got != 2 {
		t.Errorf("client 2 draws by the name %d first, want its own", got)
	}
}
