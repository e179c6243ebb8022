package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"cartwheel/store"
	"cartwheel/store/ring"
	"cartwheel/store/storepb"
)

// A router knows the layout, as of late, and which nodes answer. It fetches the layout on a
// schedule, and at once when a request has shown that it is old; until it has the first,
// requests are the servers' to route.
type router struct {
	opts      Options
	seeds     []grpc.ClientConnInterface
	refreshes atomic.Uint64
	work      sync.WaitGroup
	cancel    context.CancelFunc
	turn      chan struct{} // one fetch at a time
	wake      chan struct{}

	mu       sync.Mutex // guards what follows, never a wait
	layout   Layout
	fetches  uint64 // layouts fetched
	members  map[store.NodeID]*membership
	suspects []store.NodeID // sorted; they did not answer and are asked last
	retired  []func() error // connections to nodes that left, closed in the end: calls may be under way
}

// A membership is the connection to a member.
type membership struct {
	store.Member
	conn  grpc.ClientConnInterface
	close func() error
}

func startRouter(o Options, seeds []grpc.ClientConnInterface) *router {
	r := &router{opts: o, seeds: seeds, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), members: map[store.NodeID]*membership{}}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	r.work.Go(func() { r.loop(ctx) })
	return r
}

// Close returns when nothing is under way.
func (r *router) Close() (err error) {
	r.cancel()
	r.work.Wait()
	r.mu.Lock()
	closers := r.retired
	for _, id := range sortedIDs(r.members) {
		closers = append(closers, r.members[id].close)
	}
	r.retired, r.members = nil, map[store.NodeID]*membership{}
	r.mu.Unlock()
	for _, c := range closers {
		err = errors.Join(err, c())
	}
	return err
}

func sortedIDs(members map[store.NodeID]*membership) (ids []store.NodeID) {
	for id := range members {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// loop keeps the layout fresh and asks suspects again. Those wait for a shorter time.
func (r *router) loop(ctx context.Context) {
	ticker := time.NewTicker(min(suspectInterval, r.opts.RefreshInterval))
	defer ticker.Stop()
	age := r.opts.RefreshInterval // so that the first layout is fetched at once
	for ctx.Err() == nil {
		if age >= r.opts.RefreshInterval && r.refresh(ctx) {
			age = 0
		}
		r.probe(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			age += min(suspectInterval, r.opts.RefreshInterval)
		case <-r.wake:
			select { // others may fail with the one that did: one fetch is enough, and none if the client is closed now
			case <-ctx.Done():
				return
			case <-time.After(wakePause):
			}
			age = r.opts.RefreshInterval
		}
	}
}

// probe asks the suspects whether they are back.
func (r *router) probe(ctx context.Context) {
	r.mu.Lock()
	var asked []membership
	for _, id := range r.suspects {
		if m := r.members[id]; m != nil {
			asked = append(asked, *m)
		}
	}
	r.mu.Unlock()
	for _, m := range asked {
		if ctx.Err() != nil {
			return
		}
		if _, err := r.fetch(ctx, m.conn); err == nil {
			r.heard(m.ID, true)
		}
	}
}

func (r *router) fetch(ctx context.Context, conn grpc.ClientConnInterface) (Layout, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	return layoutFrom(ctx, storepb.NewKVClient(conn))
}

// refresh fetches the layout from the first node that tells, and reports whether there is
// one that was fetched since the call.
func (r *router) refresh(ctx context.Context) bool {
	r.mu.Lock()
	before := r.fetches
	r.mu.Unlock()
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-r.turn }()
	if ctx.Err() != nil { // select draws lots where both were ready
		return false
	}
	r.mu.Lock()
	fresh := r.fetches > before+1 // the one that was under way may have been answered before the call
	conns := slices.Clone(r.seeds)
	for _, id := range sortedIDs(r.members) {
		if !slices.Contains(r.suspects, id) {
			conns = append(conns, r.members[id].conn)
		}
	}
	r.mu.Unlock()
	if fresh {
		return true
	}
	for _, conn := range conns {
		l, err := r.fetch(ctx, conn)
		if err == nil && len(l.Partitions) > 0 {
			r.install(l)
			return true
		}
		if ctx.Err() != nil {
			break
		}
	}
	return false
}

// install makes a layout the one that requests go by.
func (r *router) install(l Layout) {
	r.refreshes.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetches++
	r.layout = l
	was := r.members
	r.members = map[store.NodeID]*membership{}
	for _, m := range l.Members {
		if old := was[m.ID]; old != nil && old.Member == m {
			r.members[m.ID] = old
			delete(was, m.ID)
			continue
		}
		conn, close, err := r.opts.connect(m) // never blocks: a connection connects when it is used
		if err != nil {
			continue // an address that cannot be one: the node is asked by others
		}
		r.members[m.ID] = &membership{Member: m, conn: conn, close: close}
	}
	for _, id := range sortedIDs(was) {
		r.retired = append(r.retired, was[id].close)
	}
	r.suspects = slices.DeleteFunc(r.suspects, func(id store.NodeID) bool { return r.members[id] == nil })
}

// heard notes whether a node has answered.
func (r *router) heard(id store.NodeID, answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, suspect := slices.BinarySearch(r.suspects, id)
	switch {
	case answered && suspect:
		r.suspects = slices.Delete(r.suspects, at, at+1)
	case !answered && !suspect:
		r.suspects = slices.Insert(r.suspects, at, id)
		select {
		case r.wake <- struct{}{}: // perhaps it has left
		default:
		}
	}
}

// route lists the nodes of a key's preference list; none while there is no layout.
func (r *router) route(t target) (stops []stop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.layout.Partitions) == 0 {
		return nil
	}
	list := r.layout.Partitions[ring.PartitionOf(t.key, len(r.layout.Partitions))]
	for _, id := range order(list, min(r.layout.Replicas, len(list)), t.hint, r.suspects) {
		if m := r.members[id]; m != nil {
			stops = append(stops, stop{id: id, name: string(id), conn: m.conn})
		}
	}
	return stops
}

// order returns a preference list of n owners as a client goes through it: the owner that was
// fastest first, and whoever did not answer last.
func order(list []store.NodeID, n int, hint store.NodeID, suspects []store.NodeID) []store.NodeID {
	out := slices.Clone(list)
	rank := func(id store.NodeID) (place int) {
		if i := slices.Index(list[:n], id); i < 0 || id != hint {
			place = 1
		}
		if _, suspect := slices.BinarySearch(suspects, id); suspect {
			place += 2
		}
		return place
	}
	slices.SortStableFunc(out, func(a, b store.NodeID) int { return rank(a) - rank(b) })
	return out
}
