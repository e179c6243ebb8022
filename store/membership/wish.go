package membership

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// A Kind says what a wish is for.
type Kind uint8

// Kinds of wishes.
const (
	Join        Kind = iota // a node becomes a member
	Leave                   // a member leaves
	Replace                 // Node leaves and Other takes its place, with its zone and capacity
	Set                     // a member gets another zone, capacity or address
	ForceRemove             // a member that will not come back is removed without being waited for
)

// String returns the name of the command that makes such wishes.
func (k Kind) String() string {
	names := [...]string{"join", "leave", "replace", "set", "force-remove"}
	if int(k) >= len(names) { // wishes come over the wire
		return fmt.Sprintf("kind %d", k)
	}
	return names[k]
}

// A Wish is one part of a plan.
type Wish struct {
	Kind     Kind
	Node     store.NodeID
	Other    store.NodeID // who takes Node's place
	Address  string       // host:port of who joins, or Node's new one; empty: where it said that it is, or as before
	Zone     *string      // nil: as before, or of the node that is replaced
	Capacity int          // 0: as before, or 1
}

// String says the wish in the words of the command line.
func (w Wish) String() string {
	s := w.Kind.String() + " " + string(w.Node)
	if w.Kind == Replace {
		s += " " + string(w.Other)
	}
	if w.Address != "" {
		s += "=" + w.Address
	}
	if w.Zone != nil {
		s += " --zone " + *w.Zone
	}
	if w.Capacity > 0 {
		s += fmt.Sprintf(" --capacity %d", w.Capacity)
	}
	return s
}

// A plan is wishes and what they come to.
type plan struct {
	roles  []ring.Role
	forced []store.NodeID
}

// apply returns what the wishes make of roles. waiting are nodes whose addresses are known. The error says all that is wrong.
func apply(roles []ring.Role, wishes []Wish, waiting []store.Member) (plan, error) {
	p := plan{roles: slices.Clone(roles)}
	var errs []error
	for _, w := range wishes {
		if err := p.add(w, waiting); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w, err))
		}
	}
	if len(p.forced) > 0 && len(p.forced) < len(wishes) {
		errs = append(errs, fmt.Errorf("a removal by force is a change of its own: commit it by itself: %w", store.ErrInvalid))
	}
	return p, errors.Join(errs...)
}

func (p *plan) add(w Wish, waiting []store.Member) error {
	i := slices.IndexFunc(p.roles, func(r ring.Role) bool { return r.ID == w.Node })
	if i < 0 && w.Kind != Join && w.Kind != ForceRemove {
		return fmt.Errorf("%s is no member: %w", w.Node, store.ErrInvalid)
	}
	switch w.Kind {
	case Join:
		if i >= 0 {
			return fmt.Errorf("%s is a member already: %w", w.Node, store.ErrInvalid)
		}
		return p.join(w, ring.Role{Member: store.Member{ID: w.Node}}, waiting)
	case Leave:
		p.roles = slices.Delete(p.roles, i, i+1)
	case Replace:
		if slices.ContainsFunc(p.roles, func(r ring.Role) bool { return r.ID == w.Other }) {
			return fmt.Errorf("%s is a member already: %w", w.Other, store.ErrInvalid)
		}
		r := p.roles[i]
		r.Member = store.Member{ID: w.Other}
		p.roles = slices.Delete(p.roles, i, i+1)
		return p.join(w, r, waiting)
	case Set:
		w.set(&p.roles[i])
	case ForceRemove:
		if p.forced = append(p.forced, w.Node); i >= 0 { // if it is not, it may be about to leave
			p.roles = slices.Delete(p.roles, i, i+1)
		}
	default:
		return fmt.Errorf("wish of kind %d: %w", w.Kind, store.ErrInvalid)
	}
	return nil
}

func (w Wish) set(r *ring.Role) {
	r.Address = cmp.Or(w.Address, r.Address)
	r.Capacity = cmp.Or(w.Capacity, r.Capacity)
	if w.Zone != nil {
		r.Zone = *w.Zone
	}
}

func (p *plan) join(w Wish, r ring.Role, waiting []store.Member) error {
	if r.ID == "" {
		return fmt.Errorf("want the name of the node that joins: %w", store.ErrInvalid)
	}
	for _, m := range waiting {
		if m.ID == r.ID {
			r.Address = m.Address
		}
	}
	if w.set(&r); r.Address == "" {
		return fmt.Errorf("%s has not asked this node for a role: start it with --join, or say %s=host:port: %w", r.ID, r.ID, store.ErrInvalid)
	}
	p.roles = append(p.roles, r)
	return nil
}
