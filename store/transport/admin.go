package transport

import (
	"context"
	"time"

	"cartwheel/store"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/storepb"
)

// A Copy is what one node holds of a key.
type Copy struct {
	Node      store.NodeID
	Owner     bool            // the node is one of the key's owners
	Siblings  []store.Sibling // of the node's own record
	Context   store.Context   // supersedes exactly Siblings
	State     []byte          // canonical bytes of the record: replicas agree when these are equal; empty: none
	Vector    string          // for people
	HintedFor []store.NodeID  // owners for which the node holds a hint of the key, sorted
	Owners    []store.NodeID  // of the key, in preference order
}

// Status is how a node is, and what it believes of its peers.
type Status struct {
	Node        store.NodeID
	NodeNumber  uint64 // the node's name in version vectors
	Incarnation uint64
	RingDigest  uint64        // of the newest layout
	Version     history.Stamp // names the newest layout
	Live        int           // versions of the layout that writes go to: 1 unless a change is pending; 0: the node has not joined
	Uptime      time.Duration
	Wall        time.Time    // wall time by the node's own clock, right or wrong
	Peers       []PeerStatus // sorted by name, without the node itself
	Hints       uint64       // waiting here, for all targets
	InFlight    uint64       // requests being coordinated, work after their reply included
	WriteAge    time.Duration
	Fault       string // why the node takes no more writes; empty: it does
	Draining    bool   // it coordinates no new requests; see Drain
	// Settled says that nothing waits here, and that every peer has compared equal in a
	// comparison of all shared keys that began after the last change here. If all nodes of a
	// cluster say so, all replicas of every key are equal.
	Settled  bool
	Counters map[string]uint64 // since start, by metric name
}

// PeerStatus is what a node believes of a peer.
type PeerStatus struct {
	Node     store.NodeID
	Up       bool
	Compared bool          // a comparison of all shared keys has found no difference since start
	CleanAge time.Duration // since the last such comparison began, if Compared
}

// adminServer serves operators and harnesses.
type adminServer struct {
	storepb.UnimplementedAdminServer
	s *Server
}

func (a adminServer) ReadReplica(ctx context.Context, r *storepb.ReadReplicaRequest) (*storepb.ReadReplicaReply, error) {
	return handle(a.s, func() (*storepb.ReadReplicaReply, error) {
		c, err := a.s.Inspector.Copy(ctx, store.Key(r.GetKey()))
		if err != nil {
			return nil, err
		}
		versions := make([]*storepb.Version, 0, len(c.Siblings))
		for _, s := range c.Siblings {
			versions = append(versions, &storepb.Version{Value: s.Value, Tombstone: s.Tombstone, WriteId: writeIDToProto(s.WriteID)})
		}
		return &storepb.ReadReplicaReply{
			Node: string(c.Node), Owner: c.Owner, Versions: versions, Context: c.Context, State: c.State,
			Vector: c.Vector, HintedFor: namesToProto(c.HintedFor), Owners: namesToProto(c.Owners),
		}, nil
	})
}

func (a adminServer) HintStats(ctx context.Context, _ *storepb.HintStatsRequest) (*storepb.HintStatsReply, error) {
	return handle(a.s, func() (*storepb.HintStatsReply, error) {
		stats, err := a.s.Inspector.Hints(ctx)
		if err != nil {
			return nil, err
		}
		reply := &storepb.HintStatsReply{}
		for _, h := range stats {
			reply.Targets = append(reply.Targets, &storepb.HintStatsReply_Target{Node: string(h.Target), Hints: h.Hints, Bytes: h.Bytes})
		}
		return reply, nil
	})
}

