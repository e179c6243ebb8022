package client

import (
	"context"

	members "cartwheel/store/membership"
	"cartwheel/store/ring/history"
	"cartwheel/store/storepb"
	"cartwheel/store/transport"
)

// Words of membership.
type (
	// Members is who is and will be a member, as one node knows it.
	Members = transport.Members
	// Plan is what the wishes that a node holds would do.
	Plan = transport.Plan
	// Transfers is what a node copies, hands over and drops.
	Transfers = transport.Transfers
	// Wish is one part of a plan.
	Wish = members.Wish
)

// Kinds of wishes.
const (
	WishJoin        = members.Join
	WishLeave       = members.Leave
	WishReplace     = members.Replace
	WishSet         = members.Set
	WishForceRemove = members.ForceRemove
)

// Members says who is and will be a member, how far a change is, and what it waits for.
func (a *Admin) Members(ctx context.Context) (m Members, err error) {
	err = a.ask(ctx, "members", func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.Members(ctx, &storepb.MembersRequest{})
		m = transport.MembersOf(reply)
		return err
	})
	return m, err
}

// Stage adds wishes to the plan that the node holds, all or none, and returns what it would do. Nothing moves until Commit.
func (a *Admin) Stage(ctx context.Context, wishes ...Wish) (p Plan, err error) {
	err = a.ask(ctx, "stage", func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.Stage(ctx, &storepb.StageRequest{Wishes: transport.WishesToProto(wishes)})
		p = transport.PlanOf(reply)
		return err
	})
	return p, err
}

// Plan returns what the plan that the node holds would do.
func (a *Admin) Plan(ctx context.Context) (p Plan, err error) {
	err = a.ask(ctx, "plan", func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.Plan(ctx, &storepb.PlanRequest{})
		p = transport.PlanOf(reply)
		return err
	})
	return p, err
}

// Commit makes the node's plan the version of that number, which has to be the next. When it returns the version is on that
// node's disk. An error that is no refusal leaves open whether it is: look at Members before trying again.
func (a *Admin) Commit(ctx context.Context, number uint64) (v history.Stamp, err error) {
	err = a.ask(ctx, "commit", func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.Commit(ctx, &storepb.CommitRequest{Number: number})
		v = history.Stamp{Number: reply.GetNumber(), ID: reply.GetId()}
		return err
	})
	return v, err
}

// Abort drops the node's plan and returns 0. If it holds none, it takes the pending change back by a version of that number.
func (a *Admin) Abort(ctx context.Context, number uint64) (back uint64, err error) {
	err = a.ask(ctx, "abort", func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.Abort(ctx, &storepb.AbortRequest{Number: number})
		back = reply.GetNumber()
		return err
	})
	return back, err
}

// Transfers says what the node copies, hands over and drops because the layout changes.
func (a *Admin) Transfers(ctx context.Context) (t Transfers, err error) {
	err = a.ask(ctx, "transfers", func(ctx context.Context, admin storepb.AdminClient) error {
		reply, err := admin.Transfers(ctx, &storepb.TransfersRequest{})
		t = transport.TransfersOf(reply)
		return err
	})
	return t, err
}

func (a *Admin) ask(ctx context.Context, op string, f func(context.Context, storepb.AdminClient) error) error {
	if err := a.call(ctx, f); err != nil {
		return &Error{Op: op, Err: err, definite: true}
	}
	return nil
}
