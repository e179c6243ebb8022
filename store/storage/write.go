package storage

import (
	"context"
	"errors"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/version"
)

// A Write is one event of a key.
type Write struct {
	Past      version.Vector // what the client had seen: exactly this is superseded
	Value     []byte         // ignored for a tombstone
	Tombstone bool           // a delete
	WriteID   store.WriteID  // names the write in retries; zero: never the same as another
	// LastWriteWins makes the event supersede all that this node holds of the key, too. Its
	// stamp is later than theirs, so that no reader would have been shown them any more.
	LastWriteWins bool
	// Buffered lets Put return before the event is on disk: a loss of power within
	// Options.FlushAfter takes it back.
	Buffered bool
}

// Put makes an event and stores it: in the node's own record, or, if hintFor is not
// empty, in the hint for that owner. It returns all that the node now holds of the key,
// and is on disk by then, unless w.Buffered. A hint for which there is no room is refused with store.ErrOverloaded.
//
// A put whose WriteID is among the versions held is not made again. A put that supersedes
// nothing is refused with store.ErrSiblings when the key has store.SiblingsMax versions, and
// with store.ErrTooLarge when their values fill store.ObjectSizeBytesMax. The error is a *WriteError if the put may have been stored all the same.
func (r *Replica) Put(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, w Write) (version.Set, error) {
	leave, err := r.enter(ctx, p, key, hintFor)
	if err != nil {
		return version.Set{}, fmt.Errorf("put %q: %w", key, err)
	}
	defer leave()
	s, err := r.put(ctx, p, key, hintFor, w)
	if err != nil {
		return version.Set{}, fmt.Errorf("put %q: %w", key, err)
	}
	return s, nil
}

func (r *Replica) put(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, w Write) (version.Set, error) {
	if err := r.Healthy(); err != nil {
		return version.Set{}, err
	}
	held, err := r.load(p, key)
	if err != nil {
		return version.Set{}, err
	}
	before := held.joined()
	if before.HasWrite(w.WriteID) {
		return before, r.settle(w.Buffered)
	}
	if w.LastWriteWins {
		w.Past = w.Past.Join(before.Vector)
	}
	if err := checkRoom(before, w); err != nil {
		return version.Set{}, err
	}
	rec, size := held.of(hintFor)
	if err := r.witness(ctx, key, rec, w.Past); err != nil {
		return version.Set{}, err
	}
	life, counter, err := r.ids.issue(ctx)
	if err != nil {
		return version.Set{}, err
	}
	tenure, dot := rec.next(life, counter)
	v := version.Version{Dot: dot, Tombstone: w.Tombstone, WriteID: w.WriteID, Stamp: stampAfter(before, r.opts.Clock.Now().UnixNano())}
	if !w.Tombstone {
		v.Value = append([]byte{}, w.Value...) // never nil: an empty value is not a tombstone's
	}
	after := rec.set.Put(w.Past, v)
	// What the owners have pruned since the client was shown it stays so: it would be back in all of their vectors.
	after, _ = after.Prune(rec.brings(w.Past))
	rec = record{tenure: tenure, set: after, pruned: rec.pruned}
	if err := r.save(p, key, hintFor, rec, size, w.Buffered); err != nil {
		return version.Set{}, err
	}
	shown := version.Merge(before, rec.set)
	r.warnSiblings(key, before, shown)
	return shown, nil
}

// checkRoom refuses a put that would only add to a key which has too much already. One that
// supersedes something is how a client gets it smaller again.
func checkRoom(before version.Set, w Write) error {
	if supersedesAny(w.Past, before) {
		return nil
	}
	if n := len(before.Versions); n >= store.SiblingsMax {
		return fmt.Errorf("%d versions: %w", n, store.ErrSiblings)
	}
	if n := valueBytes(before) + len(w.Value); n > store.ObjectSizeBytesMax {
		return fmt.Errorf("%d bytes in %d versions, %d at most: %w", n, len(before.Versions)+1, store.ObjectSizeBytesMax, store.ErrTooLarge)
	}
	return nil
}

func valueBytes(s version.Set) (n int) {
	for _, v := range s.Versions {
		n += len(v.Value)
	}
	return n
}

// stampAfter returns the time of an event: now, or a moment after the latest version that it
// can know of. A clock that was set back must not make its later writes lose.
func stampAfter(before version.Set, now int64) int64 {
	for _, v := range before.Versions {
		now = max(now, v.Stamp+1)
	}
	return now
}

func supersedesAny(past version.Vector, s version.Set) bool {
	for _, v := range s.Versions {
		if past.Covers(v.Dot) {
			return true
		}
	}
	return false
}

