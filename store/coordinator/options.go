package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/ring/history"
	"cartwheel/store/storage"
	"cartwheel/store/version"
)

// Local is this node's disk. What Put and Merge stored is durable when they return.
// Calls may take long; they end when the context does.
type Local interface {
	// Get returns all that this node knows of a key, hints that it holds included.
	Get(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error)
	// Recall is Get with the entries that were pruned from the vector: what a session has seen may be among them.
	Recall(ctx context.Context, p ring.Partition, key store.Key) (version.Set, error)
	// Put makes an event in this node's own record, or in the hint for an owner, and
	// returns all that the node knows of the key then. An error that is not a
	// *storage.WriteError means that nothing was written.
	Put(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, w storage.Write) (version.Set, error)
	// Merge joins a state into this node's own record, or into the hint for an owner.
	Merge(ctx context.Context, p ring.Partition, key store.Key, hintFor store.NodeID, s version.Set) (changed bool, err error)
}

// Peers reaches other nodes. An error that wraps store.ErrDown means that nothing was
// sent. Get and Merge are given contexts with a deadline, and the version of the layout that the request
// began with: a replica that knows it to be over refuses with store.ErrWrongRing.
type Peers interface {
	// Get returns what the node knows of a key, hints that it holds included.
	Get(ctx context.Context, at history.Stamp, to store.NodeID, key store.Key) (version.Set, error)
	// Recall is Get with the entries that were pruned from the vector.
	Recall(ctx context.Context, at history.Stamp, to store.NodeID, key store.Key) (version.Set, error)
	// Merge joins a state into the node's own record, or into the hint that it holds for
	// an owner. It returns when the result is durable there.
	Merge(ctx context.Context, at history.Stamp, to store.NodeID, key store.Key, hintFor store.NodeID, s version.Set) error
	// Buffer is Merge, and may return before the result is durable there.
	Buffer(ctx context.Context, at history.Stamp, to store.NodeID, key store.Key, hintFor store.NodeID, s version.Set) error
	// Forward lets another node coordinate a write (see [Coordinator.Forwarded]). It puts
	// a deadline on the call. store.Definite tells of its errors whether the write may live.
	Forward(ctx context.Context, to store.NodeID, w Write) (store.WriteResult, error)
}

// A Detector says which peers answer, as far as this node can tell.
type Detector interface {
	Up(n store.NodeID) bool
}

// A Placement knows the layouts, and is told how long a request goes by them: a change of the
// layout waits for requests that began without it.
type Placement interface {
	Now() history.History
	Write() (h history.History, end func())
	Read() (h history.History, end func())
}

// Options of a coordinator.
type Options struct {
	Self      store.NodeID // this node; required
	Placement Placement    // required
	Replicas  int          // N of the cluster, which no change of the layout changes; required
	Local     Local        // required
	Peers     Peers        // required
	Detector  Detector     // required

	R       int           // replicas that must answer a get that does not say; default 2, or N if that is less
	W       int           // replicas that must store a put that does not say; default 2, or N if that is less
	Buckets store.Buckets // defaults for parts of the key space; default none

	Durability   store.Durability // of a write that does not say, and whose bucket does not; default all
	ObjectBuffer bool             // whether a write may be of DurabilityNone

	ReplicaTimeout time.Duration // for one call of a replica; default 1s
	FallbackAfter  time.Duration // an owner silent for so long is stood in for, its late answer still counts; default 250ms
	StragglerWait  time.Duration // how long after its reply a get waits for more answers to repair from; default 100ms
	InFlight       int           // requests at once, with their work after the reply; more are refused; default 1024

	Now    func() time.Duration // monotonic time since some moment, for round-trip times; required
	Logger *slog.Logger         // default discards
}

func (o Options) withDefaults() Options {
	orElse := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	orElse(&o.ReplicaTimeout, time.Second)
	orElse(&o.FallbackAfter, 250*time.Millisecond)
	orElse(&o.StragglerWait, 100*time.Millisecond)
	if o.InFlight == 0 {
		o.InFlight = 1024
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.R == 0 {
		o.R = min(2, o.Replicas)
	}
	o.Durability = cmp.Or(o.Durability, store.DurabilityAll)
	if o.W == 0 {
		o.W = min(2, o.Replicas)
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("coordinator: "+format+": %w", append(args, store.ErrInvalid)...))
	}
	if o.Placement == nil || o.Local == nil || o.Peers == nil || o.Detector == nil || o.Now == nil {
		bad("Placement, Local, Peers, Detector and Now are required")
	}
	if o.Self == "" || o.Replicas < 1 {
		bad("self is %q with %d replicas", o.Self, o.Replicas)
	}
	for _, q := range []struct {
		name string
		n    int
	}{{"R", o.R}, {"W", o.W}} {
		if q.n < 1 || q.n > o.Replicas {
			bad("%s is %d with %d replicas", q.name, q.n, o.Replicas)
		}
	}
	if err := o.Buckets.Validate(o.Replicas); err != nil {
		errs = append(errs, fmt.Errorf("coordinator: %w", err))
	}
	if o.Durability > store.DurabilityNone || o.Durability == store.DurabilityNone && !o.ObjectBuffer {
		bad("durability %d, object buffer %t", o.Durability, o.ObjectBuffer)
	}
	if o.ReplicaTimeout < 0 || o.FallbackAfter < 0 || o.StragglerWait < 0 || o.InFlight < 0 {
		bad("negative limits")
	}
	return errors.Join(errs...)
}
