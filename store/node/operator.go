package node

import (
	"context"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/membership"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/transport"
)

// An operator answers what people ask about the members of the cluster.
type operator struct{ n *Node }

// Members says who is and will be a member.
func (o operator) Members(context.Context) (transport.Members, error) {
	n, h := o.n, o.n.placement.Now()
	out := transport.Members{Node: n.config.ID, Cluster: h.Cluster(), Waiting: n.gossip.Waiting(), Removed: h.Removed(), Forked: map[store.NodeID]string{}}
	for id, err := range n.gossip.Forked() {
		out.Forked[id] = err.Error()
	}
	if !h.Joined() {
		return out, nil
	}
	out.Read = h.Read().Number
	out.Step, out.WaitsFor = h.Pending()
	for _, v := range h.Live() {
		out.Live = append(out.Live, transport.LiveVersion{Stamp: history.Stamp{Number: v.Number, ID: v.ID}, Kind: v.Kind.String()})
	}
	from, to := h.Oldest().Layout, h.Newest().Layout
	for _, s := range ring.Shares(from, to) {
		out.Nodes = append(out.Nodes, transport.MemberState{
			Role: s.Role, State: stateOf(h, s.ID), Owns: s.Before, WillOwn: s.After, Up: s.ID == n.config.ID || n.detector.Up(s.ID), Notes: h.Notes(s.ID),
		})
	}
	return out, nil
}

func stateOf(h history.History, id store.NodeID) string {
	_, was := h.Oldest().Layout.Member(id)
	_, will := h.Newest().Layout.Member(id)
	switch {
	case h.Fenced(id):
		return "removed by force"
	case !will:
		return "leaving"
	case !was:
		return "joining"
	}
	return "member"
}

// Stage adds wishes to the plan.
func (o operator) Stage(ctx context.Context, wishes []membership.Wish) (transport.Plan, error) {
	v, err := o.n.members.planner.Stage(wishes)
	return o.plan(ctx, v, err)
}

// Plan says what the plan would do.
func (o operator) Plan(ctx context.Context) (transport.Plan, error) {
	v, err := o.n.members.planner.Preview()
	return o.plan(ctx, v, err)
}

func (o operator) plan(ctx context.Context, v membership.Preview, err error) (transport.Plan, error) {
	if err != nil {
		return transport.Plan{}, err
	}
	p := transport.Plan{
		Number: v.Number, Wishes: v.Wishes, Shares: ring.Shares(v.From, v.To), Moves: ring.Moves(v.From, v.To), Replicas: v.To.Partitions() * v.To.Replicas(),
	}
	size, err := o.partitionBytes(ctx, v.From)
	p.Bytes = size * uint64(len(p.Moves))
	return p, err
}

// partitionBytes estimates the size of a partition by those that the node owns.
func (o operator) partitionBytes(ctx context.Context, l *ring.Layout) (uint64, error) {
	record, err := o.n.disk.MeanRecordBytes(ctx)
	if err != nil {
		return 0, err
	}
	owned, keys := uint64(0), uint64(0)
	for p := range ring.Partition(l.Partitions()) {
		if l.Owns(o.n.config.ID, p) {
			owned++
		}
	}
	for _, t := range o.n.disk.Trees(func(p ring.Partition) bool { return int(p) < l.Partitions() && l.Owns(o.n.config.ID, p) }) {
		keys += uint64(t.Keys)
	}
	if owned == 0 {
		return 0, nil
	}
	return record * keys / owned, nil
}

// Commit makes the plan a version of the layout.
func (o operator) Commit(ctx context.Context, number uint64) (history.Stamp, error) {
	v, err := o.n.members.planner.Commit(ctx, number)
	return history.Stamp{Number: v.Number, ID: v.ID}, err
}

// Abort forgets the plan, or takes the pending change back.
func (o operator) Abort(ctx context.Context, number uint64) (uint64, error) {
	if !o.n.placement.Now().Joined() {
		return 0, fmt.Errorf("abort: %s has not joined a cluster: %w", o.n.config.ID, store.ErrNotMember)
	}
	return o.n.members.planner.Abort(ctx, number)
}

// Transfers says what moves.
func (o operator) Transfers(context.Context) (transport.Transfers, error) {
	t := o.n.members.transfers
	out := transport.Transfers{Node: o.n.config.ID, Keys: t.Stats(), Hints: o.n.disk.Stats().Hints}
	for _, tree := range t.Foreign() {
		out.Held += uint64(tree.Keys)
	}
	w, busy, trouble := t.Progress()
	if busy {
		out.Work = append(out.Work, w)
	}
	if trouble != nil {
		out.Trouble = trouble.Error()
	}
	return out, nil
}
