package cartwheel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cartwheel/harness"
	"cartwheel/store"
	"cartwheel/store/client"
)

// machine is where a node runs.
func machine(n store.NodeID) harness.NodeID { return harness.Machine(harness.NodeID(n)) }

func machines(nodes []store.NodeID) (out []harness.NodeID) {
	for _, n := range nodes {
		out = append(out, machine(n))
	}
	return out
}

// everywhere lists the machines that there are.
func everywhere(c harness.Cluster) []harness.NodeID {
	out := c.Nodes()
	if r, ok := c.(harness.Resizer); ok {
		out = append(out, r.Spares()...)
	}
	return out
}

// Join makes the node that runs on a machine a member.
func (t *Target) Join(ctx context.Context, c harness.Cluster, n harness.NodeID) error {
	return t.change(ctx, c, func(m client.Members) ([]client.Wish, error) {
		if _, is := memberOn(m, n); is {
			return nil, nil
		}
		who, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Members, error) { return a.Members(ctx) })
		if err != nil {
			return nil, err
		}
		return []client.Wish{{Kind: client.WishJoin, Node: who.Node}}, nil
	})
}

// Leave ends the membership of the node on a machine.
func (t *Target) Leave(ctx context.Context, c harness.Cluster, n harness.NodeID) error {
	var id store.NodeID
	err := t.change(ctx, c, func(m client.Members) ([]client.Wish, error) {
		var is bool
		if id, is = memberOn(m, n); !is {
			return nil, nil
		}
		return []client.Wish{{Kind: client.WishLeave, Node: id}}, nil
	})
	return t.note(id, err)
}

// note remembers who has left, for the audit, if err is nil, and returns err.
func (t *Target) note(n store.NodeID, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && n != "" {
		if t.left == nil {
			t.left = map[store.NodeID]bool{}
		}
		t.left[n] = true
	}
	return err
}

// gone returns who has left, sorted.
func (t *Target) gone() []store.NodeID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.left))
}

// Replace makes a node a member in the place of one that will not come back, which is then
// removed by force: it cannot hand over anything, and nobody is to wait for it.
func (t *Target) Replace(ctx context.Context, c harness.Cluster, gone, by harness.NodeID) error {
	who, err := ask(ctx, c, by, func(ctx context.Context, a *client.Admin) (client.Members, error) { return a.Members(ctx) })
	if err != nil {
		return err
	}
	var lost store.NodeID
	err = t.change(ctx, c, func(m client.Members) ([]client.Wish, error) {
		id, is := memberOn(m, gone)
		if at, joined := memberOn(m, by); !is || joined && (at == who.Node || by != gone) {
			return nil, nil
		}
		return []client.Wish{{Kind: client.WishReplace, Node: id, Other: who.Node}}, nil
	})
	if err != nil {
		return err
	}
	err = t.change(ctx, c, func(m client.Members) ([]client.Wish, error) {
		for _, s := range m.Nodes { // it is leaving by now
			if machine(s.ID) == gone && s.ID != who.Node && s.State != removedByForce {
				lost = s.ID
			}
		}
		if lost == "" {
			return nil, nil
		}
		return []client.Wish{{Kind: client.WishForceRemove, Node: lost}}, nil
	})
	return t.note(lost, err)
}

// States of members, in the store's words.
const (
	leaving        = "leaving"
	removedByForce = "removed by force"
)

// memberOn returns the node that runs on a machine and is a member in the newest layout.
func memberOn(m client.Members, n harness.NodeID) (store.NodeID, bool) {
	for _, s := range m.Nodes {
		if machine(s.ID) == n && s.State != leaving && s.State != removedByForce {
			return s.ID, true
		}
	}
	return "", false
}

// change asks the node that knows most to make what wishes come to of what it knows; none: there is nothing to do.
func (t *Target) change(ctx context.Context, c harness.Cluster, wishes func(client.Members) ([]client.Wish, error)) error {
	at, known, err := t.bestInformed(ctx, c)
	if err != nil {
		return err
	}
	list, err := wishes(known)
	if err != nil || len(list) == 0 {
		return err
	}
	_, err = ask(ctx, c, at, func(ctx context.Context, a *client.Admin) (struct{}, error) {
		plan, err := a.Plan(ctx)
		// Wishes that do not fit the members any more make no plan, and are forgotten as well.
		stale := errors.Is(err, store.ErrInvalid)
		if err == nil && len(plan.Wishes) > 0 || stale { // left from an attempt that was cut short
			_, err = a.Abort(ctx, plan.Number)
		}
		if err == nil {
			plan, err = a.Stage(ctx, list...)
		}
		if err == nil {
			_, err = a.Commit(ctx, plan.Number)
		}
		return struct{}{}, err
	})
	return err
}

// bestInformed returns the member with the newest layout among those that answer, of equals the one that believes most others to be
// up: where nodes are cut apart that is whom an operator would ask.
func (t *Target) bestInformed(ctx context.Context, c harness.Cluster) (at harness.NodeID, known client.Members, err error) {
	var errs []error
	for _, n := range everywhere(c) {
		m, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Members, error) { return a.Members(ctx) })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		better := newest(m) > newest(known) || newest(m) == newest(known) && reaches(m) > reaches(known)
		if id, is := memberOn(m, n); is && id == m.Node && better {
			at, known = n, m
		}
	}
	if at == "" {
		return "", client.Members{}, fmt.Errorf("no member answers: %w", errors.Join(errs...))
	}
	return at, known, nil
}

// reaches counts the nodes that a node believes to be up.
func reaches(m client.Members) (up int) {
	for _, s := range m.Nodes {
		if s.Up {
			up++
		}
	}
	return up
}

func newest(m client.Members) uint64 {
	if len(m.Live) == 0 {
		return 0
	}
	return m.Live[len(m.Live)-1].Number
}

// View says who the members are to a machine's node. A change is complete when no older layout
// is live there and nothing is held that others own. A node that has left keeps its records,
// which nobody asks for any more, but no hints.
func (t *Target) View(ctx context.Context, c harness.Cluster, n harness.NodeID) (harness.MemberView, error) {
	m, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Members, error) { return a.Members(ctx) })
	if err != nil {
		return harness.MemberView{}, err
	}
	moves, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Transfers, error) { return a.Transfers(ctx) })
	if err != nil {
		return harness.MemberView{}, err
	}
	held := moves.Held
	if _, is := memberOn(m, n); !is {
		held = moves.Hints
	}
	v := harness.MemberView{Settled: len(m.Live) == 1 && held == 0}
	for _, s := range m.Nodes {
		if s.State != leaving && s.State != removedByForce {
			v.Nodes = append(v.Nodes, harness.NodeID(s.ID))
		}
	}
	slices.SortFunc(v.Nodes, func(a, b harness.NodeID) int {
		return strings.Compare(string(harness.Machine(a)), string(harness.Machine(b)))
	})
	for _, n := range v.Nodes {
		v.Members = append(v.Members, harness.Machine(n))
	}
	return v, nil
}

var _ harness.MemberChanger = (*Target)(nil)
