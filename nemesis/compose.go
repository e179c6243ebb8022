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
// Nodes that one plans to have killed are left alone by the others, and each partition has
// a part of its time without faults of nodes, so that what it cuts has something to say.
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

// Possible plays those of several nemeses that the cluster can have, which [harness.Nemesis]'s
// Check finds out; until then it is all of them. Its name tells which are left.
func Possible(parts ...harness.Nemesis) harness.Nemesis {
	return &possible{Nemesis: Compose(parts...), parts: parts}
}

type possible struct {
	harness.Nemesis
	parts []harness.Nemesis
	left  []harness.Skip
}

// Check is content if one of the nemeses is.
func (p *possible) Check(cl harness.Cluster) error {
	var errs []error
	var able []harness.Nemesis
	p.left = nil
	for _, n := range p.parts {
		if err := n.Check(cl); err != nil {
			errs = append(errs, err)
			p.left = append(p.left, harness.Skip{Kind: n.Name(), Why: oneLine(err)})
			continue
		}
		able = append(able, n)
	}
	if len(able) == 0 {
		return errors.Join(errs...)
	}
	p.Nemesis = Compose(able...)
	return nil
}

// Meet tells all of them, since Check is still to find out which are left.
func (p *possible) Meet(t harness.Target) { composed(p.parts).Meet(t) }

// Skipped tells which nemeses are left out, and what those that are not leave out.
func (p *possible) Skipped() []harness.Skip {
	return append(slices.Clone(p.left), skippedBy(p.Nemesis)...)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

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

func (c composed) Meet(t harness.Target) {
	for _, n := range c {
		if a, ok := n.(harness.Acquainted); ok {
			a.Meet(t)
		}
	}
}

func (c composed) Skipped() (all []harness.Skip) {
	for _, n := range c {
		all = append(all, skippedBy(n)...)
	}
	return all
}

func skippedBy(n harness.Nemesis) []harness.Skip {
	if s, ok := n.(harness.Skipper); ok {
		return s.Skipped()
	}
	return nil
}

func (c composed) Check(cl harness.Cluster) error {
	var errs []error
	for _, n := range c {
		errs = append(errs, n.Check(cl))
	}
	return errors.Join(errs...)
}

// lateMax is how much later than the first nemesis another begins at most.
const lateMax = 4 * time.Second

func (c composed) Plan(r *rand.Rand, nodes []harness.NodeID, span time.Duration) []harness.Fault {
	plans := make([][]harness.Fault, len(c))
	for i, n := range c {
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		late := time.Duration(0) // else the first faults of all would begin at one instant
		if i > 0 {
			late = time.Duration(own.Int64N(max(1, int64(min(lateMax, span/8)))))
		}
		plans[i] = n.Plan(own, nodes, span-late)
		for j := range plans[i] {
			plans[i][j].Start += late
			plans[i][j].Stop += late
		}
	}
	return schedule.Merge(meet(spare(leaveRoom(r, leaveCalm(schedule.Merge(cutAround(cutBehind(cutBefore(r, schedule.Merge(plans...))))))), nodes), nodes))
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
