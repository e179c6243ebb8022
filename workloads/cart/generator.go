package cart

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/generator"
)

const (
	cartsAtATime  = 5   // few enough that clients meet on one cart
	elementsMax   = 30  // added to a cart before it is retired, so that values stay small
	smallMax      = 5   // the same of a small cart
	defaultRate   = 100 // operations a second, all clients together
	removeOneInto = 5   // one write in so many removes, where there is something to remove
	checkOutInto  = 25  // one write in so many deletes the cart, where there is something in it
	setRate       = 40  // operations a second on a set, whose values only grow
)

// Generator lets every thread read a cart and then write it, over and over.
func Generator(s harness.Setup) harness.Generator { return inBucket("")(s) }

// inBucket is the same for carts whose keys begin with a bucket's name and a slash.
func inBucket(prefix string) func(harness.Setup) harness.Generator {
	return func(s harness.Setup) harness.Generator { return shopping(s, shop{prefix: prefix}) }
}

// smallGenerator is the same for carts that are soon full: whatever waits for one of them waits alone, since
// nobody writes to it any more, or reads it.
func smallGenerator(s harness.Setup) harness.Generator { return shopping(s, shop{full: smallMax}) }

func shopping(s harness.Setup, g shop) harness.Generator {
	open, rate := cartsAtATime, float64(defaultRate)
	if g.rests {
		open, rate = cartsAtRest, deletedRate
	}
	for range open {
		g = g.opened()
	}
	return generator.Stagger(cmp.Or(s.Rate, rate), s.Seed, g)
}

// setGenerator is the reference experiment of 2013 with Dynamo-like stores: everybody adds
// to the same set, which is never full, and nobody removes. A locked set is read and
// written by one thread at a time, as if under a perfect lock.
func setGenerator(prefix string, locked bool) func(harness.Setup) harness.Generator {
	return func(s harness.Setup) harness.Generator {
		return generator.Stagger(cmp.Or(s.Rate, setRate), s.Seed, shop{prefix: prefix, set: true, locked: locked}.opened())
	}
}

// A shop is the state of all carts and shoppers. It is a value: slices are copied
// before they change.
type shop struct {
	prefix   string // of all keys
	carts    []basket
	shoppers []shopper // by thread
	keys     int       // carts opened so far; names the next
	elements int       // elements added so far
	values   int       // puts so far

	full   int  // elements added to a cart before it is retired; default elementsMax
	set    bool // one cart, never full, nothing is removed
	locked bool // one shopper at a time
	rests  bool // who checks out leaves the cart alone for a while: see deleted.go
}

// A basket is a cart in use.
type basket struct {
	key   string
	added int
	lives int           // how often it was checked out, where carts rest
	until time.Duration // it rests until then
}

// A shopper is one thread. It alternates between looking and writing.
type shopper struct {
	looking bool // its get is under way
	looked  bool // its get is done: it writes next
	writing bool // its put or delete is under way
	key     string
	items   []string
	token   []byte // empty if it could not look: it adds blindly
}

// busy reports whether the shopper is anywhere between its get and the end of its put.
func (s shopper) busy() bool { return s.looking || s.looked || s.writing }

// opened returns the shop with one more cart.
func (g shop) opened() shop {
	g.keys++
	g.carts = append(slices.Clone(g.carts), basket{key: fmt.Sprintf("%scart%d", g.prefix, g.keys)})
	return g
}

// with returns the shop with a thread's shopper replaced.
func (g shop) with(c harness.GenContext, thread int, s shopper) shop {
	shoppers := make([]shopper, len(c.All))
	copy(shoppers, g.shoppers)
	shoppers[thread] = s
	g.shoppers = shoppers
	return g
}

func (g shop) shopper(thread int) shopper {
	if thread >= len(g.shoppers) {
		return shopper{}
	}
	return g.shoppers[thread]
}

func (g shop) Next(c harness.GenContext) (harness.Draw, harness.Generator) {
	process := c.Free[c.Rand.IntN(len(c.Free))]
	if g.locked {
		holder := slices.IndexFunc(g.shoppers, func(s shopper) bool { return s.busy() })
		if holder >= 0 {
			if process = c.All[holder]; !slices.Contains(c.Free, process) {
				return harness.Draw{State: harness.Pending}, g
			}
		}
	}
	thread := c.Thread(process)
	var op harness.Op
	s := g.shopper(thread)
	if s.looked && g.rests && g.lateFor(c, s) {
		s.looked = false // it looks at another cart instead
	}
	at := c.Time
	if s.looked {
		op, g = g.write(c, s)
		g = g.with(c, thread, shopper{writing: true})
	} else {
		awake := g.carts
		if g.rests {
			awake, at = g.awake(c)
		}
		op = harness.Op{F: harness.Get, Key: awake[c.Rand.IntN(len(awake))].key}
		g = g.with(c, thread, shopper{looking: true, key: op.Key})
	}
	op.Process = process
	return harness.Draw{State: harness.Ready, Op: op, At: at}, g
}

// write is what a shopper that has looked does: check out, which deletes all that it saw
// and leaves the cart to be filled anew; remove an element that it saw; or add a new one.
func (g shop) write(c harness.GenContext, s shopper) (harness.Op, shop) {
	if len(s.items) > 0 && !g.set && (g.resting(c, s.key) || c.Rand.IntN(g.checkOutInto()) == 0) {
		return harness.Op{F: harness.Delete, Key: s.key, Context: s.token, Action: "check out"}, g.rested(c, s.key)
	}
	g.values++
	op := harness.Op{F: harness.Put, Key: s.key, Context: s.token}
	items := slices.Clone(s.items)
	if len(items) > 0 && !g.set && c.Rand.IntN(removeOneInto) == 0 {
		i := c.Rand.IntN(len(items))
		op.Action, op.Element = "remove", items[i]
		items = slices.Delete(items, i, i+1)
	} else {
		g.elements++
		op.Action, op.Element = "add", fmt.Sprintf("e%d", g.elements)
		items = append(items, op.Element)
		g = g.filled(s.key)
	}
	op.Value = Value{ID: fmt.Sprintf("v%d", g.values), Items: items}.Encode()
	return op, g
}

// filled counts an element of a cart and replaces a cart that is full. Who is still
// about to write to the old one may: it only gets a little fuller.
func (g shop) filled(key string) shop {
	i := slices.IndexFunc(g.carts, func(b basket) bool { return b.key == key })
	if i < 0 {
		return g
	}
	g.carts = slices.Clone(g.carts)
	if g.carts[i].added++; g.carts[i].added < cmp.Or(g.full, elementsMax) || g.set {
		return g
	}
	g.carts = slices.Delete(g.carts, i, i+1)
	return g.opened()
}

func (g shop) Update(c harness.GenContext, op harness.Op) harness.Generator {
	if op.Process < 0 || op.Kind == harness.Invoke {
		return g
	}
	thread := c.Thread(op.Process)
	s := g.shopper(thread)
	switch {
	case s.writing:
		return g.with(c, thread, shopper{})
	case !s.looking:
		return g
	}
	s.looking, s.looked = false, true
	if op.Kind == harness.OK {
		s.items, s.token = Merge(op.Siblings), op.Token
	}
	return g.with(c, thread, s)
}
