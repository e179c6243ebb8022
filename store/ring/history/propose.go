package history

import (
	"errors"
	"fmt"
	"slices"

	"cartwheel/store"
	"cartwheel/store/ring"
)

// LiveMax bounds the versions that are live at once: the settled one, a plan, its abort and a removal by force.
const LiveMax = 4

// Errors of proposals and merges.
var (
	ErrPending = errors.New("a change is pending")          // wait until it has settled, or abort it
	ErrVersion = errors.New("not the next version")         // the plan was made for another one: plan again
	ErrRemoved = errors.New("node was removed")             // its id never comes back: join under a new one
	ErrForked  = errors.New("histories of two clusters")    // or of one that was torn by force
	ErrNothing = errors.New("nothing pending to be undone") // the change has settled

	// ErrOutdated means that a node came back with a disk of the past: see [History.Outdated]. It has to be replaced.
	ErrOutdated = errors.New("the disk is older than a collection of tombstones")
)

// Commit appends the version of that number, with the layout that Change makes of the
// newest one for the roles. self must be a member, no change may be pending but for a sweep, and number must be the next. A sweep
// moves nothing, so its owners are those to copy from, and it may be waiting for the very node that is to be replaced.
func (h History) Commit(self store.NodeID, number uint64, roles []ring.Role) (History, error) {
	if err := h.mayPropose(self, number); err != nil {
		return h, fmt.Errorf("commit version %d: %w", number, err)
	}
	if !h.Settled() && (len(h.live) > 2 || h.Newest().Kind != Sweep) {
		return h, fmt.Errorf("commit version %d: %w: %d of %d live", number, ErrPending, h.Newest().Number, len(h.live))
	}
	for _, r := range roles {
		if h.Fenced(r.ID) {
			return h, fmt.Errorf("commit version %d: %s: %w", number, r.ID, ErrRemoved)
		}
	}
	l, err := h.Newest().Layout.Change(roles)
	if err != nil {
		return h, fmt.Errorf("commit version %d: %w", number, err)
	}
	return h.appended(number, Planned, l, nil), nil
}

// Sweep appends a version of that number with the same owners. It moves nothing; what counts is that it settles: every
// write that was begun before it has ended by then, and every replica refuses what is still on its way. self must be a
// member, no change may be pending, and number must be the next.
func (h History) Sweep(self store.NodeID, number uint64) (History, error) {
	if err := h.mayPropose(self, number); err != nil {
		return h, fmt.Errorf("sweep as version %d: %w", number, err)
	}
	if !h.Settled() {
		return h, fmt.Errorf("sweep as version %d: %w: %d of %d live", number, ErrPending, h.Newest().Number, len(h.live))
	}
	return h.appended(number, Sweep, h.Newest().Layout, nil), nil
}

// Abort appends a version of that number with the owners of the oldest live one. Writes go to the owners of the
// aborted version until all nodes know that it is.
func (h History) Abort(self store.NodeID, number uint64) (History, error) {
	if err := h.mayPropose(self, number); err != nil {
		return h, fmt.Errorf("abort as version %d: %w", number, err)
	}
	// Once this node has sync-acked, others may have settled without waiting for anything further.
	if h.Settled() || h.Newest().Kind != Planned && h.Newest().Kind != Sweep || h.syncAck[self] >= h.Newest().Number {
		return h, fmt.Errorf("abort as version %d: %w", number, ErrNothing)
	}
	return h.appended(number, Abort, h.Oldest().Layout, nil), nil
}

// ForceRemove appends a version of that number without nodes that will not come back. A
// pending change is no hindrance: they may be what holds it up, also as nodes that were about to leave. Writes that only they hold are lost.
func (h History) ForceRemove(self store.NodeID, number uint64, nodes ...store.NodeID) (History, error) {
	if err := h.mayPropose(self, number); err != nil {
		return h, fmt.Errorf("remove by force as version %d: %w", number, err)
	}
	base, waits := h.Newest().Layout, h.Waits()
	for _, n := range nodes {
		if !slices.Contains(waits, n) || n == self {
			return h, fmt.Errorf("remove %s by force, on %s: want another member: %w", n, self, store.ErrInvalid)
		}
	}
	roles := slices.DeleteFunc(slices.Clone(base.Roles()), func(r ring.Role) bool { return slices.Contains(nodes, r.ID) })
	l, err := base.Change(roles)
	if err != nil {
		return h, fmt.Errorf("remove by force as version %d: %w", number, err)
	}
	return h.appended(number, Forced, l, nodes), nil
}

func (h History) mayPropose(self store.NodeID, number uint64) error {
	if len(h.live) == 0 {
		return fmt.Errorf("%s has not joined a cluster: %w", self, store.ErrInvalid)
	}
	if _, ok := h.Newest().Layout.Member(self); !ok || h.Fenced(self) {
		return fmt.Errorf("%s is no member, ask one that stays: %w", self, store.ErrInvalid)
	}
	if next := h.Newest().Number + 1; number != next {
		return fmt.Errorf("%w, which is %d", ErrVersion, next)
	}
	if len(h.live) >= LiveMax {
		return fmt.Errorf("%w: %d versions are live", ErrPending, len(h.live))
	}
	return nil
}

func (h History) appended(number uint64, kind Kind, l *ring.Layout, forced []store.NodeID) History {
	h.live = append(slices.Clone(h.live), newVersion(h.Newest().ID, number, kind, l, forced))
	return h
}
