package reap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cartwheel/store"
	"cartwheel/store/clock"
	"cartwheel/store/merkle"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
)

// Local is this node's disk.
type Local interface {
	// Tombstones lists leaves of records that hold nothing but tombstones, none stamped later than latest (nanoseconds
	// since 1970); next is empty at the end.
	Tombstones(ctx context.Context, p ring.Partition, latest int64, after store.Key, limit int) (leaves []merkle.Leaf, next store.Key, err error)
	// Confirm reports which leaves are those of the records on disk.
	Confirm(ctx context.Context, p ring.Partition, leaves []merkle.Leaf) (equal []bool, err error)
	// DropAll deletes the records that still have these leaves.
	DropAll(ctx context.Context, p ring.Partition, known []merkle.Leaf) (dropped int, err error)
	// Retired lists entries of actors that may be pruned from vectors of more than most entries; next is empty at the end.
	Retired(ctx context.Context, p ring.Partition, most int, after store.Key, limit int) (found []storage.Retired, next store.Key, err error)
	// ConfirmRetired returns of what is asked that which is retired by the records on disk.
	ConfirmRetired(ctx context.Context, p ring.Partition, asked []storage.Retired) (both []storage.Retired, err error)
	// Prune takes the entries from the vectors that still have them.
	Prune(ctx context.Context, p ring.Partition, known []storage.Retired) (pruned int, err error)
	// HintsHeld returns how many hints are held, for whomever.
	HintsHeld() int
	// Trees describes the trees of the partitions that owned accepts and that hold a key.
	Trees(owned func(ring.Partition) bool) []storage.TreeStat
}

// Peers reaches other nodes. The stamp is that of the version by which the step is taken.
type Peers interface {
	Confirm(ctx context.Context, at history.Stamp, of store.NodeID, p ring.Partition, leaves []merkle.Leaf) (equal []bool, err error)
	ConfirmRetired(ctx context.Context, at history.Stamp, of store.NodeID, p ring.Partition, asked []storage.Retired) (both []storage.Retired, err error)
	Ready(ctx context.Context, at history.Stamp, is store.NodeID) (waitsFor string, err error)
	Drop(ctx context.Context, at history.Stamp, on store.NodeID, p ring.Partition, leaves []merkle.Leaf) (dropped int, err error)
	Prune(ctx context.Context, at history.Stamp, on store.NodeID, p ring.Partition, known []storage.Retired) (pruned int, err error)
}

// A Placement is what this node knows of the layouts, and of the requests that go by them.
type Placement interface {
	Now() history.History
	JoinsEnded(ctx context.Context, v history.Version) error
}

// A Keeper changes what this node knows of the layouts, on disk first.
type Keeper interface {
	Change(ctx context.Context, change func(history.History) (history.History, error)) (history.History, error)
}

// Options of a [Reaper].
type Options struct {
	Self      store.NodeID // this node; required
	Placement Placement    // required
	Keeper    Keeper       // required
	Local     Local        // required
	Peers     Peers        // required
	Rand      store.Rand   // spreads the rounds; required
	// Interval is the time between two looks for tombstones, up to a quarter more; 0: this node looks for none, and helps those who do.
	Interval time.Duration
	// Grace is how old a tombstone becomes before it is collected, by the clocks that nodes stamp versions with; default 0. Nothing
	// rests on it: it is for the sessions of clients, which are refused when what they have seen of a key is gone.
	Grace   time.Duration
	Clock   clock.Clock   // tells the age; default clock.System
	Poll    time.Duration // between two times that members are asked for what they hold, four looks at whether a sweep has settled; default 1s
	Page    int           // leaves confirmed and dropped at a time; default 256, at most 1024
	KeysMax int           // tombstones that one round takes up; default 65536
	// Admit waits until the node has room for the next page beside its foreground, or ends with the error of its context; default at once.
	Admit  func(ctx context.Context, sizeBytes int) error
	Logger *slog.Logger // default discards
}

func (o Options) withDefaults() Options {
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.System
	}
	if o.Admit == nil {
		o.Admit = func(ctx context.Context, _ int) error { return ctx.Err() }
	}
	if o.Page == 0 {
		o.Page = 256
	}
	if o.KeysMax == 0 {
		o.KeysMax = 1 << 16
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.Self == "" || o.Placement == nil || o.Keeper == nil || o.Local == nil || o.Peers == nil || o.Rand == nil {
		errs = append(errs, fmt.Errorf("reap: want Self, Placement, Keeper, Local, Peers and Rand: %w", store.ErrInvalid))
	}
	if o.Interval < 0 || o.Grace < 0 || o.Poll < 0 || o.Page < 1 || o.Page > LeavesMax || o.KeysMax < 1 {
		errs = append(errs, fmt.Errorf("reap: interval %v, grace %v, poll %v, page %d, keys %d: %w", o.Interval, o.Grace, o.Poll, o.Page, o.KeysMax, store.ErrInvalid))
	}
	return errors.Join(errs...)
}
