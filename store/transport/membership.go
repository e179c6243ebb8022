package transport

import (
	"context"
	"slices"
	"strings"

	"cartwheel/store"
	"cartwheel/store/membership"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storepb"
	"cartwheel/store/transfer"
)

// Membership is what operators ask of a node about the members of the cluster.
type Membership interface {
	Members(ctx context.Context) (Members, error)
	Stage(ctx context.Context, wishes []membership.Wish) (Plan, error)
	Plan(ctx context.Context) (Plan, error)
	Commit(ctx context.Context, number uint64) (history.Stamp, error)
	Abort(ctx context.Context, number uint64) (uint64, error)
	Transfers(ctx context.Context) (Transfers, error)
}

// Members is who is and will be a member, as one node knows it.
type Members struct {
	Node     store.NodeID // that answers
	Cluster  uint64       // 0: the node knows none
	Live     []LiveVersion
	Read     uint64         // number of the version that reads go by
	Nodes    []MemberState  // of all live versions, by id
	Waiting  []store.Member // nodes that have asked this one for a role
	Removed  []store.NodeID // former members; these ids never come back
	Step     string         // that the change waits for: "ack", "sync" or "sync-ack"; empty: none is pending
	WaitsFor []store.NodeID // nodes that have not taken it
	Forked   map[store.NodeID]string
}

// A LiveVersion names a version of the layout.
type LiveVersion struct {
	history.Stamp
	Kind string // "planned", "abort" or "forced"
}

// A MemberState is how far a node has come with a change.
type MemberState struct {
	ring.Role
	State   string // "member", "joining", "leaving" or "removed by force"
	Owns    int    // partitions, in the oldest live version
	WillOwn int    // in the newest
	Up      bool   // as the node that answers believes
	history.Notes
}

// A Plan is what the wishes that a node holds would do.
type Plan struct {
	Number   uint64 // that commit has to name
	Wishes   []membership.Wish
	Shares   []ring.Share
	Moves    []ring.Move
	Replicas int
	Bytes    uint64 // that the moves are estimated to copy
}

// Transfers is what a node copies, hands over and drops.
type Transfers struct {
	Node    store.NodeID
	Work    []transfer.Work // under way
	Keys    transfer.Stats
	Held    uint64 // records of partitions that the node owns in no live version
	Hints   uint64
	Trouble string // why the last attempt failed
}

func (a adminServer) Members(ctx context.Context, _ *storepb.MembersRequest) (*storepb.MembersReply, error) {
	return handle(a.s, func() (*storepb.MembersReply, error) {
		m, err := a.s.Membership.Members(ctx)
		if err != nil {
			return nil, err
		}
		reply := &storepb.MembersReply{
			Node: string(m.Node), Cluster: m.Cluster, Read: m.Read, Removed: namesToProto(m.Removed), Step: m.Step, WaitsFor: namesToProto(m.WaitsFor),
		}
		for _, v := range m.Live {
			reply.Live = append(reply.Live, &storepb.MembersReply_Version{Number: v.Number, Id: v.ID, Kind: v.Kind})
		}
		for _, n := range m.Nodes {
			reply.Nodes = append(reply.Nodes, &storepb.MembersReply_Node{
				Role: roleToProto(n.Role), State: n.State, Owns: uint32(n.Owns), WillOwn: uint32(n.WillOwn), Up: n.Up,
				Acked: n.Acked, Synced: n.Synced, SyncAcked: n.SyncAcked,
			})
		}
		for _, w := range m.Waiting {
			reply.Waiting = append(reply.Waiting, memberToProto(w))
		}
		for n, text := range m.Forked {
			reply.Forked = append(reply.Forked, &storepb.MembersReply_Fork{Node: string(n), Error: text})
		}
		slices.SortFunc(reply.Forked, func(x, y *storepb.MembersReply_Fork) int { return strings.Compare(x.GetNode(), y.GetNode()) })
		return reply, nil
	})
}

