package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cartwheel/store"
	"cartwheel/store/merkle"
	"cartwheel/store/repair"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// Local is this node's disk.
type Local interface {
	repair.WalkLocal
	// Trees describes the trees that hold a key in the partitions that owned accepts, by partition.
	Trees(owned func(ring.Partition) bool) []storage.TreeStat
	// State returns all that is in the node's own record of a key.
	State(ctx context.Context, p ring.Partition, key store.Key) (storage.State, error)
	// MergeAll joins states into the node's own records; the keys ascend.
	MergeAll(ctx context.Context, p ring.Partition, states []storage.State) (changed int, err error)
	// DropAll deletes records whose leaves are still those given; the keys ascend.
	DropAll(ctx context.Context, p ring.Partition, known []merkle.Leaf) (dropped int, err error)
	// Release lets go of the damaged records of a partition that the node does not own any more.
	Release(ctx context.Context, p ring.Partition) (released int, err error)
	// HintTargets returns the owners for which hints wait, sorted.
	HintTargets(ctx context.Context) ([]storage.HintStat, error)
	// NextHints lists hints for a target behind a cursor; next is nil when there are no more.
	NextHints(ctx context.Context, target store.NodeID, after []byte, limit int) (hints []storage.Hint, next []byte, err error)
	// DropHint deletes a hint, unless it has changed.
	DropHint(ctx context.Context, h storage.Hint) (dropped bool, err error)
}

// Peers reaches other nodes.
type Peers interface {
	repair.WalkPeers
	// Fetch returns the node's own records of keys, which ascend: of as many as fit into one answer, at least of
	// the first. A record that the node cannot read is Damaged.
	Fetch(ctx context.Context, from store.NodeID, p ring.Partition, keys []store.Key) ([]Fetched, error)
	// HandOver returns when the node, an owner of the partition, has joined the states, whose keys ascend, into its
	// records and has them on disk.
	HandOver(ctx context.Context, to store.NodeID, p ring.Partition, states []storage.State) error
}

// Fetched is one record of an answer.
type Fetched struct {
	Set       version.Set    // zero: there is none
	Pruned    version.Vector // entries that were pruned from its vector
	SizeBytes int            // as sent
	Damaged   bool
}

// A Placement is what this node knows of the layouts.
type Placement interface{ Now() history.History }

// Options of transfers.
type Options struct {
	Self      store.NodeID  // this node; required
	Placement Placement     // required
	Local     Local         // required
	Peers     Peers         // required
	Rand      store.Rand    // spreads the rounds; required
	Interval  time.Duration // between rounds that look for records to drop; default 5s
	Timeout   time.Duration // of one request; default 1s
	Page      int           // leaves asked for at a time; default 1024
	Batch     int           // keys fetched or handed over at a time; default 256
	RateBytes int           // a second, of states copied or handed over by this node; default 32 MiB
	// Admit waits until the node has room for what follows work on so many bytes, beside its foreground, or ends with the
	// error of its context; default: at once. RateBytes is a bound besides it.
	Admit  func(ctx context.Context, sizeBytes int) error
	Logger *slog.Logger // default discards
}

func (o Options) withDefaults() Options {
	if o.Interval == 0 {
		o.Interval = 5 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.Page == 0 {
		o.Page = 1024
	}
	if o.Batch == 0 {
		o.Batch = 256
	}
	if o.RateBytes == 0 {
		o.RateBytes = 32 << 20
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
			errs = append(errs, fmt.Errorf("transfer: %s: %w", text, store.ErrInvalid))
		}
	}
	complain(o.Self == "", "no Self")
	complain(o.Placement == nil, "no Placement")
	complain(o.Local == nil, "no Local")
	complain(o.Peers == nil, "no Peers")
	complain(o.Rand == nil, "no Rand")
	complain(o.Interval < 0 || o.Timeout < 0, "want no negative durations")
	complain(o.Page < 1 || o.Batch < 1 || o.RateBytes < 1, "want Page, Batch and RateBytes of at least 1")
	return errors.Join(errs...)
}
