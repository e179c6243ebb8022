package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

// A Hint is a state that waits here for an owner that could not be reached.
type Hint struct {
	Partition ring.Partition
	Key       store.Key
	Target    store.NodeID
	Set       version.Set
}

// Cursor returns the place of the hint in the order of NextHints: the hints behind it are listed next.
func (h Hint) Cursor() []byte { return cursorOf(h.Partition, h.Key) }

// SizeBytes returns about how many bytes the hint takes on the wire.
func (h Hint) SizeBytes() int {
	n := len(h.Key) + len(h.Set.Vector)*24
	for _, v := range h.Set.Versions {
		n += len(v.Value) + 48
	}
	return n
}

// HintStat counts the hints for one owner.
type HintStat struct {
	Target store.NodeID
	Hints  uint64
	Bytes  uint64 // as stored
}

// HintTargets returns the owners for which hints wait, sorted, damaged ones that nobody has met included.
func (r *Replica) HintTargets(ctx context.Context) ([]HintStat, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return r.ledger.list(), nil
}

// NextHints returns up to limit hints for a target, ordered by partition and key, that
// come behind the cursor after, and the cursor to go on from: nil when there are no more.
//
// A damaged hint does not hold up those behind it: it is left out and set aside, and
// the error, which wraps store.ErrCorrupt, comes beside the hints that are whole.
func (r *Replica) NextHints(ctx context.Context, target store.NodeID, after []byte, limit int) (hints []Hint, next []byte, err error) {
	if limit < 1 {
		return nil, nil, fmt.Errorf("next hints for %s: limit %d: %w", target, limit, store.ErrInvalid)
	}
	if !r.gate.enter() {
		return nil, nil, fmt.Errorf("storage: %w", store.ErrClosed)
	}
	defer r.gate.leave()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if r.ledger.of(target) == 0 {
		return nil, nil, nil // nearly always, and every node asks for every other twice a second
	}
	entries, next, err := r.indexPage(target, after, limit)
	if err != nil {
		return nil, nil, fmt.Errorf("next hints for %s: %w", target, err)
	}
	var damage error
	for _, h := range entries {
		at := hintKey(h.Partition, h.Key, h.Target)
		b, ok, err := r.hints.Get(at)
		if err != nil {
			return nil, nil, fmt.Errorf("next hints for %s: %w", target, err)
		}
		if !ok {
			continue // dropped since the index was read
		}
		rec, err := r.decode(at, b)
		if err != nil {
			damage = errors.Join(damage, fmt.Errorf("hint of %q for %s: %w", h.Key, target, err), r.setHintAside(ctx, h))
			continue
		}
		h.Set = rec.set
		hints = append(hints, h)
	}
	return hints, next, damage
}

// indexPage reads the names of up to limit hints of a target.
func (r *Replica) indexPage(target store.NodeID, after []byte, limit int) (page []Hint, next []byte, err error) {
	prefix := indexOf(target)
	lo := slices.Clone(prefix)
	if len(after) > 0 {
		lo = append(append(lo, after...), 0) // the first key behind after
	}
	var bad error
	more := false
	err = r.hints.Scan(lo, prefixEnd(prefix), func(at, _ []byte) bool {
		if more = len(page) == limit; more {
			return false
		}
		p, key, target, err := parseIndexKey(at)
		if bad = err; bad != nil {
			return false
		}
		page = append(page, Hint{Partition: p, Key: key, Target: target})
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, nil, err
	}
	if more {
		next = cursorOf(page[limit-1].Partition, page[limit-1].Key)
	}
	return page, next, nil
}

// DropHint deletes a hint that was delivered, unless it has changed since it was read:
// then the target lacks what was joined in meanwhile, and the hint stays.
func (r *Replica) DropHint(ctx context.Context, h Hint) (dropped bool, err error) {
	leave, err := r.enter(ctx, h.Partition, h.Key, h.Target)
	if err != nil {
		return false, fmt.Errorf("drop hint of %q for %s: %w", h.Key, h.Target, err)
	}
	defer leave()
	at := hintKey(h.Partition, h.Key, h.Target)
	stored, ok, err := r.hints.Get(at)
	if err != nil {
		return false, fmt.Errorf("drop hint of %q for %s: %w", h.Key, h.Target, err)
	}
	if !ok {
		return false, nil
	}
	rec, err := r.decode(at, stored)
	if err != nil {
		return false, fmt.Errorf("drop hint of %q for %s: %w", h.Key, h.Target, err)
	}
	if !bytes.Equal(rec.set.Encode(), h.Set.Encode()) {
		return false, nil
	}
	var b Batch
	b.Delete(at)
	b.Delete(indexKey(h.Partition, h.Key, h.Target))
	if err := r.write(r.hints, &b); err != nil {
		return false, fmt.Errorf("drop hint of %q for %s: %w", h.Key, h.Target, err)
	}
	r.ledger.add(h.Target, -1, -len(at)-len(stored))
	return true, nil
}

// countHints fills the ledger at boot from what earlier lives left, so that their hints
// are delivered too.
func (r *Replica) countHints() error {
	var bad error
	err := r.hints.Scan(hintPrefix, prefixEnd(hintPrefix), func(at, b []byte) bool {
		target, err := hintTarget(at)
		if bad = err; bad != nil {
			return false
		}
		r.ledger.add(target, 1, len(at)+len(b))
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return fmt.Errorf("count hints: %w", err)
	}
	return nil
}

// A ledger counts the hints held without asking the disk.
type ledger struct {
	mu      sync.Mutex
	total   int
	bytes   uint64
	targets map[store.NodeID]*HintStat
}

// reserve adds to the account if the limits allow it. What makes a hint smaller is always allowed.
func (l *ledger) reserve(target store.NodeID, hints, sizeBytes int, o Options) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var held uint64
	if t := l.targets[target]; t != nil {
		held = t.Bytes
	}
	grows := uint64(max(sizeBytes, 0))
	switch {
	case grows == 0:
	case l.bytes+grows > o.HintSizeBytesMax:
		return fmt.Errorf("hints fill %d bytes of %d, none of %d more is taken: %w", l.bytes, o.HintSizeBytesMax, grows, store.ErrOverloaded)
	case held+grows > o.HintTargetSizeBytesMax:
		return fmt.Errorf("hints for %s fill %d bytes of %d, none of %d more is taken: %w", target, held, o.HintTargetSizeBytesMax, grows, store.ErrOverloaded)
	}
	l.change(target, hints, sizeBytes)
	return nil
}

func (l *ledger) add(target store.NodeID, hints, sizeBytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change(target, hints, sizeBytes)
}

// change books a change; the caller holds the lock.
func (l *ledger) change(target store.NodeID, hints, sizeBytes int) {
	if l.targets == nil {
		l.targets = map[store.NodeID]*HintStat{}
	}
	t := l.targets[target]
	if t == nil {
		t = &HintStat{Target: target}
		l.targets[target] = t
	}
	l.total += hints
	t.Hints += uint64(hints) // wraps for negative numbers, as it should
	t.Bytes += uint64(sizeBytes)
	l.bytes += uint64(sizeBytes)
	if t.Hints == 0 {
		delete(l.targets, target)
	}
}

func (l *ledger) hints() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// of returns how many hints wait for a target.
func (l *ledger) of(target store.NodeID) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.targets[target]; t != nil {
		return t.Hints
	}
	return 0
}

func (l *ledger) list() []HintStat {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []HintStat
	for _, t := range l.targets {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b HintStat) int { return strings.Compare(string(a.Target), string(b.Target)) })
	return out
}
