package cartwheel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"cartwheel/harness"
	"cartwheel/store"
	"cartwheel/store/client"
)

// admins is the client number of the harness's own questions: no client of a workload
// has it, and asking one more of them moves nobody's number.
const admins = -1

// ask puts a question to a node's administration.
func ask[T any](ctx context.Context, c harness.Cluster, n harness.NodeID, question func(context.Context, *client.Admin) (T, error)) (answer T, err error) {
	conn, closer, err := dial(c, admins, n)
	if err != nil {
		return answer, err
	}
	defer func() { err = errors.Join(err, closer()) }()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if answer, err = question(ctx, client.NewAdmin(conn)); err != nil {
		return answer, fmt.Errorf("ask %s: %w", n, err)
	}
	return answer, nil
}

// Ready returns nil once the node answers for its own state and takes writes.
func (t *Target) Ready(ctx context.Context, c harness.Cluster, n harness.NodeID) error {
	st, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Status, error) { return a.Status(ctx) })
	switch {
	case err != nil:
		return err
	case machine(st.Node) != n:
		return fmt.Errorf("%s calls itself %q", n, st.Node)
	case st.Fault != "":
		return fmt.Errorf("%s takes no writes: %s", n, st.Fault)
	}
	return nil
}

// Wall asks a node for the time by its own clock.
func Wall(ctx context.Context, c harness.Cluster, n harness.NodeID) (time.Time, error) {
	st, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Status, error) { return a.Status(ctx) })
	return st.Wall, err
}

// Replicas names the key's owners, in the order of the preference list, as the first
// node that answers tells.
func (t *Target) Replicas(ctx context.Context, c harness.Cluster, key string) ([]harness.NodeID, error) {
	var errs []error
	for _, n := range c.Nodes() {
		r, err := readReplica(ctx, c, n, key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return machines(r.Owners), nil
	}
	return nil, fmt.Errorf("replicas of %q: %w", key, errors.Join(errs...))
}

// ReadReplica returns node n's own copy of a key, which it has to own. Hints that n holds for
// others are no part of it.
func (t *Target) ReadReplica(ctx context.Context, c harness.Cluster, n harness.NodeID, key string) (harness.Reading, error) {
	r, err := readReplica(ctx, c, n, key)
	if err == nil && !r.Owner {
		// The owner may have run here before the disk was emptied: this is not its copy.
		err = fmt.Errorf("ask %s for its copy: %s does not own the key", n, r.Node)
	}
	if err != nil {
		return harness.Reading{}, err
	}
	return harness.Reading{Siblings: versions(r.Siblings), Token: r.Context, State: digest(r.State)}, nil
}

func readReplica(ctx context.Context, c harness.Cluster, n harness.NodeID, key string) (client.Copy, error) {
	return ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Copy, error) {
		return a.ReadReplica(ctx, store.Key(key))
	})
}

// Quiet asks every node whether anything is left to do. A node says that it is settled
// when no request is under way there, no hint waits there, and it has compared equal with
// every peer in a comparison of all shared keys that began after its last change. So if
// all say it, all replicas of all keys are equal and nothing is left that could change them.
//
// They are asked twice. A hint that is handed over between two answers is missing from
// both: its receiver answered before, its sender after. The second time the receiver tells.
//
// Where tombstones are collected, every node then has to look for them a few times more: what is left after that
// is left for good, and the audit tells of it.
func (t *Target) Quiet(ctx context.Context, c harness.Cluster) (string, error) {
	var looks string
	for range 2 {
		all, reason, err := askAll(ctx, c)
		if err != nil {
			return "", err
		}
		looks = t.looking(all)
		if reason != "" {
			return reason, nil
		}
	}
	return looks, nil
}

// askAll returns what the nodes say and what they still have to do.
func askAll(ctx context.Context, c harness.Cluster) (all map[harness.NodeID]client.Status, reason string, err error) {
	nodes := everywhere(c)
	said := make([]client.Status, len(nodes))
	var eg errgroup.Group
	for i, n := range nodes {
		eg.Go(func() error {
			st, err := ask(ctx, c, n, func(ctx context.Context, a *client.Admin) (client.Status, error) { return a.Status(ctx) })
			said[i] = st
			return err
		})
	}
	if err := eg.Wait(); err != nil {
		return nil, "", err
	}
	all = map[harness.NodeID]client.Status{}
	var reasons []string
	for i, st := range said {
		all[nodes[i]] = st
		if r := unsettled(st); r != "" {
			reasons = append(reasons, fmt.Sprintf("%s: %s", nodes[i], r))
		}
	}
	return all, strings.Join(reasons, "; "), nil
}

// unsettled says what a node still has to do; nothing if it is settled.
func unsettled(st client.Status) string {
	if st.Settled {
		return ""
	}
	var left []string
	if st.Fault != "" {
		left = append(left, "takes no writes: "+st.Fault)
	}
	if st.InFlight > 0 {
		left = append(left, fmt.Sprintf("%d requests under way", st.InFlight))
	}
	if st.Hints > 0 {
		left = append(left, fmt.Sprintf("%d hints wait", st.Hints))
	}
	for _, p := range st.Peers {
		switch {
		case !p.Up:
			left = append(left, fmt.Sprintf("believes %s down", p.Node))
		case !p.Compared || p.CleanAge >= st.WriteAge:
			left = append(left, fmt.Sprintf("has not compared equal with %s since its last change", p.Node))
		}
	}
	if len(left) == 0 {
		return "not settled"
	}
	return strings.Join(left, ", ")
}