// MembersOf translates a reply of Members.
func MembersOf(r *storepb.MembersReply) Members {
	m := Members{
		Node: store.NodeID(r.GetNode()), Cluster: r.GetCluster(), Read: r.GetRead(), Removed: namesFromProto(r.GetRemoved()),
		Step: r.GetStep(), WaitsFor: namesFromProto(r.GetWaitsFor()), Forked: map[store.NodeID]string{},
	}
	for _, v := range r.GetLive() {
		m.Live = append(m.Live, LiveVersion{history.Stamp{Number: v.GetNumber(), ID: v.GetId()}, v.GetKind()})
	}
	for _, n := range r.GetNodes() {
		m.Nodes = append(m.Nodes, MemberState{
			Role: roleFromProto(n.GetRole()), State: n.GetState(), Owns: int(n.GetOwns()), WillOwn: int(n.GetWillOwn()), Up: n.GetUp(),
			Notes: history.Notes{Acked: n.GetAcked(), Synced: n.GetSynced(), SyncAcked: n.GetSyncAcked()},
		})
	}
	for _, w := range r.GetWaiting() {
		m.Waiting = append(m.Waiting, memberFromProto(w))
	}
	for _, f := range r.GetForked() {
		m.Forked[store.NodeID(f.GetNode())] = f.GetError()
	}
	return m
}

func (a adminServer) Stage(ctx context.Context, r *storepb.StageRequest) (*storepb.PlanReply, error) {
	return handle(a.s, func() (*storepb.PlanReply, error) {
		p, err := a.s.Membership.Stage(ctx, WishesFromProto(r.GetWishes()))
		return planToProto(p), err
	})
}

func (a adminServer) Plan(ctx context.Context, _ *storepb.PlanRequest) (*storepb.PlanReply, error) {
	return handle(a.s, func() (*storepb.PlanReply, error) {
		p, err := a.s.Membership.Plan(ctx)
		return planToProto(p), err
	})
}

func (a adminServer) Commit(ctx context.Context, r *storepb.CommitRequest) (*storepb.CommitReply, error) {
	return handle(a.s, func() (*storepb.CommitReply, error) {
		v, err := a.s.Membership.Commit(ctx, r.GetNumber())
		return &storepb.CommitReply{Number: v.Number, Id: v.ID}, err
	})
}

func (a adminServer) Abort(ctx context.Context, r *storepb.AbortRequest) (*storepb.AbortReply, error) {
	return handle(a.s, func() (*storepb.AbortReply, error) {
		number, err := a.s.Membership.Abort(ctx, r.GetNumber())
		return &storepb.AbortReply{Number: number}, err
	})
}

func (a adminServer) Transfers(ctx context.Context, _ *storepb.TransfersRequest) (*storepb.TransfersReply, error) {
	return handle(a.s, func() (*storepb.TransfersReply, error) {
		t, err := a.s.Membership.Transfers(ctx)
		if err != nil {
			return nil, err
		}
		reply := &storepb.TransfersReply{
			Node: string(t.Node), KeysCopied: t.Keys.Copied, BytesCopied: t.Keys.CopiedBytes, KeysHandedOver: t.Keys.HandedOver,
			KeysDropped: t.Keys.Dropped, KeysDamaged: t.Keys.Damaged, KeysHeld: t.Held, HintsHeld: t.Hints, Trouble: t.Trouble,
		}
		for _, w := range t.Work {
			reply.Work = append(reply.Work, &storepb.TransfersReply_Work{
				Kind: w.Kind, Version: w.Version, Done: uint32(w.Done), All: uint32(w.All), Partition: uint32(w.Partition), Peer: string(w.Peer),
			})
		}
		return reply, nil
	})
}

// TransfersOf translates a reply of Transfers.
func TransfersOf(r *storepb.TransfersReply) Transfers {
	t := Transfers{
		Node: store.NodeID(r.GetNode()), Held: r.GetKeysHeld(), Hints: r.GetHintsHeld(), Trouble: r.GetTrouble(),
		Keys: transfer.Stats{
			Copied: r.GetKeysCopied(), CopiedBytes: r.GetBytesCopied(), HandedOver: r.GetKeysHandedOver(), Dropped: r.GetKeysDropped(), Damaged: r.GetKeysDamaged(),
		},
	}
	for _, w := range r.GetWork() {
		t.Work = append(t.Work, transfer.Work{
			Kind: w.GetKind(), Version: w.GetVersion(), Done: int(w.GetDone()), All: int(w.GetAll()),
			Partition: ring.Partition(w.GetPartition()), Peer: store.NodeID(w.GetPeer()),
		})
	}
	return t
}
