package transport

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/coordinator"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
	"cartwheel/store/version"
)

// A Coordinator serves clients' requests, and those that peers hand on.
type Coordinator interface {
	Get(ctx context.Context, key store.Key, o store.ReadOptions) (store.ReadResult, error)
	Write(ctx context.Context, w coordinator.Write) (store.WriteResult, error)
	Forwarded(ctx context.Context, w coordinator.Write) (store.WriteResult, error)
}

// Local is what peers may ask of this node's disk.
type Local interface {
	Get(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error)
	// Recall is Get with the entries that were pruned from the vector.
	Recall(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error)
	Merge(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (changed bool, err error)
	// Buffer is Merge, and may return before the result is on disk.
	Buffer(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (changed bool, err error)
	Trees
	Bulk
}

// An Inspector tells operators what this node holds and believes.
type Inspector interface {
	Copy(ctx context.Context, key store.Key) (Copy, error)
	Hints(ctx context.Context) ([]storage.HintStat, error)
	Status(ctx context.Context) (Status, error)
	// Trees describes the hash trees, after checking them if asked to.
	Trees(ctx context.Context, check bool) (TreeReport, error)
	// Drain makes the node refuse to coordinate requests, or takes that back, and says what is still under way.
	Drain(ctx context.Context, draining bool) (Drain, error)
}

// Services are what a server serves. All fields down to Membership are required.
type Services struct {
	Self        store.NodeID
	Placement   Joiner
	Coordinator Coordinator
	Local       Local
	Inspector   Inspector
	Gossip      Gossiper
	Membership  Membership
	Reaper      Reaper
	Behind      func(of store.NodeID) // as in PeersOptions

	Protocol  Protocol             // versions that callers of Peer may speak; default Current
	Now       func() time.Duration // monotonic time since some moment, by which slow calls are found; default: none is
	SlowAfter time.Duration        // calls that take so long are logged; default 500ms
	Logger    *slog.Logger         // default discards
}

func (s Services) withDefaults() Services {
	if s.Protocol == (Protocol{}) {
		s.Protocol = Current
	}
	if s.Now == nil {
		s.Now = func() time.Duration { return 0 }
	}
	if s.SlowAfter == 0 {
		s.SlowAfter = 500 * time.Millisecond
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	return s
}

// A Server is the gRPC side of one node.
type Server struct {
	Services

	mu       sync.Mutex // guards closed and the wait group's zero, never a wait
	closed   bool
	handlers sync.WaitGroup

	draining  atomic.Bool
	serving   atomic.Int64  // calls that would be refused while draining
	unnamed   atomic.Uint64 // ids given to requests that came without
	strangers atomic.Uint64 // calls refused because of their protocol
	noted     notes
}

// NewServer returns a server that refuses nothing yet; see Register.
func NewServer(s Services) *Server { return &Server{Services: s.withDefaults()} }

// Register adds the services KV, Peer and Admin to r.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	s.RegisterServing(r)
	storepb.RegisterAdminServer(r, adminServer{s: s})
}

// RegisterServing adds KV and Peer to r: what clients and other nodes need.
func (s *Server) RegisterServing(r grpc.ServiceRegistrar) {
	storepb.RegisterKVServer(r, kvServer{s: s})
	storepb.RegisterPeerServer(r, peerServer{s: s})
}

// RegisterAdmin adds Admin to r, and KV, so that operators need to know no other address.
func (s *Server) RegisterAdmin(r grpc.ServiceRegistrar) {
	storepb.RegisterKVServer(r, kvServer{s: s})
	storepb.RegisterAdminServer(r, adminServer{s: s})
}

// Close refuses further calls and returns when no handler is in flight. What the
// handlers wait for must end: close the coordinator first, or at the same time.
func (s *Server) Close() error {
	s.Refuse()
	s.handlers.Wait()
	return nil
}

// Refuse refuses further calls and does not wait for those in flight.
func (s *Server) Refuse() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
}

func (s *Server) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("node %s: %w", s.Self, store.ErrClosed)
	}
	s.handlers.Add(1)
	return nil
}

// handle runs a handler between enter and leave, and encodes its error.
func handle[Reply any](s *Server, f func() (Reply, error)) (Reply, error) {
	if err := s.enter(); err != nil {
		var none Reply
		return none, encode(err, "")
	}
	defer s.handlers.Done()
	reply, err := f()
	return reply, encode(err, "")
}

// kvServer serves clients.
type kvServer struct {
	storepb.UnimplementedKVServer
	s *Server
}

func (k kvServer) Get(ctx context.Context, r *storepb.GetRequest) (*storepb.GetReply, error) {
	return coordinate(ctx, k.s, "get", func(ctx context.Context) (*storepb.GetReply, error) {
		res, err := k.s.Coordinator.Get(ctx, store.Key(r.GetKey()), readOptionsFromProto(r.GetOptions()))
		if err != nil {
			return nil, err
		}
		return &storepb.GetReply{
			Versions: siblingsToProto(res.Siblings, coordinator.Write{}), Context: res.Context, Meta: metaToProto(res.Meta),
		}, nil
	})
}

func (k kvServer) Put(ctx context.Context, r *storepb.PutRequest) (*storepb.PutReply, error) {
	return coordinate(ctx, k.s, "put", func(ctx context.Context) (*storepb.PutReply, error) {
		w, err := putFromProto(r)
		return answerWrite(ctx, w, err, k.s.Coordinator.Write)
	})
}

func (k kvServer) Delete(ctx context.Context, r *storepb.DeleteRequest) (*storepb.PutReply, error) {
	return coordinate(ctx, k.s, "delete", func(ctx context.Context) (*storepb.PutReply, error) {
		w, err := deleteFromProto(r)
		return answerWrite(ctx, w, err, k.s.Coordinator.Write)
	})
}

// answerWrite serves a write whose translation may have gone wrong.
func answerWrite(ctx context.Context, w coordinator.Write, bad error,
	serve func(context.Context, coordinator.Write) (store.WriteResult, error),
) (*storepb.PutReply, error) {
	if bad != nil {
		return nil, bad
	}
	res, err := serve(ctx, w)
	if err != nil {
		return nil, err
	}
	return writeResultToProto(res, w), nil
}

func (k kvServer) Ring(context.Context, *storepb.RingRequest) (*storepb.RingReply, error) {
	return handle(k.s, func() (*storepb.RingReply, error) {
		h := k.s.Placement.Now()
		if !h.Joined() {
			return nil, fmt.Errorf("%s has not joined a cluster: %w", k.s.Self, store.ErrNotMember)
		}
		l := h.Newest().Layout
		reply := &storepb.RingReply{Replicas: uint32(l.Replicas()), Digest: l.Digest()}
		for _, m := range l.Members() {
			reply.Members = append(reply.Members, &storepb.Member{Id: string(m.ID), Address: m.Address})
		}
		for p := range l.Partitions() {
			reply.Partitions = append(reply.Partitions, &storepb.PreferenceList{
				Nodes: namesToProto(l.PreferenceList(ring.Partition(p))),
			})
		}
		return reply, nil
	})
}

func namesToProto(nodes []store.NodeID) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = string(n)
	}
	return out
}

func namesFromProto(names []string) []store.NodeID {
	out := make([]store.NodeID, len(names))
	for i, n := range names {
		out[i] = store.NodeID(n)
	}
	return out
}
