package repair

import (
	"cmp"
	"context"
	"fmt"

	"cartwheel/store"
	"cartwheel/store/storage"
)

// compareDigests orders digests as all nodes list them.
func compareDigests(a, b storage.Digest) int {
	return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Key, b.Key))
}

// A listing reads one node's digests page by page.
type listing struct {
	fetch func(ctx context.Context, after []byte) (page []storage.Digest, next []byte, err error)
	page  []storage.Digest // not yet consumed
	after []byte
	ended bool
	last  *storage.Digest // consumed before, for the check of the order
}

// head returns the next digest without consuming it; ok is false at the end.
func (l *listing) head(ctx context.Context) (d storage.Digest, ok bool, err error) {
	if len(l.page) == 0 && !l.ended {
		if err := l.refill(ctx); err != nil {
			return storage.Digest{}, false, err
		}
	}
	if len(l.page) == 0 {
		return storage.Digest{}, false, nil
	}
	return l.page[0], true, nil
}

// refill reads a page. A page out of order, or an empty one that is not the last, would
// make the walk miss keys or never end, so it is an error.
func (l *listing) refill(ctx context.Context) error {
	page, next, err := l.fetch(ctx, l.after)
	if err != nil {
		return err
	}
	if len(page) == 0 && len(next) > 0 {
		return fmt.Errorf("digests: an empty page that is not the last: %w", store.ErrInvalid)
	}
	prev := l.last
	for i := range page {
		if prev != nil && compareDigests(*prev, page[i]) >= 0 {
			return fmt.Errorf("digests: %q behind %q is out of order: %w", page[i].Key, prev.Key, store.ErrInvalid)
		}
		prev = &page[i]
	}
	l.page, l.after, l.ended, l.last = page, next, len(next) == 0, prev
	return nil
}

func (l *listing) pop() { l.page = l.page[1:] }

// A difference is a key of which two nodes hold different states.
type difference struct {
	storage.Digest         // of the key; Sum is of no meaning
	local, remote  *uint64 // sums; nil if the node has no record
}

// next consumes up to the next key that differs. It returns the number of keys that were
// equal before it, and nil at the end of both listings.
func next(ctx context.Context, local, remote *listing) (diff *difference, equal int, err error) {
	for {
		l, lok, err := local.head(ctx)
		if err != nil {
			return nil, equal, fmt.Errorf("own %w", err)
		}
		r, rok, err := remote.head(ctx)
		if err != nil {
			return nil, equal, err
		}
		order := compareDigests(l, r)
		switch {
		case !lok && !rok:
			return nil, equal, nil
		case !rok || lok && order < 0:
			local.pop()
			return &difference{Digest: l, local: &l.Sum}, equal, nil
		case !lok || order > 0:
			remote.pop()
			return &difference{Digest: r, remote: &r.Sum}, equal, nil
		}
		local.pop()
		remote.pop()
		if l.Sum != r.Sum {
			return &difference{Digest: l, local: &l.Sum, remote: &r.Sum}, equal, nil
		}
		equal++
	}
}
