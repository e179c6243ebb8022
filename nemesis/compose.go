package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
	"cartwheel/nemesis/schedule"
)

// Compose plays several nemeses at the same time. Each plans on its own, so their
// faults overlap; a fault goes to the nemesis that makes its kind, the first of equals.
// Nodes that one plans to have killed are left alone by the others.
func Compose(parts ...harness.Nemesis) harness.Nemesis {
	if len(parts) == 1 {
		return parts[0]
	}
	w := new(ward)
	for _, n := range parts {
		if s, ok := n.(sharer); ok {
			s.share(w)
		}
	}
	return composed(slices.Clone(parts))
}

// A kinder says which kinds of fault it makes. All nemeses of this package do.
type kinder interface{ kinds() []string }

type composed []harness.Nemesis

func (c composed) Name() string {
	if len(c) == 0 {
		return None{}.Name()
	}
	names := make([]string, len(c))
	for i, n := range c {
		names[i] = n.Name()
	}
	return strings.Join(names, ",")
}

func (c composed) kinds() []string {
	var all []string
	for _, n := range c {
		if k, ok := n.(kinder); ok {
			all = append(all, k.kinds()...)
		}
	}
	return all
}

func (c composed) Check(cl harness.Cluster) error {
	var errs []error
	for _, n := range c {
		errs = append(errs, n.Check(cl))
	}
	return errors.Join(errs...)
}

func (c composed) Plan(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	plans := make([][]harness.Fault, len(c))
	for i, n := range c {
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		plans[i] = n.Plan(own, nodes, span)
	}
	return schedule.Merge(spare(schedule.Merge(plans...), nodes))
}

// of finds who makes a fault. A nemesis from elsewhere takes what nobody else claims.
func (c composed) of(f harness.Fault) harness.Nemesis {
	var stranger harness.Nemesis = None{}
	for _, n := range c {
		k, ok := n.(kinder)
		switch {
		case ok && slices.Contains(k.kinds(), f.Kind):
			return n
		case !ok:
			stranger = n
		}
	}
	return stranger
}

func (c composed) Inject(ctx context.Context, cl harness.Cluster, f harness.Fault, now func() time.Duration) (harness.Evidence, error) {
	return c.of(f).Inject(ctx, cl, f, now)
}

func (c composed) Heal(ctx context.Context, cl harness.Cluster, f harness.Fault, e *harness.Evidence, now func() time.Duration) error {
	return c.of(f).Heal(ctx, cl, f, e, now)
}