func (a adminServer) Status(ctx context.Context, _ *storepb.StatusRequest) (*storepb.StatusReply, error) {
	return handle(a.s, func() (*storepb.StatusReply, error) {
		st, err := a.s.Inspector.Status(ctx)
		if err != nil {
			return nil, err
		}
		reply := &storepb.StatusReply{
			Node: string(st.Node), NodeNumber: st.NodeNumber, Incarnation: st.Incarnation, RingDigest: st.RingDigest,
			UptimeNanos: int64(st.Uptime), Hints: st.Hints, InFlight: st.InFlight, WriteAgeNanos: int64(st.WriteAge),
			Fault: st.Fault, Settled: st.Settled, Counters: st.Counters, WallNanos: st.Wall.UnixNano(),
			Version: st.Version.Number, VersionId: st.Version.ID, LiveVersions: uint32(st.Live), Draining: st.Draining,
		}
		for _, p := range st.Peers {
			reply.Peers = append(reply.Peers, &storepb.PeerStatus{
				Node: string(p.Node), Up: p.Up, Compared: p.Compared, CleanAgeNanos: int64(p.CleanAge),
			})
		}
		return reply, nil
	})
}

// A Drain is how far the draining of a node has come.
type Drain struct {
	Node     store.NodeID
	Draining bool   // the node coordinates no new requests
	InFlight uint64 // requests being coordinated, work after their reply included; once 0 while draining, none follows
}

func (a adminServer) Drain(ctx context.Context, r *storepb.DrainRequest) (*storepb.DrainReply, error) {
	return handle(a.s, func() (*storepb.DrainReply, error) {
		d, err := a.s.Inspector.Drain(ctx, !r.GetUndo())
		if err != nil {
			return nil, err
		}
		return &storepb.DrainReply{Node: string(d.Node), Draining: d.Draining, InFlight: d.InFlight}, nil
	})
}

// DrainOf translates a reply of Drain.
func DrainOf(r *storepb.DrainReply) Drain {
	return Drain{Node: store.NodeID(r.GetNode()), Draining: r.GetDraining(), InFlight: r.GetInFlight()}
}

// CopyOf translates a reply of ReadReplica.
func CopyOf(r *storepb.ReadReplicaReply) (Copy, error) {
	siblings, err := siblingsFromProto(r.GetVersions(), nil)
	return Copy{
		Node: store.NodeID(r.GetNode()), Owner: r.GetOwner(), Siblings: siblings, Context: r.GetContext(), State: r.GetState(),
		Vector: r.GetVector(), HintedFor: namesFromProto(r.GetHintedFor()), Owners: namesFromProto(r.GetOwners()),
	}, err
}

// HintStatsOf translates a reply of HintStats.
func HintStatsOf(r *storepb.HintStatsReply) []HintStat {
	var out []HintStat
	for _, t := range r.GetTargets() {
		out = append(out, HintStat{Target: store.NodeID(t.GetNode()), Hints: t.GetHints(), Bytes: t.GetBytes()})
	}
	return out
}

// StatusOf translates a reply of Status.
func StatusOf(r *storepb.StatusReply) Status {
	st := Status{
		Node: store.NodeID(r.GetNode()), NodeNumber: r.GetNodeNumber(), Incarnation: r.GetIncarnation(), RingDigest: r.GetRingDigest(),
		Uptime: time.Duration(r.GetUptimeNanos()), Hints: r.GetHints(), InFlight: r.GetInFlight(), WriteAge: time.Duration(r.GetWriteAgeNanos()),
		Fault: r.GetFault(), Settled: r.GetSettled(), Counters: r.GetCounters(), Wall: time.Unix(0, r.GetWallNanos()),
		Version: history.Stamp{Number: r.GetVersion(), ID: r.GetVersionId()}, Live: int(r.GetLiveVersions()), Draining: r.GetDraining(),
	}
	for _, p := range r.GetPeers() {
		st.Peers = append(st.Peers, PeerStatus{
			Node: store.NodeID(p.GetNode()), Up: p.GetUp(), Compared: p.GetCompared(), CleanAge: time.Duration(p.GetCleanAgeNanos()),
		})
	}
	return st
}

// HintStat counts the hints for one owner.
type HintStat = storage.HintStat
