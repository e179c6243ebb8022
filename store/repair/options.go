package repair

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// Local is this node's disk.
type Local interface {
	// Digests lists the node's own records in the partitions that owned accepts, by partition
	// and then key, behind a cursor; next is nil at the end.
	Digests(ctx context.Context, owned func(ring.Partition) bool, after []byte, limit int) (page []storage.Digest, next []byte, err error)
	// Record returns the node's own record of a key.
	Record(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error)
	// Merge joins a state into the node's own record (hintFor is empty here).
	Merge(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (changed bool, err error)
}

// Peers reaches other nodes.
type Peers interface {
	// Digests lists the records of a node in the partitions that it shares with this one, in
	// the order of Local.Digests.
	Digests(ctx context.Context, from store.NodeID, after []byte, limit int) (page []storage.Digest, next []byte, err error)
	// Get returns what a node knows of a key.
	Get(ctx context.Context, from store.NodeID, key store.Key) (version.Set, error)
	// Merge returns when the node has joined the state into its own record (hintFor is
	// empty here) and has the result on disk.
	Merge(ctx context.Context, to store.NodeID, key store.Key, hintFor store.NodeID, s version.Set) error
}

// A Detector believes nodes to be up or down.
type Detector interface {
	Up(n store.NodeID) bool
}

// Options of anti-entropy.
type Options struct {
	Self     store.NodeID         // this node; required
	Layout   *ring.Layout         // who owns what; required
	Local    Local                // required
	Peers    Peers                // required
	Detector Detector             // required
	Rand     store.Rand           // orders the peers and spreads the rounds; required
	Now      func() time.Duration // a clock that only rises, for LastClean; required
	Interval time.Duration        // between rounds; default 2s
	Timeout  time.Duration        // of one request; default 1s
	Page     int                  // digests asked for at a time; default 1024
	Logger   *slog.Logger         // default discards
}

func (o Options) withDefaults() Options {
	if o.Interval == 0 {
		o.Interval = 2 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.Page == 0 {
		o.Page = 1024
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	complain := func(bad bool, text string) {
		if bad {
			errs = append(errs, fmt.Errorf("anti-entropy: %s: %w", text, store.ErrInvalid))
		}
	}
	complain(o.Layout == nil, "no Layout")
	complain(o.Local == nil, "no Local")
	complain(o.Peers == nil, "no Peers")
	complain(o.Detector == nil, "no Detector")
	complain(o.Rand == nil, "no Rand")
	complain(o.Now == nil, "no Now")
	complain(o.Interval < 0 || o.Timeout < 0, "want no negative durations")
	complain(o.Page < 1, "want a Page of at least 1")
	return errors.Join(errs...)
}
