package cart

import (
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/checker"
)

const (
	cartsAtRest    = 20               // so many that most of them may rest
	restMax        = 15 * time.Second // that a cart is left alone for after a check-out
	livesMax       = 3                // check-outs of a cart until it is replaced by another, at the latest
	emptyCartsInto = 6                // one write in so many deletes a cart of those that rest
	deletedRate    = 25               // operations a second on carts that rest: collection is what takes its time

	// collectEvery is the time between two looks for tombstones: much less than carts rest, so that most
	// are written anew after a collection, and some while one is under way.
	collectEvery = 2 * time.Second
)

// Deleted returns the cart on a store that collects tombstones as soon as it may. Carts are checked out as a whole, left
// alone for a while, and filled anew or never touched again: what was deleted must stay so, and what is new must stay.
func Deleted() harness.Workload {
	return deleting("cart-deleted", "carts deleted as a whole and written anew while tombstones are collected: what was deleted stays so")
}

// DeletedUnhinted returns the same on a store that keeps no hints: an owner that was away hears of a delete when it is compared
// with others, and not before. Only that it is asked keeps the tombstone.
func DeletedUnhinted() harness.Workload {
	w := deleting("cart-deleted-full", "the same without room for hints: tombstones must wait for owners that were away")
	w.Store.HintBytes = 1
	w.Events = []harness.Event{checker.Collected(), checker.Anew()}
	return w
}

// DeletedLate returns the same on a store whose hints trickle: many are older than a delete that all owners have heard of, since
// they are compared with each other. Only that all members are asked for them keeps the tombstone.
func DeletedLate() harness.Workload {
	w := deleting("cart-deleted-late", "the same with slow hints: tombstones must wait for those that are older")
	w.Store.HintRate = lateRate
	w.Events = []harness.Event{checker.Hinted(), checker.Collected()}
	return w
}

func deleting(name, doc string) harness.Workload {
	w := Workload()
	w.Name, w.Doc = name, doc
	w.Store.TombstoneInterval = collectEvery
	w.Generator = func(s harness.Setup) harness.Generator { return shopping(s, shop{rests: true}) }
	w.Checkers = checkers(checker.Claims{Mode: checker.Sloppy, Collects: true})
	w.Events = []harness.Event{checker.Hinted(), checker.SiblingsMerged(), checker.Collected(), checker.Anew()}
	return w
}

// checkOutInto is the chance of a check-out, as one in so many.
func (g shop) checkOutInto() int {
	if g.rests {
		return emptyCartsInto
	}
	return checkOutInto
}

// resting reports whether a cart rests or has been replaced: who has looked at it before checks out as well.
func (g shop) resting(c harness.GenContext, key string) bool {
	if !g.rests {
		return false
	}
	i := slices.IndexFunc(g.carts, func(b basket) bool { return b.key == key })
	return i < 0 || g.carts[i].until > c.Time
}

// lateFor reports whether a shopper has nothing to do at a cart that rests: it has seen nothing that it could delete.
func (g shop) lateFor(c harness.GenContext, s shopper) bool {
	return len(s.items) == 0 && g.resting(c, s.key)
}

// rested leaves a cart alone for a while, or for ever: then another takes its place.
func (g shop) rested(c harness.GenContext, key string) shop {
	i := slices.IndexFunc(g.carts, func(b basket) bool { return b.key == key })
	if !g.rests || i < 0 || g.carts[i].until > c.Time {
		return g
	}
	g.carts = slices.Clone(g.carts)
	b := &g.carts[i]
	b.lives++
	b.until = c.Time + time.Duration(c.Rand.Int64N(int64(restMax)))
	if b.lives <= c.Rand.IntN(livesMax+1) {
		return g
	}
	g.carts = slices.Delete(g.carts, i, i+1)
	return g.opened()
}

// awake lists the carts that do not rest, or else the one that rests for the shortest time, and from when on it does not.
func (g shop) awake(c harness.GenContext) (carts []basket, from time.Duration) {
	first := g.carts[0]
	for _, b := range g.carts {
		if b.until <= c.Time {
			carts = append(carts, b)
		}
		if b.until < first.until {
			first = b
		}
	}
	if len(carts) == 0 {
		return []basket{first}, first.until
	}
	return carts, c.Time
}
