package repair

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// Local is this node's disk.
type Local interface {
	// TreeRoots lists the roots of the trees that hold a key in the partitions that owned accepts, by partition.
	TreeRoots(owned func(ring.Partition) bool) []merkle.Root
	WalkLocal
	// CheckTrees compares the trees with the records and mends them.
	CheckTrees(ctx context.Context) (storage.TreeCheck, error)
	// Record returns the node's own record of a key.
	Record(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error)
	// Merge joins a state into the node's own record (hintFor is empty here). If that changes
	// nothing, it sees to it that the record has the right leaf.
	Merge(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (changed bool, err error)
}

// A Restorer is a Local that sets damaged records aside until all other owners of the key have restored them.
type Restorer interface {
	// Restore notes that all that another owner holds of a key was merged here, and returns the
	// node's own record. One that was set aside can be read again when that is so of all of owners.
	Restore(ctx context.Context, p ring.Partition, key store.Key, from store.NodeID, owners []store.NodeID) (version.Set, error)
}

// Peers reaches other nodes.
type Peers interface {
	// TreeRoots is asked with the sum over this node's roots of the shared partitions. Unless
	// the node's have the same sum, it returns them in the order of Local.TreeRoots.
	TreeRoots(ctx context.Context, from store.NodeID, sum merkle.Sum) (equal bool, roots []merkle.Root, err error)
	WalkPeers
	// Get returns what a node knows of a key.
	Get(ctx context.Context, at history.Stamp, from store.NodeID, key store.Key) (version.Set, error)
	// Merge returns when the node has joined the state into its own record (hintFor is
	// empty here) and has the result on disk. It may be asked to merge nothing, for the sake of the leaf.
	Merge(ctx context.Context, at history.Stamp, to store.NodeID, key store.Key, hintFor store.NodeID, s version.Set) error
}

// A Detector believes nodes to be up or down.
type Detector interface {
	Up(n store.NodeID) bool
}

// A Placement is what this node knows of the layouts of its cluster.
type Placement interface {
	Now() history.History
	// Write begins what is a write as far as changes of the layout go; end is called when nothing of it is left.
	Write() (h history.History, end func())
}

// Options of anti-entropy.
type Options struct {
	Self      store.NodeID         // this node; required
	Placement Placement            // who owns what; required
	Local     Local                // required
	Peers     Peers                // required
	Detector  Detector             // required
	Rand      store.Rand           // orders the peers and spreads the rounds; required
	Now       func() time.Duration // a clock that only rises, for LastClean; required
	Interval  time.Duration        // between rounds; default 2s
	Timeout   time.Duration        // of one request; default 1s
	Page      int                  // leaves asked for at a time; default 1024
	Keys      int                  // keys mended in one round; the next with the peer goes on; default 1024
	Logger    *slog.Logger         // default discards

	// Admit waits until the node has room for work on so many bytes beside its foreground, or ends with the error of its context;
	// default: at once.
	Admit func(ctx context.Context, sizeBytes int) error

	CheckInterval time.Duration // between comparisons of the node's own trees with its records; default a week
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
	if o.Keys == 0 {
		o.Keys = 1024
	}
	if o.CheckInterval == 0 {
		o.CheckInterval = 7 * 24 * time.Hour
	}
	if o.Admit == nil {
		o.Admit = func(ctx context.Context, _ int) error { return ctx.Err() }
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
	complain(o.Placement == nil, "no Placement")
	complain(o.Local == nil, "no Local")
	complain(o.Peers == nil, "no Peers")
	complain(o.Detector == nil, "no Detector")
	complain(o.Rand == nil, "no Rand")
	complain(o.Now == nil, "no Now")
	complain(o.Interval < 0 || o.Timeout < 0 || o.CheckInterval < 0, "want no negative durations")
	complain(o.Page < 1 || o.Keys < 1, "want Page and Keys of at least 1")
	return errors.Join(errs...)
}
