package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cartwheel/harness"
)

// A ward knows which faults hold which nodes, so that nemeses whose faults overlap do not
// take each other's work for a failure. Nemeses that are composed share one. Its lock
// is held over every look at a node and every change of one; the fields need it.
type ward struct {
	lock
	dead   map[harness.NodeID][]string // faults that keep the node dead
	frozen map[harness.NodeID][]string // faults that keep it paused
	ended  map[string][]harness.NodeID // nodes whose pause a kill has ended, by the pause
}

// A patient is what each nemesis of nodes has: a ward, its own until one is shared.
type patient struct {
	once sync.Once
	at   *ward
}

// A sharer can be given a ward before it is used.
type sharer interface{ share(*ward) }

func (p *patient) share(w *ward) { p.at = w }

func (p *patient) ward() *ward {
	p.once.Do(func() {
		if p.at == nil {
			p.at = new(ward)
		}
	})
	return p.at
}

// kill notes that a fault keeps the node dead. Its pauses are over: a process that begins
// anew is not paused.
func (w *ward) kill(n harness.NodeID, fault string) {
	if w.dead == nil {
		w.dead, w.ended = map[harness.NodeID][]string{}, map[string][]harness.NodeID{}
	}
	w.dead[n] = append(w.dead[n], fault)
	for _, pause := range w.frozen[n] {
		w.ended[pause] = append(w.ended[pause], n)
	}
	delete(w.frozen, n)
}

// freeze notes that a fault keeps the node paused.
func (w *ward) freeze(n harness.NodeID, fault string) {
	if w.frozen == nil {
		w.frozen = map[harness.NodeID][]string{}
	}
	w.frozen[n] = append(w.frozen[n], fault)
}

// letGo ends a fault's hold in one of the ward's tables and reports whether another
// fault still holds the node.
func letGo(table map[harness.NodeID][]string, n harness.NodeID, fault string) (held bool) {
	left := slices.DeleteFunc(table[n], func(f string) bool { return f == fault })
	if len(left) == 0 {
		delete(table, n)
		return false
	}
	table[n] = left
	return true
}

func (w *ward) isDead(n harness.NodeID) bool   { return len(w.dead[n]) > 0 }
func (w *ward) isFrozen(n harness.NodeID) bool { return len(w.frozen[n]) > 0 }

// await waits with the lock held, but for the others, until one of the nodes is as it should
// be, or for a while. Plans keep faults apart, but on a busy machine one is healed late.
func (w *ward) await(ctx context.Context, nodes []harness.NodeID, is func(harness.NodeID) bool) {
	ctx, cancel := context.WithTimeout(ctx, beginLimit)
	defer cancel()
	_ = w.persist(ctx, func() error {
		if slices.ContainsFunc(nodes, is) {
			return nil
		}
		return errors.New("other faults hold all of the nodes")
	})
}

// living returns those of a fault's nodes that no kill holds and records who was left out.
func (w *ward) living(ctx context.Context, e proof, nodes []harness.NodeID) []harness.NodeID {
	w.await(ctx, nodes, func(n harness.NodeID) bool { return !w.isDead(n) })
	var whom []harness.NodeID
	for _, n := range nodes {
		if w.isDead(n) {
			e.probe(before, fmt.Sprintf("%s dead by %s, left out", n, strings.Join(w.dead[n], " and ")), true, true)
			continue
		}
		whom = append(whom, n)
	}
	return whom
}

// serves reports whether no fault keeps the node from running.
func (w *ward) serves(n harness.NodeID) bool { return !w.isDead(n) && !w.isFrozen(n) }

// persist tries, with the lock held, until it works or ctx is over. Others get the lock
// between two tries: what they heal may be what is waited for.
func (w *ward) persist(ctx context.Context, do func() error) error {
	return w.persistEvery(ctx, retryEvery, do)
}

// persistEvery is persist with another pause between two tries.
func (w *ward) persistEvery(ctx context.Context, pause time.Duration, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		w.release()
		more := wait(ctx, pause)
		_ = w.acquire(context.WithoutCancel(ctx)) // fails only with its context, which has no end
		if !more {
			return err
		}
	}
}

// aside does something with the lock given away: others need not wait for a store that takes its time to answer.
func (w *ward) aside(ctx context.Context, do func() error) error {
	w.release()
	err := do()
	_ = w.acquire(context.WithoutCancel(ctx))
	return err
}
