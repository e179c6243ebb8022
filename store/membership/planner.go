package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
)

// wishesMax bounds a plan.
const wishesMax = 1000

// A Planner holds the wishes of operators until they are committed. They are this node's alone and do not outlive it; what
// is committed names the number of the version that it is to become, so that a plan made for another layout is refused.
type Planner struct {
	self    store.NodeID
	keeper  *Keeper
	waiting func() []store.Member // nodes that have asked for a role

	mu     sync.Mutex // guards wishes, never a wait
	wishes []Wish
}

// NewPlanner returns a planner without wishes.
func NewPlanner(self store.NodeID, k *Keeper, waiting func() []store.Member) *Planner {
	return &Planner{self: self, keeper: k, waiting: waiting}
}

// A Preview is what a plan would do.
type Preview struct {
	Number   uint64 // of the version that it would become
	Wishes   []Wish // none: nothing is planned
	From, To *ring.Layout
}

// Stage adds wishes, all or none, and returns what the plan then would do.
func (p *Planner) Stage(wishes []Wish) (Preview, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Concat(p.wishes, wishes)
	if len(all) > wishesMax {
		return Preview{}, fmt.Errorf("stage: %d wishes, %d at most: commit or abort some: %w", len(all), wishesMax, store.ErrInvalid)
	}
	v, err := p.preview(all)
	if err != nil {
		return Preview{}, fmt.Errorf("stage: %w", err)
	}
	p.wishes = all
	return v, nil
}

// Preview returns what the plan would do.
func (p *Planner) Preview() (Preview, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, err := p.preview(p.wishes)
	if err != nil {
		if len(p.wishes) > 0 {
			err = fmt.Errorf("what was staged does not fit the members any more, 'abort' forgets it: %w", err)
		}
		return Preview{}, fmt.Errorf("plan: %w", err)
	}
	return v, nil
}

func (p *Planner) preview(wishes []Wish) (Preview, error) {
	h := p.keeper.Now()
	if !h.Joined() {
		return Preview{}, fmt.Errorf("%s has not joined a cluster, ask a member: %w", p.self, store.ErrNotMember)
	}
	from := h.Newest().Layout
	v := Preview{Number: h.Newest().Number + 1, Wishes: slices.Clone(wishes), From: from, To: from}
	if len(wishes) == 0 {
		return v, nil
	}
	made, err := apply(from.Roles(), wishes, p.waiting())
	if err != nil {
		return Preview{}, err
	}
	for _, r := range made.roles {
		if h.Fenced(r.ID) {
			return Preview{}, fmt.Errorf("%s was removed, and its name never comes back: wipe it and join it under a new one: %w", r.ID, history.ErrRemoved)
		}
	}
	if v.To, err = from.Change(made.roles); err != nil {
		return Preview{}, fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	return v, nil
}

// Commit makes the plan the version of that number, and forgets the wishes. It returns once the version is on this
// node's disk; the others hear of it by gossip.
func (p *Planner) Commit(ctx context.Context, number uint64) (history.Version, error) {
	p.mu.Lock()
	wishes := p.wishes
	p.mu.Unlock()
	if len(wishes) == 0 {
		return history.Version{}, fmt.Errorf("commit: nothing is planned on %s: stage join, leave, replace, set or force-remove on it first: %w", p.self, store.ErrInvalid)
	}
	h, err := p.keeper.Change(ctx, func(h history.History) (history.History, error) {
		if !h.Joined() {
			return h, fmt.Errorf("commit: %s has not joined a cluster: %w", p.self, store.ErrNotMember)
		}
		made, err := apply(h.Newest().Layout.Roles(), wishes, p.waiting())
		switch {
		case err != nil:
			return h, err
		case len(made.forced) > 0:
			return h.ForceRemove(p.self, number, made.forced...)
		}
		return h.Commit(p.self, number, made.roles)
	})
	if err != nil {
		return history.Version{}, advise(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.wishes) >= len(wishes) { // others may have been staged meanwhile
		p.wishes = slices.Clone(p.wishes[len(wishes):])
	}
	for _, v := range h.Live() {
		if v.Number == number {
			return v, nil
		}
	}
	return h.Oldest(), nil // it has settled and been followed by another already
}

// Abort forgets the wishes, if there are any. Otherwise it takes the pending change back, as the version of that number, and
// returns the number; 0 for wishes that were forgotten.
func (p *Planner) Abort(ctx context.Context, number uint64) (uint64, error) {
	p.mu.Lock()
	had := len(p.wishes) > 0
	p.wishes = nil
	p.mu.Unlock()
	if had {
		return 0, nil
	}
	if _, err := p.keeper.Change(ctx, func(h history.History) (history.History, error) { return h.Abort(p.self, number) }); err != nil {
		return 0, advise(err)
	}
	return number, nil
}

// advise adds what an operator may do about a refusal.
func advise(err error) error {
	for _, a := range []struct {
		is   error
		hint string
	}{
		{history.ErrPending, "wait until 'members' shows that it has settled, or abort it"},
		{history.ErrVersion, "look at 'plan' again: the layout has changed since"},
		{history.ErrRemoved, "wipe it and join it under a new name"},
		{history.ErrNothing, "what has settled is taken back by a new plan"},
	} {
		if errors.Is(err, a.is) {
			return fmt.Errorf("%w; %s: %w", err, a.hint, store.ErrInvalid)
		}
	}
	return err
}