// Merge joins a state from elsewhere into the node's own record, or into the hint for
// an owner. It reports whether the record changed; if so, it is on disk. A record made
// here has no tenure: the node has not issued its events (see tenure). A merge that changes
// nothing mends the record's leaf in the hash tree, if that is wrong. A hint for which there is
// no room is refused with store.ErrOverloaded.
func (r *Replica) Merge(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (changed bool, err error) {
	return r.join(ctx, p, key, hintFor, s, false)
}

// Buffer is Merge, save that it may return before the record is on disk: a loss of power within
// Options.FlushAfter takes the change back.
func (r *Replica) Buffer(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (changed bool, err error) {
	return r.join(ctx, p, key, hintFor, s, true)
}

func (r *Replica) join(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set, buffered bool) (changed bool, err error) {
	leave, err := r.enter(ctx, p, key, hintFor)
	if err != nil {
		return false, fmt.Errorf("merge %q: %w", key, err)
	}
	defer leave()
	if changed, err = r.merge(ctx, p, key, hintFor, s, buffered); err != nil {
		return false, fmt.Errorf("merge %q: %w", key, err)
	}
	return changed, nil
}

func (r *Replica) merge(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set, buffered bool) (bool, error) {
	if err := r.Healthy(); err != nil {
		return false, err // what it holds may not be on disk, so not even "unchanged" can be sworn to
	}
	var held copies
	var err error
	if hintFor == "" {
		held, err = r.loadOwn(p, key)
	} else {
		held.hints, err = r.loadHints(p, key)
	}
	if err != nil {
		return false, err
	}
	rec, size := held.of(hintFor)
	if err := r.witness(ctx, key, rec, s.Vector); err != nil {
		return false, err
	}
	before := rec.set
	rec.set = rec.merge(s)
	if rec.set.Equal(before) {
		if hintFor == "" {
			err = r.rehash(p, key, rec)
		}
		return false, errors.Join(err, r.settle(buffered))
	}
	if err := r.save(p, key, hintFor, rec, size, buffered); err != nil {
		return false, err
	}
	r.warnSiblings(key, before, rec.set)
	return true, nil
}

// witness raises the alarm when a vector from elsewhere, about to be joined into rec,
// shows that this node has forgotten events.
func (r *Replica) witness(ctx context.Context, key store.Key, rec record, v version.Vector) error {
	amnesia, err := r.ids.witness(ctx, rec, v)
	if amnesia {
		r.amnesia.Add(1)
		r.log.Error("met events that this node issued and does not know: was its disk rolled back?", "key", string(key), "vector", v.String())
	}
	return err
}

// settle sees to it that a write which finds itself made already is on disk, if it has to be: the
// first may have been buffered.
func (r *Replica) settle(buffered bool) error {
	if buffered {
		return nil
	}
	return r.flushAll()
}

// save stores a record, or a hint with its index entry. oldSizeBytes is the size of
// the hint it replaces, 0 if there was none.
func (r *Replica) save(p ring.Partition, key store.Key, hintFor store.NodeID, rec record, oldSizeBytes int, buffered bool) error {
	b := Batch{buffered: buffered}
	if hintFor == "" {
		at := dataKey(p, key)
		b.Set(at, rec.encode(at))
		begun, err := r.beginAnew(&b, p, key)
		if err != nil {
			return err
		}
		if err := r.writeWithLeaf(&b, p, key, sumOf(key, rec)); err != nil {
			return err
		}
		begun()
		return nil
	}
	at := hintKey(p, key, hintFor)
	encoded := rec.encode(at)
	b.Set(at, encoded)
	b.Set(indexKey(p, key, hintFor), nil)
	hints, grows := 0, len(at)+len(encoded)-oldSizeBytes
	if oldSizeBytes == 0 {
		hints = 1
	}
	// Room is taken before the write, so that writes side by side cannot exceed the limits together.
	if err := r.ledger.reserve(hintFor, hints, grows, r.opts); err != nil {
		r.refused.Add(1)
		return err
	}
	if err := r.write(r.hints, &b); err != nil {
		r.ledger.add(hintFor, -hints, -grows)
		return err
	}
	return nil
}

func (r *Replica) warnSiblings(key store.Key, before, after version.Set) {
	if n := len(after.Versions); n >= store.SiblingsWarn && len(before.Versions) < store.SiblingsWarn {
		r.log.Warn("key has many siblings", "key", string(key), "siblings", n)
	}
	if n := valueBytes(after); n >= store.ObjectSizeBytesWarn && valueBytes(before) < store.ObjectSizeBytesWarn {
		r.log.Warn("key has grown large", "key", string(key), "bytes", n, "siblings", len(after.Versions))
	}
}
