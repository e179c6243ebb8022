package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"cartwheel/harness"
	"cartwheel/harness/cluster/fake"
)

// store is a target in memory with siblings: every node has a copy of every key, a
// write names what it supersedes, quorums are majorities, and what a cut or pause kept
// from a node is delivered by anti-entropy when the cluster is asked whether it is
// quiet. Its latencies are hashes of what is asked and when, so that a bubble's run is
// a function of its seed.
type store struct {
	bugs bugs

	mu     sync.Mutex
	copies map[harness.NodeID]map[string]versions
	writes int
	stuck  chan struct{} // closed by the test to let stuck calls go
	opened int
}

// bugs make the store break its promises, or its contract with the harness.
type bugs struct {
	forgets   bool // no anti-entropy: what was missed stays missed
	neverWell bool // Quiet always finds something
	refuses   bool // every operation fails
	noClient  bool // Open fails
	notReady  bool // nodes never serve
	stuckLook bool // Quiet ignores its deadline
	stuckPut  int  // this put's client ignores its deadline, from 1
}

// versions are one copy of a key.
type versions struct {
	Live map[string]string // write id -> value
	Past map[string]bool   // superseded
}

func newStore(b bugs) *store {
	return &store{bugs: b, copies: make(map[harness.NodeID]map[string]versions), stuck: make(chan struct{})}
}

func (v versions) merge(o versions) versions {
	m := versions{Live: maps.Clone(v.Live), Past: maps.Clone(v.Past)}
	if m.Live == nil {
		m.Live, m.Past = make(map[string]string), make(map[string]bool)
	}
	maps.Copy(m.Live, o.Live)
	maps.Copy(m.Past, o.Past)
	for id := range m.Past {
		delete(m.Live, id)
	}
	return m
}

func (v versions) reading() harness.Reading {
	var r harness.Reading
	known := slices.Collect(maps.Keys(v.Past))
	for _, id := range slices.Sorted(maps.Keys(v.Live)) {
		r.Siblings = append(r.Siblings, harness.Sibling{Value: v.Live[id], Write: id})
		known = append(known, id)
	}
	slices.Sort(known)
	r.Token, _ = json.Marshal(known)
	state, _ := json.Marshal(v)
	r.State = fmt.Sprintf("%x", hash(string(state)))
	return r
}

func hash(parts ...any) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintln(h, parts...)
	return h.Sum64()
}

func (s *store) Name() string { return "memory" }

func (s *store) Ready(context.Context, harness.Cluster, harness.NodeID) error {
	if s.bugs.notReady {
		return errors.New("still booting")
	}
	return nil
}

func (s *store) Open(_ context.Context, c harness.Cluster, n harness.NodeID) (harness.Client, error) {
	if s.bugs.noClient {
		return nil, errors.New("no route")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	return &client{store: s, cluster: c.(*fake.Cluster), node: n}, nil
}

func (s *store) copyOf(n harness.NodeID, key string) versions {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copies[n][key]
}

func (s *store) mergeInto(n harness.NodeID, key string, v versions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copies[n] == nil {
		s.copies[n] = make(map[string]versions)
	}
	s.copies[n][key] = s.copies[n][key].merge(v)
}

func (s *store) Replicas(_ context.Context, c harness.Cluster, _ string) ([]harness.NodeID, error) {
	return c.Nodes()[:3], nil
}

func (s *store) ReadReplica(_ context.Context, _ harness.Cluster, n harness.NodeID, key string) (harness.Reading, error) {
	return s.copyOf(n, key).reading(), nil
}

// Quiet does one round of anti-entropy.
func (s *store) Quiet(_ context.Context, c harness.Cluster) (string, error) {
	if s.bugs.stuckLook {
		<-s.stuck
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bugs.forgets {
		return "", nil
	}
	all := make(map[string]versions)
	for _, copies := range s.copies {
		for key, v := range copies {
			all[key] = all[key].merge(v)
		}
	}
	for _, n := range c.Nodes() {
		s.copies[n] = maps.Clone(all)
	}
	if s.bugs.neverWell {
		return "n2 still holds a hint", nil
	}
	return "", nil
}

type client struct {
	store   *store
	cluster *fake.Cluster
	node    harness.NodeID
}

type refused struct{}

func (refused) Error() string  { return "refused" }
func (refused) Definite() bool { return true }

func (c *client) Close() error { return nil }

// heard contacts every node and returns those that answer, the own one included.
func (c *client) heard(ctx context.Context, what ...any) ([]harness.NodeID, error) {
	if c.store.bugs.refuses {
		return nil, refused{}
	}
	took := time.Millisecond + time.Duration(hash(append(what, c.node, time.Now().UnixNano())...)%uint64(5*time.Millisecond))
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var there []harness.NodeID
	for _, n := range c.cluster.Nodes() {
		if n == c.node {
			if paused, _ := c.cluster.Paused(ctx, n); !paused {
				there = append(there, n)
			}
		} else if c.cluster.Send(c.node, n) && c.cluster.Send(n, c.node) {
			there = append(there, n)
		}
	}
	if !slices.Contains(there, c.node) || len(there) <= len(c.cluster.Nodes())/2 {
		<-ctx.Done()
		return there, ctx.Err()
	}
	return there, nil
}

func (c *client) Get(ctx context.Context, key string, _ harness.ReadOptions) (harness.Reading, error) {
	there, err := c.heard(ctx, "get", key)
	if err != nil {
		return harness.Reading{}, err
	}
	var v versions
	for _, n := range there {
		v = v.merge(c.store.copyOf(n, key))
	}
	return v.reading(), nil
}

func (c *client) Put(ctx context.Context, key, value string, token []byte, _ harness.WriteOptions) (harness.Reading, error) {
	c.store.mu.Lock()
	c.store.writes++
	nth := c.store.writes
	c.store.mu.Unlock()
	if nth == c.store.bugs.stuckPut {
		<-c.store.stuck
		return harness.Reading{}, errors.New("too late")
	}
	var past []string
	if len(token) > 0 {
		if err := json.Unmarshal(token, &past); err != nil {
			return harness.Reading{}, err
		}
	}
	v := versions{Live: map[string]string{fmt.Sprintf("%x", hash(key, value)): value}, Past: make(map[string]bool)}
	for _, id := range past {
		v.Past[id] = true
	}
	there, err := c.heard(ctx, "put", key, value)
	for _, n := range there {
		c.store.mergeInto(n, key, v)
	}
	return c.store.copyOf(c.node, key).reading(), err
}

func (c *client) Delete(context.Context, string, []byte, harness.WriteOptions) (harness.Reading, error) {
	return harness.Reading{}, errors.New("not here")
}
