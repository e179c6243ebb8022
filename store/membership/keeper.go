package membership

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync"

	"cartwheel/store"
	"cartwheel/store/placement"
	"cartwheel/store/ring/history"
)

// Disk keeps the bytes of a history.
type Disk interface {
	// History returns what was kept last, nil if nothing was.
	History(ctx context.Context) ([]byte, error)
	// KeepHistory returns when the bytes are on disk. It is not called twice at a time.
	KeepHistory(ctx context.Context, b []byte) error
}

// A Keeper changes a node's history: on disk first, then for all who ask.
type Keeper struct {
	disk      Disk
	placement *placement.Placement
	log       *slog.Logger
	guard     Guard
	slot      chan struct{} // full while somebody changes the history: a mutex must not be held over a disk write

	mu     sync.Mutex // guards what follows, never a wait
	bytes  []byte     // of the history, as on disk
	digest uint64     // of bytes
}

// Open reads the history that the disk has. If it has none, it keeps what first returns, which may be the zero History of
// a node that has not joined a cluster yet. found says which it was.
func Open(ctx context.Context, d Disk, first func() (history.History, error), log *slog.Logger) (k *Keeper, found bool, err error) {
	b, err := d.History(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("open membership: %w", err)
	}
	var h history.History
	if found = b != nil; found {
		if h, err = history.Decode(b); err != nil {
			return nil, true, fmt.Errorf("open membership: %w", err)
		}
	} else {
		if h, err = first(); err != nil {
			return nil, false, err
		}
		if b = h.Encode(); h.Joined() {
			if err = d.KeepHistory(ctx, b); err != nil {
				return nil, false, fmt.Errorf("open membership: %w", err)
			}
		}
	}
	k = &Keeper{disk: d, placement: placement.New(h), log: log.With("component", "membership"), slot: make(chan struct{}, 1)}
	k.note(b)
	return k, found, nil
}

// Placement returns where requests learn of the history. Only the Keeper may update it.
func (k *Keeper) Placement() *placement.Placement { return k.placement }

// Now returns the history. It is on disk.
func (k *Keeper) Now() history.History { return k.placement.Now() }

// Encoded returns the bytes of the history, which the caller must not change, and their digest. They are on disk.
func (k *Keeper) Encoded() (b []byte, digest uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bytes, k.digest
}

func (k *Keeper) note(b []byte) {
	sum := sha256.Sum256(b)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bytes, k.digest = b, binary.BigEndian.Uint64(sum[:])
}

// Change replaces the history by f's result, and returns it once it is on disk. f is called once, with the present
// history; its error is returned as it is, and nothing changes. ctx bounds the wait for other changes and for the disk.
func (k *Keeper) Change(ctx context.Context, f func(history.History) (history.History, error)) (history.History, error) {
	select {
	case k.slot <- struct{}{}: // free: do not let the select below choose
	default:
		select {
		case k.slot <- struct{}{}:
		case <-ctx.Done():
			return history.History{}, context.Cause(ctx)
		}
	}
	defer func() { <-k.slot }()
	was := k.placement.Now()
	h, err := f(was)
	if err != nil {
		return was, err
	}
	b := h.Encode()
	if old, _ := k.Encoded(); bytes.Equal(b, old) {
		return was, nil
	}
	if err := k.disk.KeepHistory(ctx, b); err != nil {
		return was, err
	}
	k.note(b)
	k.tell(was, h)
	return h, k.placement.Update(func(history.History) (history.History, error) { return h, nil })
}

// A Guard keeps out what is on a disk of the past, once others have deleted it for good.
type Guard struct {
	Self  store.NodeID
	Holds func() bool     // whether there is anything on this disk that may have been deleted
	Fence func(err error) // called at each sign that the disk is one of the past: nothing on it may be shown or sent any more
}

// Watch has the guard asked from now on. It is called before anything is merged.
func (k *Keeper) Watch(g Guard) { k.guard = g }

// Merge joins what another node knows. It refuses with history.ErrOutdated what shows this disk to be one of the
// past: a node that learned where the cluster is now would be listened to again, with data that the others have deleted. With
// nothing on its disk it is welcome, and so is the news that it is no member any more.
func (k *Keeper) Merge(ctx context.Context, other history.History) (history.History, error) {
	return k.Change(ctx, func(h history.History) (history.History, error) {
		g := k.guard
		swept := other.SweptBy(g.Self, h)
		if g.Holds != nil && h.Outdated(g.Self, swept) && !other.Fenced(g.Self) && g.Holds() {
			err := fmt.Errorf("sweep %d was noted by this node, whose disk knows of %d: replace it: %w", swept, h.Notes(g.Self).Acked, history.ErrOutdated)
			g.Fence(err)
			return h, err
		}
		return history.Merge(h, other)
	})
}

// tell logs what an operator wants to know of a change.
func (k *Keeper) tell(was, h history.History) {
	if !h.Joined() {
		return
	}
	switch v := h.Newest(); {
	case !was.Joined():
		k.log.Info("heard of the cluster", "cluster", fmt.Sprintf("%016x", h.Cluster()), "version", v.String())
	case !was.Knows(v) && was.Newest().Number <= v.Number:
		k.log.Info("layout changes", "version", v.String(), "live", len(h.Live()))
	}
	if was.Joined() && h.Oldest().Number > was.Oldest().Number {
		k.log.Info("layout settled", "version", h.Oldest().String(), "live", len(h.Live()))
	}
}
